from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import numpy as np
import pytest
import torch

from aniface import AnifacePipeline, DetailAdapter, FacePainter, FaceSegmenter, HairColors, Mask, MaskDenoiser, StyleEncoder
from aniface.random_masks import make_scheduler
from train.toy_data import draw_mask, draw_picture, write_toy_data


@pytest.fixture(scope="session")
def bundled() -> AnifacePipeline:
    """The pipeline on the weights that ship."""
    return AnifacePipeline.from_pretrained()


@pytest.fixture()
def tiny() -> AnifacePipeline:
    """A pipeline of small untrained networks: right shapes, quick."""
    torch.manual_seed(0)
    painter = FacePainter(channels=(8, 8, 8, 8, 8, 8), spade_hidden=4, latent_dim=4, style_channels=8, head_channels=4)
    segmenter = FaceSegmenter(image_size=64, decoder_channels=(8, 8, 8, 8, 8))
    encoder, adapter = StyleEncoder(image_size=32, channels=(8, 8), latent_dim=4), DetailAdapter(width=4, channels=(8, 8, 8))
    return AnifacePipeline(segmenter, encoder, HairColors(4), painter, detail_adapter=adapter)


@pytest.fixture()
def drawing(tiny) -> AnifacePipeline:
    """The tiny pipeline with a tiny untrained mask denoiser: no faces, but masks."""
    torch.manual_seed(0)
    denoiser = MaskDenoiser(mask_size=16, channels=(8, 16), time_dim=8)
    torch.nn.init.normal_(denoiser.unet.conv_out.weight, std=0.3)
    return AnifacePipeline(**tiny.components | {"mask_denoiser": denoiser, "mask_scheduler": make_scheduler()})


@pytest.fixture(scope="session")
def toy_mask() -> Mask:
    return draw_mask(np.random.default_rng(0))


@pytest.fixture(scope="session")
def toy_picture(toy_mask) -> np.ndarray:
    return draw_picture(toy_mask, np.random.default_rng(0))[0]


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    """16 toy portraits of 128 px with labelme annotations."""
    folder = tmp_path_factory.mktemp("toy") / "data"
    write_toy_data(folder, 16, size=128)
    return folder
