from __future__ import annotations

import torch

from aniface.models.feature_discriminator import FeatureDiscriminator
from aniface.models.mobilenet_v2 import FEATURE_CHANNELS
from aniface.processing import one_hot

from .tester import ModelTester


class TestFeatureDiscriminator(ModelTester):
    model_class = FeatureDiscriminator
    config = {"levels": (1, 3), "width": 4, "deviations": 2}

    def inputs(self):
        generator = torch.Generator().manual_seed(1)
        features = [torch.randn(2, c, 32 >> k, 32 >> k, generator=generator) for k, c in enumerate(FEATURE_CHANNELS)]
        ids = torch.randint(0, 7, (2, 64, 64), generator=generator)
        return features, torch.rand(2, 3, 64, 64, generator=generator), one_hot(ids)

    def test_scores_are_of_the_levels_asked_for_and_blind_to_their_scale(self):
        critic = self.make().eval()
        features, pixels, layout = self.inputs()
        scores = critic(features, pixels, layout)
        assert [s.shape for s in scores] == [(2, 1, 8, 8), (2, 1, 2, 2)]
        for mine, theirs in zip(scores, critic([100 * f for f in features], pixels, layout), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-4)
        features[1] = features[1].roll(5, 1)
        first, second = critic(features, pixels, layout)
        assert not torch.allclose(first, scores[0]) and torch.equal(second, scores[1])

    def test_it_sees_how_much_the_pictures_of_a_group_differ(self):
        critic = self.make().eval()
        features, pixels, layout = self.inputs()
        alone, together = critic(features, pixels, layout), critic(features, pixels, layout, group=2)
        assert not torch.allclose(alone[0], together[0])
        twins = [[f[:1].repeat(2, 1, 1, 1) for f in features], pixels[:1].repeat(2, 1, 1, 1), layout[:1].repeat(2, 1, 1, 1)]
        for of_one, of_twins in zip(critic(*twins), critic(*twins, group=2), strict=True):
            assert torch.allclose(of_one, of_twins, atol=1e-6)
