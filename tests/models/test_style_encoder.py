from __future__ import annotations

import torch

from aniface.models.style_encoder import StyleEncoder, region_means
from aniface.processing import one_hot

from .tester import ModelTester


class TestStyleEncoder(ModelTester):
    model_class = StyleEncoder
    config = {"image_size": 32, "channels": (8, 8), "latent_dim": 4}
    bad_configs = [({"latent_dim": 0}, "latent_dim 0"), ({"channels": (8,)}, "1 channels")]

    def inputs(self):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(2, 3, 32, 32, generator=generator), one_hot(torch.randint(0, 7, (2, 32, 32), generator=generator))


def test_an_absent_region_gets_a_standard_normal():
    layout = one_hot(torch.zeros(1, 32, 32))  # background only
    mean, log_variance = StyleEncoder(image_size=32, channels=(8, 8), latent_dim=4)(torch.randn(1, 3, 32, 32), layout)
    assert mean[0, 0].abs().sum() > 0
    assert not mean[0, 1:].any() and not log_variance[0, 1:].any()


def test_region_means_are_the_regions_colours():
    ids = torch.zeros(1, 8, 8)
    ids[:, 4:] = 5  # hair below
    values = torch.zeros(1, 3, 8, 8)
    values[:, 1, 4:] = 0.5
    means, present = region_means(values, one_hot(ids))
    assert torch.allclose(means[0, 3], torch.tensor([0, 0.5, 0])) and not means[0, 0].any()
    assert present[0, :, 0].tolist() == [1, 0, 0, 1, 0]


def test_a_regions_code_does_not_depend_on_far_away_pixels():
    encoder = StyleEncoder().eval()
    ids = torch.zeros(1, 128, 128)
    ids[:, :30] = 5
    picture = torch.randn(1, 3, 128, 128)
    changed = picture.clone()
    changed[:, :, 80:] = 0
    first, second = encoder(picture, one_hot(ids))[0], encoder(changed, one_hot(ids))[0]
    assert torch.allclose(first[0, 3], second[0, 3], atol=1e-6) and not torch.allclose(first[0, 0], second[0, 0])


def test_random_codes_follow_the_fitted_prior():
    generator = torch.Generator().manual_seed(0)
    encoder = StyleEncoder(image_size=32, channels=(8, 8), latent_dim=3)
    noise = torch.randn(4000, 5, 6, generator=generator)
    codes, colours = encoder.sample(noise)  # unfitted: N(0, I), but for its tails
    assert (codes - noise[..., :3]).abs().mean() < 0.02 and colours.abs().max() <= 1
    mixing = torch.randn(15, 15, generator=generator)
    codes = 2 + (torch.randn(4000, 15, generator=generator) @ mixing).view(4000, 5, 3)
    # Two heaps, which a normal distribution would join, of greys, which independent channels would colour.
    colours = torch.where(codes[..., :1] > 2, 0.8, -0.5).expand(-1, -1, 3)
    present = torch.ones(4000, 5, 1)
    present[3900:, 1] = 0
    codes[3900:, 1] = 1e6  # absent: not looked at
    encoder.fit_prior(codes, colours, present)
    drawn, drawn_colours = encoder.sample(noise)
    known, drawn = codes[:3900].flatten(1), drawn.flatten(1)
    assert torch.allclose(drawn.mean(0), known.mean(0), atol=0.3)
    assert torch.allclose(torch.corrcoef(drawn.T), torch.corrcoef(known.T), atol=0.1)  # across regions too
    assert ((drawn_colours - 0.8).abs().minimum((drawn_colours + 0.5).abs()) < 0.01).float().mean() > 0.95
    assert (drawn_colours.amax(-1) - drawn_colours.amin(-1)).max() < 0.01
    assert ((drawn_colours > 0) == (drawn.view(4000, 5, 3)[..., :1] > 2)).float().mean() > 0.65  # and they go with the codes
