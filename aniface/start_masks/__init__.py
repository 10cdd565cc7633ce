"""Masks to start from, by name, and random faces made of them. The PNGs are labels only: no picture is behind them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..labels import Mask, vote_resize

SIZE = 512


@cache
def start_masks() -> dict[str, Mask]:
    """The start masks by name, 512x512."""
    return {path.stem: Mask.open(path) for path in sorted(Path(__file__).parent.glob("*.png"))}


def random_face(seed: int) -> Mask:
    """A start mask drawn by `seed`: mirrored or not, turned, scaled, shifted and bent at random, so that no two are alike."""
    rng = np.random.default_rng(seed)
    masks = list(start_masks().values())
    ids = masks[rng.integers(len(masks))].ids
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    angle, zoom = rng.normal(0, 0.07), np.exp(rng.normal(0, 0.08))
    mirror = rng.choice([-1, 1])
    across = mirror * zoom * (np.cos(angle) * x - np.sin(angle) * y) + rng.normal(0, 0.04)
    down = zoom * (np.sin(angle) * x + np.cos(angle) * y) + rng.normal(0, 0.02)
    bends = rng.normal(0, 0.025, (2, 5, 5)).astype(np.float32)
    across, down = (
        a + np.asarray(Image.fromarray(bend).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        for a, bend in zip((across, down), bends, strict=True)
    )
    column, row = (((a + 1) / 2 * (SIZE - 1)).round().clip(0, SIZE - 1).astype(int) for a in (across, down))
    return Mask(vote_resize(vote_resize(ids[row, column], SIZE // 2), SIZE))  # smooths the steps that sampling leaves
