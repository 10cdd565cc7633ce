"""Augmentation of a picture and its mask together: rotate, scale, mirror, warp; then the picture's colours alone.

Every function takes a numpy Generator and nothing else that is random.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from aniface.labels import NUM_LABELS

LUMA = torch.tensor([0.299, 0.587, 0.114])


def random_grid(rng: np.random.Generator, size: int, rotate: float = 25, scale=(0.7, 1.4), shift: float = 0.12, warp: float = 0.05):
    """A (1, size, size, 2) sampling grid: mirror, rotation (degrees), zoom, shift and a smooth elastic warp (shares of the side)."""
    angle = math.radians(rng.uniform(-rotate, rotate))
    zoom = math.exp(rng.uniform(math.log(scale[0]), math.log(scale[1])))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    dx, dy = rng.uniform(-2 * shift, 2 * shift, 2)
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    theta = torch.tensor([[[mirror * cos, -mirror * sin, dx], [sin, cos, dy]]], dtype=torch.float32)
    grid = F.affine_grid(theta, [1, 1, size, size], align_corners=False)
    knots = torch.from_numpy(rng.normal(0, warp, (1, 2, 6, 6)).astype(np.float32))
    return grid + F.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True).movedim(1, -1)


def warp_pair(pixels: torch.Tensor, ids: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample picture (3, H, W, bilinear) and mask (H, W, nearest) at the same places; outside, both are mirrored."""
    kwargs = {"padding_mode": "reflection", "align_corners": False}
    picture = F.grid_sample(pixels[None], grid, mode="bilinear", **kwargs)[0]
    mask = F.grid_sample(ids[None, None].float(), grid, mode="nearest", **kwargs)[0, 0]
    return picture, mask.to(ids.dtype)


def hue_rotation(angle: float) -> torch.Tensor:
    """3x3 matrix that turns the hue of RGB colours by `angle` radians about the grey axis."""
    cos, sin, third = math.cos(angle), math.sin(angle) / math.sqrt(3), (1 - math.cos(angle)) / 3
    return torch.tensor(
        [[cos + third, third - sin, third + sin], [third + sin, cos + third, third - sin], [third - sin, third + sin, cos + third]]
    )


def shift_region_colours(pixels: torch.Tensor, ids: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Turn hue, saturation and brightness of each region by its own random amount: classes are learnt by shape, not by colour."""
    result = pixels.clone()
    for index in range(NUM_LABELS):
        if rng.random() < 0.5:
            continue
        inside = ids == index
        colours = (pixels[:, inside] + 1) / 2
        strength = 0.15 if index in (1, 2) else 1.0  # skin stays near skin
        colours = hue_rotation(rng.uniform(-math.pi, math.pi) * strength) @ colours
        grey = LUMA @ colours
        colours = grey + (colours - grey) * rng.uniform(0.4, 1.4)
        result[:, inside] = (colours * rng.uniform(0.7, 1.25)).clamp(0, 1) * 2 - 1
    return result


def shift_picture(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Brightness, contrast, blur, coarse resolution, noise and cutout of a whole picture."""
    pixels = (pixels * rng.uniform(0.75, 1.2) + rng.uniform(-0.25, 0.25)).clamp(-1, 1)
    size = pixels.shape[-1]
    if rng.random() < 0.3:
        small = F.interpolate(pixels[None], size=int(size * rng.uniform(0.35, 0.9)), mode="bilinear", antialias=True)
        pixels = F.interpolate(small, size=size, mode="bilinear")[0]
    if rng.random() < 0.3:
        noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0.01, 0.08))
        pixels = (pixels + torch.from_numpy(noise)).clamp(-1, 1)
    if rng.random() < 0.25:
        side = int(size * rng.uniform(0.08, 0.25))
        y, x = rng.integers(0, size - side, 2)
        pixels = pixels.clone()
        pixels[:, y : y + side, x : x + side] = torch.from_numpy(rng.uniform(-1, 1, (3, 1, 1)).astype(np.float32))
    return pixels


def augment_pair(pixels: torch.Tensor, ids: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(3, H, H) picture in [-1, 1] and (H, H) mask -> an augmented pair of the same shapes."""
    pixels, ids = warp_pair(pixels, ids, random_grid(rng, pixels.shape[-1]))
    if rng.random() < 0.6:
        pixels = shift_region_colours(pixels, ids, rng)
    return shift_picture(pixels, rng), ids
