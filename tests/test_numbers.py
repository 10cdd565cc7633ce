"""What a picture must not depend on: who else is in the batch, how weights are stored, how many threads compute."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from aniface.labels import HAIR
from aniface.processing import one_hot, pixels_from_uint8
from aniface.random_masks import class_shares
from aniface.segmentation import fused, segment_picture
from aniface.start_masks import start_masks
from aniface.styles import random_noise

LEVEL = 2 / 255  # one of the 255 steps of a picture in [-1, 1]


@pytest.fixture(scope="module")
def faces() -> list:
    return [start_masks()[name] for name in ("bob", "curls", "ribbons")]


def painted(painter, faces, size: int = 256, threads: int | None = None) -> torch.Tensor:
    """Portraits of masks in styles of their own, as one batch: (N, 3, size, size)."""
    codes = torch.cat([random_noise(number, 0, painter.config.latent_dim) for number in range(len(faces))])
    colours = torch.cat([random_noise(number, 1, 3) for number in range(len(faces))]).clamp(-1, 1)
    layout = one_hot(np.stack([mask.fit(size).ids for mask in faces]))
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with torch.inference_mode():
            return painter(layout, codes, colours, torch.ones(len(faces), 5, 1), size=size)
    finally:
        torch.set_num_threads(before)


def test_a_picture_does_not_depend_on_its_batch(bundled, faces):
    """The last bits do, for other routines compute other sizes of batches: a hundredth of a step of 255 is allowed."""
    alone = painted(bundled.painter, faces[:1])
    assert (painted(bundled.painter, faces)[:1] - alone).abs().max() < LEVEL / 100
    pixels = alone.clamp(-1, 1)
    layout = one_hot(faces[0].fit(128).ids[None].copy())
    small = torch.nn.functional.interpolate(pixels, size=128, mode="bilinear")
    noise = torch.randn(3, *small.shape[1:], generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    with torch.inference_mode():
        picture = torch.nn.functional.interpolate(pixels, size=512, mode="bilinear")
        others = torch.nn.functional.interpolate(noise, size=512)
        probabilities = [bundled.segmenter.predict(batch)[0] for batch in (picture, torch.cat([picture, others[:1]]))]
        codes = [bundled.style_encoder(batch, torch.cat([layout] * len(batch)))[0][0] for batch in (small, torch.cat([small, noise[:2]]))]
        shares = torch.cat([class_shares(mask, bundled.mask_denoiser.config.mask_size) for mask in faces])
        steps = torch.full((len(faces),), 500)
        clean = [bundled.mask_denoiser(part, steps[: len(part)], torch.zeros_like(part))[0] for part in (shares[:1], shares)]
    for name, (one, many) in {"segmenter": probabilities, "style encoder": codes, "mask denoiser": clean}.items():
        assert (one - many).abs().max() < 1e-3 * max(1.0, float(one.abs().max())), name


def test_half_precision_storage_costs_less_than_a_step(bundled, faces):
    """Weights of full precision, which the shipped ones were rounded from, are stood for by shipped ones with random last bits."""
    original = copy.deepcopy(bundled.painter)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in original.parameters():
            weights *= 1 + (torch.rand(weights.shape, generator=generator) - 0.5) * 2**-10  # half a step of fp16 to either side
    stored = copy.deepcopy(original).half().float()
    assert any(not torch.equal(a, b) for a, b in zip(original.parameters(), stored.parameters(), strict=True))
    difference = (painted(stored, faces, 512).clamp(-1, 1) - painted(original, faces, 512).clamp(-1, 1)).abs().mean()
    print(f"fp16 storage: {float(difference / LEVEL):.3f} of 255")
    assert difference < LEVEL


def test_one_thread_or_two(bundled, faces):
    """Within a hundredth of a step of 255, in bf16 within half a step in the mean; masks agree in all but one pixel of ten thousand."""
    one, two = (painted(bundled.painter, faces, threads=threads) for threads in (1, 2))
    assert (one - two).abs().max() < LEVEL / 100
    with torch.autocast("cpu", torch.bfloat16):
        rough = [painted(bundled.painter, faces, threads=threads).float() for threads in (1, 2)]
    assert (rough[0] - rough[1]).abs().mean() < LEVEL / 2 and (rough[0] - one).abs().mean() < LEVEL / 2
    picture = ((one[0].clamp(-1, 1) + 1) * 127.5).round().byte().movedim(0, -1).numpy()
    assert torch.allclose(pixels_from_uint8(picture)[0], one[0, 0].clamp(-1, 1), atol=LEVEL)
    before, masks = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        masks.append(bundled.segment(picture).ids)
    torch.set_num_threads(before)
    assert (masks[0] != masks[1]).mean() < 1e-4


def test_fused_batch_norms_change_nothing_but_the_last_digits(bundled):
    picture = bundled(start_masks()["bob"], seed=1).images[0]
    pixels = pixels_from_uint8(np.array(picture.resize((256, 256))))[None]
    network = fused(bundled.segmenter)
    assert network is fused(bundled.segmenter) and not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    with torch.inference_mode():
        assert (network(pixels) - bundled.segmenter(pixels)).abs().max() < 1e-3


def test_a_segmenter_that_has_learnt_is_fused_again(bundled):
    segmenter = copy.deepcopy(bundled.segmenter)
    picture = bundled(start_masks()["bob"], seed=1).images[0]
    before = segment_picture(segmenter, picture).mask
    with torch.no_grad():
        segmenter.head.bias[HAIR] += 100
    assert before != segment_picture(segmenter, picture).mask and (segment_picture(segmenter, picture).mask.ids == HAIR).all()
    assert fused(segmenter.train()) is segmenter
