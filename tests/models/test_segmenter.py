from __future__ import annotations

import pytest
import torch

from aniface.models.segmenter import VERSIONS, FaceSegmenter

from .tester import ModelTester


class TestFaceSegmenter(ModelTester):
    model_class = FaceSegmenter
    config = {"image_size": 64, "decoder_channels": (8, 8, 8, 8, 8), "context_layers": 1, "detail_channels": 4}
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


def test_mirrored_averaging_commutes_with_mirroring():
    model = FaceSegmenter(image_size=64).eval()
    picture = torch.randn(1, 3, 64, 64)
    mirrored = model.predict(picture.flip(-1), average_mirrored=True).flip(-1)
    assert torch.allclose(mirrored, model.predict(picture, average_mirrored=True), atol=1e-5)


def test_context_lets_one_corner_change_the_opposite_one():
    torch.manual_seed(0)
    model = FaceSegmenter(image_size=256, decoder_channels=(8, 8, 8, 8, 8), context_layers=1).eval()
    pictures = torch.randn(2, 3, 256, 256)
    pictures[1, :, 32:] = pictures[0, :, 32:]  # they differ at the top only
    with torch.inference_mode():
        bottom = model(pictures)[:, :, -16:]
    assert not torch.equal(bottom[0], bottom[1])
