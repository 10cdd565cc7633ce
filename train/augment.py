"""Augmentation of a picture and its mask together: rotate, scale, mirror, warp; then the picture's colours alone.

Every function takes a numpy Generator and nothing else that is random, and works on the device that the pictures are on.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from aniface.labels import BACKGROUND, FACE, NUM_LABELS, SKIN

LUMA = np.array([0.299, 0.587, 0.114])
YCBCR = np.array([LUMA, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
FREQUENCIES = np.arange(8)
WAVES = np.cos((2 * FREQUENCIES[None] + 1) * FREQUENCIES[:, None] * math.pi / 16) * np.where(FREQUENCIES, 0.5, 0.5**1.5)[:, None]
COSINES = np.einsum("uy,vx->uvyx", WAVES, WAVES).reshape(64, 1, 8, 8)
# fmt: off
JPEG_TABLES = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
     18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
     72, 92, 95, 98, 112, 100, 103, 99],
    [17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
     *[99] * 32],
])
# fmt: on


def upload(values, device: torch.device | str) -> torch.Tensor:
    """A float32 tensor of numbers on a device, without waiting for it: on a GPU every wait costs more than what is done here."""
    return torch.from_numpy(np.asarray(values, np.float32)).to(device, non_blocking=True)


def random_grid(
    rng: np.random.Generator,
    size: int,
    rotate: float = 25,
    scale=(0.7, 1.4),
    shift: float = 0.12,
    warp: float = 0.05,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """A (1, size, size, 2) sampling grid: mirror, rotation (degrees), zoom, shift and a smooth elastic warp (shares of the side)."""
    angle = math.radians(rng.uniform(-rotate, rotate))
    zoom = math.exp(rng.uniform(math.log(scale[0]), math.log(scale[1])))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    dx, dy = rng.uniform(-2 * shift, 2 * shift, 2)
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    theta = upload([[[mirror * cos, -mirror * sin, dx], [sin, cos, dy]]], device)
    grid = F.affine_grid(theta, [1, 1, size, size], align_corners=False)
    knots = upload(rng.normal(0, warp, (1, 2, 6, 6)), device)
    return grid + F.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True).movedim(1, -1)


def warp(pixels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample a picture (3, H, W) at the grid's places; outside it is mirrored."""
    return F.grid_sample(pixels[None], grid, mode="bilinear", padding_mode="reflection", align_corners=False)[0]


def warp_pair(pixels: torch.Tensor, ids: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample picture and mask (H, W) at the same places."""
    mask = F.grid_sample(ids[None, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False)[0, 0]
    return warp(pixels, grid), mask.to(ids.dtype)


def hue_rotation(angle: float) -> np.ndarray:
    """3x3 matrix that turns the hue of RGB colours by `angle` radians about the grey axis."""
    cos, sin, third = math.cos(angle), math.sin(angle) / math.sqrt(3), (1 - math.cos(angle)) / 3
    return np.array(
        [[cos + third, third - sin, third + sin], [third + sin, cos + third, third - sin], [third - sin, third + sin, cos + third]]
    )


def shift_region_colours(pixels: torch.Tensor, ids: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Turn hue, saturation and brightness of each region by its own random amount: classes are learnt by shape, not by colour."""
    matrices = np.tile(np.eye(3), (NUM_LABELS, 1, 1))
    for index in range(NUM_LABELS):
        if rng.random() < 0.5:
            continue
        strength = 0.15 if index in (SKIN, FACE) else 1.0  # skin stays near skin
        turned = hue_rotation(rng.uniform(-math.pi, math.pi) * strength)
        saturation = rng.uniform(0.4, 1.4)
        turned = saturation * turned + (1 - saturation) * LUMA @ turned
        matrices[index] = rng.uniform(0.7, 1.25) * turned
    of_pixels = upload(matrices, pixels.device)[ids]
    colours = (of_pixels * ((pixels + 1) / 2).movedim(0, -1)[..., None, :]).sum(-1)
    return colours.movedim(-1, 0).clamp(0, 1) * 2 - 1


def gradient(size: int, rng: np.random.Generator, device: torch.device | str = "cpu") -> torch.Tensor:
    """(3, size, size) of a few random colours that run into each other."""
    knots = upload(rng.uniform(-1, 1, (1, 3, *rng.integers(1, 5, 2))), device)
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
    """What JPEG at a quality of 1 to 100 leaves of a picture (3, H, W), sides multiples of 16: the cosine transform of blocks of 8 x 8,
    rounded (ITU-T T.81, annex A.3.3 and tables K.1 and K.2), of colours at half the resolution."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    basis, tables = upload(COSINES, pixels.device), upload(((JPEG_TABLES * scale + 50) // 100).clip(1, 255), pixels.device)
    luma_chroma = torch.einsum("ij,jhw->ihw", upload(YCBCR, pixels.device), pixels * 127.5)

    def rounded(planes: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        table = table[:, None, None]
        return F.conv_transpose2d((F.conv2d(planes[:, None], basis, stride=8) / table).round() * table, basis, stride=8)[:, 0]

    luma = rounded(luma_chroma[:1], tables[0])
    chroma = rounded(F.avg_pool2d(luma_chroma[1:], 2), tables[1])
    chroma = F.interpolate(chroma[None], scale_factor=2, mode="bilinear")[0]
    colours = torch.einsum("ij,jhw->ihw", upload(np.linalg.inv(YCBCR), pixels.device), torch.cat([luma, chroma]))
    return (colours / 127.5).clamp(-1, 1)


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
        generator = torch.Generator(pixels.device).manual_seed(int(rng.integers(2**31)))
        noise = torch.randn(pixels.shape, generator=generator, device=pixels.device) * rng.uniform(0.01, 0.08)
        pixels = (pixels + noise).clamp(-1, 1)
    if rng.random() < 0.25:
        side = int(size * rng.uniform(0.08, 0.25))
        y, x = rng.integers(0, size - side, 2)
        pixels = pixels.clone()
        pixels[:, y : y + side, x : x + side] = upload(rng.uniform(-1, 1, (3, 1, 1)), pixels.device)
    return pixels


def change_looks(pixels: torch.Tensor, ids: torch.Tensor, rng: np.random.Generator, other: torch.Tensor) -> torch.Tensor:
    """Other colours, background and quality; every pixel stays what it is. `other` is another picture of the same shape (3, H, H)."""
    if rng.random() < 0.4:
        pixels = shift_region_colours(pixels, ids, rng)
    if rng.random() < 0.25:
        pixels = replace_background(
            pixels, ids, gradient(pixels.shape[-1], rng, pixels.device) if rng.random() < 0.5 else zoomed_part(other, rng)
        )
    return shift_picture(pixels, rng)


def augment_pair(pixels: torch.Tensor, ids: torch.Tensor, rng: np.random.Generator, other: torch.Tensor):
    """(3, H, H) picture in [-1, 1] and (H, H) mask -> an augmented pair of the same shapes; see `change_looks` for `other`."""
    pixels, ids = warp_pair(pixels, ids, random_grid(rng, pixels.shape[-1], device=pixels.device))
    return change_looks(pixels, ids, rng, other), ids
