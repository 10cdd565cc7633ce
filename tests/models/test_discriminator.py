from __future__ import annotations

import torch

from aniface.models.discriminator import MultiscaleDiscriminator
from aniface.processing import one_hot

from .tester import ModelTester


class TestMultiscaleDiscriminator(ModelTester):
    model_class = MultiscaleDiscriminator
    config = {"num_scales": 2, "width": 4, "num_layers": 3}

    def inputs(self):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(2, 3, 64, 64, generator=generator), one_hot(torch.randint(0, 7, (2, 64, 64), generator=generator))

    def test_scales_and_patches(self):
        fine, coarse = self.make()(*self.inputs())
        assert fine[-1].shape == (2, 1, 8, 8) and coarse[-1].shape == (2, 1, 4, 4)
        assert len(fine) == 4
