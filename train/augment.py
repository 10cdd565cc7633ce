"""Augmentation of a picture and its mask together: rotate, scale, mirror, warp; then the picture's colours alone.

Every function takes a numpy Generator and nothing else that is random.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from aniface.labels import BACKGROUND, NUM_LABELS
from aniface.processing import pixels_from_uint8

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


def warp(pixels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample a picture (3, H, W) at the grid's places; outside it is mirrored."""
    return F.grid_sample(pixels[None], grid, mode="bilinear", padding_mode="reflection", align_corners=False)[0]


def warp_pair(pixels: torch.Tensor, ids: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample picture and mask (H, W) at the same places."""
    mask = F.grid_sample(ids[None, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False)[0, 0]
    return warp(pixels, grid), mask.to(ids.dtype)


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


def gradient(size: int, rng: np.random.Generator) -> torch.Tensor:
    """(3, size, size) of a few random colours that run into each other."""
    knots = torch.from_numpy(rng.uniform(-1, 1, (1, 3, *rng.integers(1, 5, 2))).astype(np.float32))
    return F.interpolate(knots, size=(size, size), mode="bilinear", align_corners=False)[0]


def zoomed_part(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A random square of a picture, enlarged to its size."""
    size = pixels.shape[-1]
    side = int(size * rng.uniform(0.25, 0.6))
    y, x = rng.integers(0, size - side, 2)
    return F.interpolate(pixels[None, :, y : y + side, x : x + side], size=(size, size), mode="bilinear")[0]


def replace_background(pixels: torch.Tensor, ids: torch.Tensor, behind: torch.Tensor) -> torch.Tensor:
    """Put the picture's people before `behind` (3, H, H), with a soft border of a pixel."""
    hidden = F.avg_pool2d((ids == BACKGROUND).float()[None, None], 3, stride=1, padding=1, count_include_pad=False)[0]
    return torch.lerp(pixels, behind, hidden)


def jpeg(pixels: torch.Tensor, quality: int) -> torch.Tensor:
    """The picture after it was saved as a JPEG file."""
    data = io.BytesIO()
    Image.fromarray(((pixels.movedim(0, -1) + 1) * 127.5).round().byte().numpy()).save(data, "jpeg", quality=quality)
    return pixels_from_uint8(np.array(Image.open(data)))


def shift_picture(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Brightness, contrast, coarse resolution, JPEG, noise and cutout of a whole picture."""
    pixels = (pixels * rng.uniform(0.75, 1.2) + rng.uniform(-0.25, 0.25)).clamp(-1, 1)
    size = pixels.shape[-1]
    if rng.random() < 0.3:
        small = F.interpolate(pixels[None], size=int(size * rng.uniform(0.35, 0.9)), mode="bilinear", antialias=True)
        pixels = F.interpolate(small, size=size, mode="bilinear")[0]
    if rng.random() < 0.15:
        pixels = jpeg(pixels, int(rng.integers(25, 80)))
    if rng.random() < 0.3:
        noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0.01, 0.08))
        pixels = (pixels + torch.from_numpy(noise)).clamp(-1, 1)
    if rng.random() < 0.25:
        side = int(size * rng.uniform(0.08, 0.25))
        y, x = rng.integers(0, size - side, 2)
        pixels = pixels.clone()
        pixels[:, y : y + side, x : x + side] = torch.from_numpy(rng.uniform(-1, 1, (3, 1, 1)).astype(np.float32))
    return pixels


def change_looks(pixels: torch.Tensor, ids: torch.Tensor, rng: np.random.Generator, other: torch.Tensor) -> torch.Tensor:
    """Other colours, background and quality; every pixel stays what it is. `other` is another picture of the same shape (3, H, H)."""
    if rng.random() < 0.4:
        pixels = shift_region_colours(pixels, ids, rng)
    if rng.random() < 0.25:
        pixels = replace_background(pixels, ids, gradient(pixels.shape[-1], rng) if rng.random() < 0.5 else zoomed_part(other, rng))
    return shift_picture(pixels, rng)


def augment_pair(pixels: torch.Tensor, ids: torch.Tensor, rng: np.random.Generator, other: torch.Tensor):
    """(3, H, H) picture in [-1, 1] and (H, H) mask -> an augmented pair of the same shapes; see `change_looks` for `other`."""
    pixels, ids = warp_pair(pixels, ids, random_grid(rng, pixels.shape[-1]))
    return change_looks(pixels, ids, rng, other), ids
