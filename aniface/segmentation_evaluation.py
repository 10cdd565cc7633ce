"""How well a segmenter parses portraits: overlap, borders, noise, robustness and speed, as a plain dictionary."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from .evaluation import SIZE, median_milliseconds
from .folders import Item, load_item
from .labels import Mask
from .metrics import blockiness, border_counts, confusion, f1_score, segmentation_scores, specks


def as_jpeg(picture: Image.Image, quality: int = 40) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "jpeg", quality=quality)
    return Image.open(data)


# Changes of a picture that should not change its mask.
DISTURBANCES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 40": as_jpeg,
    "blur of 1.5 px": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)),
    "20 % darker": lambda picture: picture.point(lambda value: value * 0.8),
    "20 % brighter": lambda picture: picture.point(lambda value: min(255, value * 1.2)),
    "256 px": lambda picture: picture.resize((256, 256), Image.Resampling.LANCZOS),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def evaluate_segmenter(pipe, items: list[Item]) -> dict:
    """Overlap, borders, noise, robustness and speed of a pipeline's segmenter on pictures with true masks, at 512 px.

    Returns:
        scores: see `metrics.segmentation_scores`, and "boundary_f1"; specks, blockiness: a picture's mean, guessed and annotated;
        disturbed: mIoU under each of `DISTURBANCES`; milliseconds of `pipe.segment`.
    """
    counts: Any = 0
    borders: Any = 0
    disturbed: dict[str, Any] = {name: 0 for name in DISTURBANCES}
    noise: dict[str, dict[str, list[float]]] = {name: {"annotated": [], "segmented": []} for name in ("specks", "blockiness")}
    for item in items:
        pixels, truth = load_item(item, SIZE)
        picture = Image.fromarray(pixels)
        guess = pipe.segment(picture).ids
        counts, borders = counts + confusion(truth, guess), borders + border_counts(truth, guess)
        for who, ids in (("annotated", truth), ("segmented", guess)):
            noise["specks"][who].append(specks(ids))
            noise["blockiness"][who].append(blockiness(ids))
        for name, disturb in DISTURBANCES.items():
            seen = pipe.segment(disturb(picture))
            disturbed[name] = disturbed[name] + confusion(truth, (Mask(seen.ids[:, ::-1]) if name == "mirrored" else seen.fit(SIZE)).ids)
    return {
        "what": "segmenter",
        "pictures": len(items),
        "resolution": SIZE,
        "scores": segmentation_scores(counts) | {"boundary_f1": f1_score(borders)},
        **{name: {who: float(np.mean(values)) for who, values in both.items()} for name, both in noise.items()},
        "disturbed": {name: segmentation_scores(each)["miou"] for name, each in disturbed.items()},
        "milliseconds": median_milliseconds(lambda: pipe.segment(picture)),
        "threads": torch.get_num_threads(),
    }
