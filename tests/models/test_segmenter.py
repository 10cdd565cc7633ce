from __future__ import annotations

import pytest
import torch

from aniface.models.segmenter import ARTICLE_VERSIONS, FaceSegmenter

from .tester import ModelTester


class TestFaceSegmenter(ModelTester):
    model_class = FaceSegmenter
    config = {"image_size": 64, "decoder_channels": (8, 8, 8, 8, 8)}
    bad_configs = [
        ({"image_size": 100}, "image_size is 100; expected a multiple of 32"),
        ({"upsampling": "magic"}, "upsampling is 'magic'; expected one of"),
        ({"decoder_channels": (8,)}, "decoder_channels has 1 entries; expected 5"),
    ]

    def inputs(self):
        return (torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)),)


@pytest.mark.parametrize("version", ARTICLE_VERSIONS)
def test_the_articles_versions(version):
    model = FaceSegmenter(**ARTICLE_VERSIONS[version]).eval()
    transposed = any(isinstance(m, torch.nn.ConvTranspose2d) for m in model.modules())
    assert transposed == (version != "v3")
    probabilities = model.predict(torch.zeros(1, 3, 96, 96))
    assert probabilities.shape == (1, 7, 96, 96)
    assert torch.allclose(probabilities.sum(1), torch.ones(1, 96, 96), atol=1e-4)


def test_mirrored_averaging_commutes_with_mirroring():
    model = FaceSegmenter(image_size=64).eval()
    picture = torch.randn(1, 3, 64, 64)
    mirrored = model.predict(picture.flip(-1), average_mirrored=True).flip(-1)
    assert torch.allclose(mirrored, model.predict(picture, average_mirrored=True), atol=1e-5)
