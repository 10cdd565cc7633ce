"""Pictures and masks to tensors and back: one copy of every range and size rule, for the pipeline, the app and training."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from .labels import MOST_DETAIL, NUM_LABELS, InputError, Mask, check_size, converted, strips


def to_rgb_picture(picture, what: str = "the picture") -> Image.Image:
    """An RGB PIL picture from a PIL picture of any mode or an (H, W, 3) uint8 array; transparent parts become white."""
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8:
            raise InputError(f"{what} is an array of shape {picture.shape} and dtype {picture.dtype}; expected (H, W, 3) uint8")
        picture = Image.fromarray(picture)
    if not isinstance(picture, Image.Image):
        raise InputError(f"{what} is a {type(picture).__name__}; expected a PIL picture or an (H, W, 3) uint8 array")
    check_size(*picture.size, what=what)
    try:
        picture.load()
    except Exception as error:  # Pillow's decoders raise all kinds
        raise InputError(f"{what} is damaged or incomplete ({error}); expected a whole picture") from None
    if picture.mode.startswith("I") or picture.mode == "F":  # 16-bit and float greys: Pillow would clip them
        wide = picture.mode.startswith("I;16") or any((np.asarray(strip) > 255).any() for _, strip in strips(picture))
        levels = np.empty((picture.height, picture.width), np.uint8)
        for top, strip in strips(picture):
            grey = np.nan_to_num(np.asarray(strip, dtype=np.float32)) / (65535.0 if wide else 255.0) * 255
            levels[top : top + strip.height] = np.clip(grey, 0, 255).astype(np.uint8)
        picture = Image.fromarray(levels)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        opaque = Image.new("RGB", picture.size)
        for top, strip in strips(picture):
            rgba = converted(strip, "RGBA", what)
            opaque.paste(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"), (0, top))
        return opaque
    return converted(picture, "RGB", what)


def fit_picture(picture: Image.Image, size: int, resample: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    """Scale an RGB picture to a `size` x `size` square; one that is not square is letterboxed with its mean border colour."""
    if picture.width != picture.height:
        side = max(picture.size)
        if side > MOST_DETAIL:  # its square may have four times the pixels that any picture may have
            picture = picture.resize([max(1, length * MOST_DETAIL // side) for length in picture.size], Image.Resampling.LANCZOS)
            side = max(picture.size)
        array = np.asarray(picture)
        border = np.concatenate([array[0], array[-1], array[:, 0], array[:, -1]]).mean(0)
        square = Image.new("RGB", (side, side), tuple(int(v) for v in border))
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        picture = square
    return picture if picture.width == size else picture.resize((size, size), resample)


def letterbox_window(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """Where a width x height picture lies in its `size` x `size` letterbox: (left, top, right, bottom)."""
    side = max(width, height)
    left, top = round((side - width) / 2 * size / side), round((side - height) / 2 * size / side)
    return left, top, max(left + 1, size - left), max(top + 1, size - top)


def pixels_from_uint8(array: np.ndarray | torch.Tensor) -> torch.Tensor:
    """(..., H, W, 3) uint8 -> (..., 3, H, W) float32 in [-1, 1]."""
    return torch.as_tensor(array).movedim(-1, -3).float() / 127.5 - 1


def uint8_from_pixels(pixels: torch.Tensor) -> np.ndarray:
    """(..., 3, H, W) in [-1, 1] -> (..., H, W, 3) uint8, rounded."""
    return ((pixels.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1).cpu().numpy()


def one_hot(ids: np.ndarray | torch.Tensor) -> torch.Tensor:
    """(B, H, W) class ids -> (B, 7, H, W) float32 of zeros and ones."""
    ids = torch.as_tensor(ids)
    return torch.stack([ids == index for index in range(NUM_LABELS)], 1).float()


def mask_one_hot(mask: Mask, size: int) -> torch.Tensor:
    """A mask of any size as a (1, 7, size, size) one-hot tensor."""
    return one_hot(mask.fit(size).ids[None].copy())


def to_pil(pixels: torch.Tensor) -> list[Image.Image]:
    """(B, 3, H, W) in [-1, 1] -> B PIL pictures."""
    return [Image.fromarray(array) for array in uint8_from_pixels(pixels)]


def resized_argmax(
    planes: np.ndarray,
    width: int,
    height: int,
    window: tuple[float, float, float, float] | None = None,
    resample: Image.Resampling = Image.Resampling.BILINEAR,
) -> np.ndarray:
    """The likeliest class of each pixel of a larger or smaller picture.

    Args:
        planes: (7, H, W) float32 probabilities (or shares, or votes).
        width, height: of the result, in pixels.
        window: the part of the planes that becomes the result: left, top, right, bottom; all of them by default.
        resample: how the planes are scaled. One strip of one is in memory at a time: large results stay affordable, small ones fast.

    Returns:
        (height, width) uint8 class ids.
    """
    left, top, right, bottom = window or (0, 0, planes.shape[2], planes.shape[1])
    pictures = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    ids = np.zeros((height, width), np.uint8)
    rows = max(1, 2**17 // width)
    for first in range(0, height, rows):
        strip = ids[first : first + rows]
        start, end = (top + (bottom - top) * row / height for row in (first, first + len(strip)))
        best = np.full(strip.shape, -np.inf, np.float32)
        for index, picture in enumerate(pictures):
            plane = np.asarray(picture.resize((width, len(strip)), resample, box=(left, start, right, end)))
            np.copyto(strip, np.uint8(index), where=plane > best)
            np.maximum(best, plane, out=best)
    return ids


def seeded_generator(seed: int, number: int) -> torch.Generator:
    """A generator for the `number`-th of several independent random things of one seed."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1))
