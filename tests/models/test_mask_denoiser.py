from __future__ import annotations

import pytest
import torch

from aniface.models.mask_denoiser import MaskDenoiser
from aniface.processing import one_hot

from .tester import ModelTester


class TestMaskDenoiser(ModelTester):
    model_class = MaskDenoiser
    config = {"mask_size": 16, "patch_size": 2, "channels": (8, 16), "time_dim": 8, "fine_channels": 8}
    bad_configs = [
        ({"mask_size": 18}, "mask_size is 18; expected a multiple of 4"),
        ({"attention": (True,)}, "attention has 1 entries; expected 2"),
    ]

    def make(self):
        model = super().make()
        for last in (model.unet.conv_out, model.fine[-1]):  # they start at zero, which would hide every difference
            torch.nn.init.normal_(last.weight, std=0.1)
        return model

    def inputs(self):
        generator = torch.Generator().manual_seed(1)
        drawn = one_hot(torch.randint(0, 7, (2, 16, 16), generator=generator))
        return torch.randn(2, 7, 16, 16, generator=generator), torch.tensor([10, 900]), drawn

    def test_it_sees_what_is_drawn_but_not_its_background(self):
        model = self.make().eval()
        noisy, timesteps, drawn = self.inputs()
        emptier = drawn.clone()
        emptier[:, 0] = 0
        other = drawn.roll(1, dims=1)
        with torch.no_grad():
            assert torch.equal(model(noisy, timesteps, drawn), model(noisy, timesteps, emptier))
            assert not torch.allclose(model(noisy, timesteps, drawn), model(noisy, timesteps, other))

    def test_cells_are_mended_beyond_what_the_unet_says(self):
        model = self.make().eval()
        noisy, timesteps, drawn = self.inputs()
        with torch.no_grad():
            mended = model(noisy, timesteps, drawn)
            torch.nn.init.zeros_(model.fine[-1].weight)
            plain = model(noisy, timesteps, drawn)
            coarse = MaskDenoiser(**(self.config | {"fine_channels": 0})).eval()
            coarse.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith("fine.")})
            assert torch.equal(coarse(noisy, timesteps, drawn), plain) and not torch.allclose(plain, mended)

    def test_scaled_shares_are_centred(self):
        model = self.make()
        signal = model.config.signal
        assert model.scale(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx([-signal, 0, signal])
