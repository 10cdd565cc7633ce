from __future__ import annotations

import pytest
import torch

from aniface.models.detail_adapter import DetailAdapter

from .tester import ModelTester


class TestDetailAdapter(ModelTester):
    model_class = DetailAdapter
    config = {"image_size": 16, "width": 8, "channels": (6, 5, 4)}
    bad_configs = [
        ({"channels": ()}, "expected a power of two"),
        ({"image_size": 18}, "image_size 18 cannot be halved 2 times"),
    ]

    def make(self):
        model = super().make()
        for output in model.outputs:  # they start at zero, which would hide every difference
            torch.nn.init.normal_(output.weight, std=0.1)
        return model

    def inputs(self):
        return (torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1)),)

    @staticmethod
    def flat(output):
        return ModelTester.flat(list(output.values()) if isinstance(output, dict) else output)

    def test_features_for_each_resolution(self):
        added = self.make()(*self.inputs())
        assert {size: tuple(part.shape) for size, part in added.items()} == {4: (2, 6, 4, 4), 8: (2, 5, 8, 8), 16: (2, 4, 16, 16)}

    def test_no_details_add_nothing_and_neither_does_a_new_adapter(self):
        assert not any(part.any() for part in self.make()(torch.zeros(1, 4, 16, 16)).values())
        assert not any(part.any() for part in DetailAdapter(**self.config)(*self.inputs()).values())

    def test_what_is_added_lies_where_the_details_are(self):
        details = torch.zeros(1, 4, 16, 16)
        details[..., :4, :4] = 1
        for size, part in self.make()(details).items():
            assert part[..., : size // 4, : size // 4].any() and not part[..., size * 3 // 4 :, size * 3 // 4 :].any()

    @pytest.mark.parametrize("channels", [(4,), (5, 4)])
    def test_fewer_resolutions(self, channels):
        added = DetailAdapter(image_size=16, width=8, channels=channels)(*self.inputs())
        assert list(added) == [16 >> level for level in reversed(range(len(channels)))]
