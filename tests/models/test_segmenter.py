from __future__ import annotations

import numpy as np
import pytest
import torch

from aniface.models.segmenter import VERSIONS, ColourAffinity, FaceSegmenter
from aniface.segmentation import segment_picture

from .tester import ModelTester


class TestFaceSegmenter(ModelTester):
    model_class = FaceSegmenter
    config = {"image_size": 64, "decoder_channels": (8, 8, 8, 8, 8), "context_layers": 1, "detail_channels": 4, "affinity_channels": 8}
    bad_configs = [
        ({"image_size": 100}, "image_size is 100; expected a multiple of 32"),
        ({"upsampling": "magic"}, "upsampling is 'magic'; expected one of"),
        ({"decoder_channels": (8,)}, "decoder_channels has 1 entries; expected 5"),
    ]

    def inputs(self):
        return (torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)),)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_versions(version):
    model = FaceSegmenter(**VERSIONS[version]).eval()
    transposed = any(isinstance(m, torch.nn.ConvTranspose2d) for m in model.modules())
    assert transposed == (version in ("v1", "v2")) and (model.context is not None) == (version == "v4")
    probabilities = model.predict(torch.zeros(1, 3, 96, 96))
    assert probabilities.shape == (1, 7, 96, 96)
    assert torch.allclose(probabilities.sum(1), torch.ones(1, 96, 96), atol=1e-4)


def test_a_copy_for_another_size_guesses_as_the_network_did_there():
    torch.manual_seed(0)
    model = FaceSegmenter(**TestFaceSegmenter.config).eval()
    pixels = torch.randn(1, 3, 96, 96)
    copy = model.at_size(96)
    assert copy.config.image_size == 96 and torch.allclose(copy(pixels), model(pixels), atol=1e-5)
    assert torch.allclose(copy.predict(pixels), model(pixels).softmax(1), atol=1e-5)
    with pytest.raises(ValueError, match="image_size is 100; expected a multiple of 32"):
        model.at_size(100)


def test_context_lets_one_corner_change_the_opposite_one():
    torch.manual_seed(0)
    model = FaceSegmenter(image_size=256, decoder_channels=(8, 8, 8, 8, 8), context_layers=1).eval()
    pictures = torch.randn(2, 3, 256, 256)
    pictures[1, :, 32:] = pictures[0, :, 32:]  # they differ at the top only
    with torch.inference_mode():
        bottom = model(pictures)[:, :, -16:]
    assert not torch.equal(bottom[0], bottom[1])


def test_affinity_starts_as_the_bilateral_kernel_of_colour_and_place():
    torch.manual_seed(0)
    affinity = ColourAffinity(4, 8, colour_deviation=0.2, place_deviation=0.5)
    features, pixels = torch.randn(1, 4, 16, 16), torch.rand(1, 3, 64, 64) * 2 - 1
    assert torch.equal(affinity(features, pixels), features)  # it says nothing yet
    with torch.no_grad():
        affinity.kernel.weight[5:] = 0
        affinity.join.weight.normal_()
        heard = affinity(features, pixels)[0, :, 3, 9] - features[0, :, 3, 9]
        colours = pixels[0, :, 4::8, 4::8].flatten(1) - pixels[0, :, 3 * 4 + 2, 9 * 4 + 2, None]
        rows, columns = torch.meshgrid((torch.arange(8) + 0.5) / 8, (torch.arange(8) + 0.5) / 8, indexing="ij")
        places = torch.stack([rows - 3.5 / 16, columns - 9.5 / 16]).flatten(1)
        kernel = (-colours.square().sum(0) / (2 * 0.2**2) - places.square().sum(0) / (2 * 0.5**2)).exp()
        message = affinity.message(torch.nn.functional.avg_pool2d(features, 2))[0].flatten(1)
        mean = (message * kernel).sum(1) / kernel.sum()
        expected = affinity.join(mean[None, :, None, None])[0, :, 0, 0]
    assert torch.allclose(heard, expected, atol=1e-4)


def test_affinity_joins_what_is_of_one_colour_and_not_what_is_of_another():
    torch.manual_seed(0)
    affinity = ColourAffinity(4, 8)
    with torch.no_grad():
        affinity.kernel.weight[5:] = 0
        affinity.join.weight.normal_()
    pixels = torch.full((1, 3, 64, 64), -1.0)
    pixels[..., 32:] = 1.0  # left black, right white
    features = torch.randn(1, 4, 16, 16)
    changed = features.clone()
    changed[..., :4, 8:] += 1.0  # at the top of the white half
    with torch.inference_mode():
        difference = (affinity(changed, pixels) - affinity(features, pixels)).abs().amax(1)[0]
    assert difference[8:, 8:].min() > 1e-3 and difference[:, :8].max() < 1e-5


def test_affinity_in_half_precision():
    torch.manual_seed(0)
    model = FaceSegmenter(image_size=64, decoder_channels=(8,) * 5, affinity_channels=8).eval()
    torch.nn.init.normal_(model.affinity.join.weight)
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    expected = model.predict(picture)
    assert (model.to(torch.bfloat16).predict(picture) - expected).abs().max() < 0.1


def test_masks_of_transposed_versions_are_scaled_in_blocks_as_in_the_article():
    torch.manual_seed(0)
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    blocks = {}
    for upsampling in ("transposed", "bilinear"):
        model = FaceSegmenter(image_size=64, upsampling=upsampling, decoder_channels=(8, 8, 8, 8, 8)).eval()
        torch.nn.init.zeros_(model.head.bias)  # or one class would be the likeliest everywhere
        ids = segment_picture(model, picture).mask.ids
        assert len(np.unique(ids)) > 1
        blocks[upsampling] = bool((ids == ids[::2, ::2].repeat(2, 0).repeat(2, 1)).all())
    assert blocks == {"transposed": True, "bilinear": False}
