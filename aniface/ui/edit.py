"""Editing a picture: a part of its map changes, the rest of the picture stays as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d, max_pool2d

from ..labels import HAIR, Mask

REACH = 8  # pixels by which the repainted part is larger than the change: outlines lie on both sides of a border
FEATHER = 4  # radius of each of the two blurs of its edge


@dataclass(frozen=True)
class Base:
    """The picture that is edited: 512x512, with the map and the hair colour that it has."""

    picture: Image.Image
    mask: Mask
    hair_color: str | None = None


def changed_part(base: Base, mask: Mask, hair_color: str | None) -> np.ndarray:
    """(H, W) bool: where the map differs from the base's, and the hair if another colour is asked for."""
    changed = mask.ids != base.mask.ids
    if hair_color != base.hair_color:
        changed |= (mask.ids == HAIR) | (base.mask.ids == HAIR)
    return changed


def keep_rest(base: Image.Image, painted: Image.Image, changed: np.ndarray) -> Image.Image:
    """`painted` where `changed`, `base` elsewhere, blended over a soft edge.

    Farther than REACH + 2 * FEATHER pixels (along either axis) from any change, the result has the base's very pixels.

    Args:
        base, painted: RGB pictures of one size.
        changed: (H, W) bool.
    """
    part = max_pool2d(torch.from_numpy(changed)[None].float(), 2 * REACH + 1, stride=1, padding=REACH)
    for _ in range(2):
        part = avg_pool2d(part, 2 * FEATHER + 1, stride=1, padding=FEATHER, count_include_pad=False)
    weight = Image.fromarray((part[0] * 255).round().byte().numpy())
    return Image.composite(painted, base, weight)
