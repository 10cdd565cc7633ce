"""Animations: hair that turns from colour to colour, as GIF, WebP or MP4."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .hair import HAIR_COLORS, parse_hair_color
from .labels import InputError, Mask, write_atomically
from .processing import to_pil

MAX_FRAMES = 600
FORMATS = (".gif", ".webp", ".mp4")


@torch.inference_mode()
def hair_animation(
    pipe,
    mask,
    reference=None,
    colors: Sequence[str] | None = None,
    frames_per_color: int = 8,
    seed: int = 0,
    style_strength: float = 1.0,
    region_references=None,
    progress: Callable[[Iterator, int], Iterator] | None = None,
) -> list[Image.Image]:
    """A portrait whose hair turns from each colour to the next and from the last to the first: it loops.

    Args:
        pipe: an `AnifacePipeline`.
        mask, reference, seed, style_strength, region_references: as for the pipeline's call.
        colors: two or more names or "#rrggbb"; by default all of `HAIR_COLORS`.
        frames_per_color: frames from one colour to the next.
        progress: called with an iterator over the frames and their number, returns it wrapped (as `tqdm` does).

    Returns:
        len(colors) * frames_per_color pictures of 512x512.

    Raises:
        InputError: fewer than two colours, an unknown one, or too many frames.
    """
    colors = list(HAIR_COLORS) if colors is None else list(colors)
    if len(colors) < 2:
        raise InputError(f"an animation of {len(colors)} colours; expected at least 2")
    if not frames_per_color >= 1 or len(colors) * frames_per_color > MAX_FRAMES:
        raise InputError(f"{len(colors)} colours of {frames_per_color} frames; expected 1 to {MAX_FRAMES} frames in all")
    targets = [parse_hair_color(color) for color in colors]
    layout = pipe.layout_of(Mask.of(mask))
    style = pipe.choose_style(layout, pipe.see_style(reference, region_references), seed, style_strength=style_strength)

    def paint() -> Iterator[Image.Image]:
        first = before = pipe.recolour(style, layout, "hair", targets[0])
        for target in [*targets[1:], None]:
            after = first if target is None else pipe.recolour(style, layout, "hair", target)
            for step in range(frames_per_color):
                yield to_pil(pipe.paint_style(layout, before.lerp(after, ease(step / frames_per_color))))[0]
            before = after

    frames = paint()
    return list(frames if progress is None else progress(frames, len(colors) * frames_per_color))


def ease(share: float) -> float:
    """0..1 -> 0..1, slow at both ends, so that the eye rests on each colour."""
    return (1 - math.cos(math.pi * share)) / 2


def save_animation(frames: Sequence[Image.Image], path, frames_per_second: float = 12) -> Path:
    """Write frames as a looping .gif or .webp, or as an .mp4 (which needs the `video` extra).

    Raises:
        InputError: an unknown ending, or the file cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in FORMATS:
        raise InputError(f"{target}: ends in {target.suffix or 'nothing'}; expected {', '.join(FORMATS)}")
    milliseconds = round(1000 / frames_per_second)
    if kind == ".mp4":
        return write_atomically(target, lambda temporary: write_mp4(frames, temporary, frames_per_second))
    options: dict[str, Any]
    if kind == ".gif":
        frames = with_one_palette(frames)
        options = {"format": "GIF", "disposal": 1, "optimize": False}
    else:
        options = {"format": "WEBP", "quality": 88, "method": 2}
    options |= {"save_all": True, "append_images": frames[1:], "duration": milliseconds, "loop": 0}
    return write_atomically(target, lambda temporary: frames[0].save(temporary, **options))


def with_one_palette(frames: Sequence[Image.Image], samples: int = 8) -> list[Image.Image]:
    """The frames in one palette of 256 colours, made of some of them: a palette a frame would flicker."""
    chosen = [np.asarray(frames[index].resize((128, 128))) for index in np.linspace(0, len(frames) - 1, samples).astype(int)]
    palette = Image.fromarray(np.concatenate(chosen)).quantize(256, Image.Quantize.MEDIANCUT)
    return [frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]


def write_mp4(frames: Sequence[Image.Image], path, frames_per_second: float) -> None:
    """H.264 through PyAV."""
    try:
        import av
    except ModuleNotFoundError:
        raise InputError("an .mp4 needs PyAV; install it with pip install 'aniface[video]', or write a .webp or .gif") from None
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=round(frames_per_second))
        stream.width, stream.height, stream.pix_fmt, stream.options = *frames[0].size, "yuv420p", {"crf": "18"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
