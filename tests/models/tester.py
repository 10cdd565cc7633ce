"""What every network must do, whatever it computes: one class to inherit."""

from __future__ import annotations

import copy

import pytest
import torch


class ModelTester:
    """Set `model_class`, `config` (small) and `inputs()`; `bad_configs` are (arguments, message) pairs."""

    model_class: type
    config: dict
    bad_configs: list[tuple[dict, str]] = []

    def inputs(self) -> tuple:
        raise NotImplementedError

    def make(self):
        torch.manual_seed(0)
        return self.model_class(**self.config)

    @staticmethod
    def flat(output) -> list[torch.Tensor]:
        return [output] if torch.is_tensor(output) else [t for part in output for t in ModelTester.flat(part)]

    @staticmethod
    def sample(inputs, which: slice):
        """The chosen samples of inputs, lists of tensors too; what is no tensor stays."""
        if isinstance(inputs, (list, tuple)):
            return [ModelTester.sample(i, which) for i in inputs]
        return inputs[which] if torch.is_tensor(inputs) else inputs

    def test_saved_and_loaded_it_computes_the_same(self, tmp_path):
        model = self.make()
        model(*self.inputs())  # moves batch norm and spectral norm
        model.eval().save_pretrained(tmp_path)
        assert (tmp_path / "diffusion_pytorch_model.safetensors").exists()
        loaded = self.model_class.from_pretrained(tmp_path).eval()
        with torch.no_grad():
            for mine, theirs in zip(self.flat(model(*self.inputs())), self.flat(loaded(*self.inputs())), strict=True):
                assert torch.allclose(mine, theirs, atol=1e-5)

    def test_every_parameter_gets_a_gradient(self):
        model = self.make().train()
        sum((t.float() ** 2).mean() for t in self.flat(model(*self.inputs()))).backward()
        without = [name for name, p in model.named_parameters() if p.grad is None]
        assert not without

    def test_evaluated_one_by_one_or_together_is_the_same(self):
        model = self.make().eval()
        inputs = self.inputs()
        with torch.no_grad():
            together = self.flat(model(*inputs))
            for index in range(len(self.flat(inputs)[0])):
                alone = self.flat(model(*self.sample(inputs, slice(index, index + 1))))
                for a, b in zip(alone, together, strict=True):
                    assert torch.allclose(a[0], b[index], atol=1e-5)

    def test_wrong_configurations_say_what_is_expected(self):
        for arguments, message in self.bad_configs:
            with pytest.raises(ValueError, match=message):
                self.model_class(**{**copy.deepcopy(self.config), **arguments})
