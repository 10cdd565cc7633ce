"""How well painted pictures follow their masks and how near they come to real ones, as a plain dictionary."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from .features import PictureFeatures
from .folders import Item, load_item
from .hair import srgb_to_lab
from .labels import CLOTHES, EYE, FACE, HAIR, NUM_LABELS, SKIN, Mask
from .mask_statistics import pieces
from .metrics import confusion, frechet_distance, hair_noise, kernel_distance, repetition, segmentation_scores
from .processing import fit_picture

SIZE = 512
COARSE = 4  # px: strokes of clothes are compared by blocks of so many
BELOW_NECK = (40, 48)  # height and width in blocks of the part of clothes that is compared


def time_calls(call, runs: int) -> list[float]:
    """Milliseconds of each of `runs` calls, after one warm-up."""
    call()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return times


def median_milliseconds(call, runs: int = 9) -> float:
    """Median time of `call()` after one warm-up."""
    return statistics.median(time_calls(call, runs))


def mean_of_known(values: list[float]) -> float:
    """The mean of the values that are no NaN; NaN if all are."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def eye_tint_difference(picture: np.ndarray, ids: np.ndarray) -> float:
    """How far apart the tints of a face's two eyes are: the distance of their mean colours in CIELAB's a*b* plane.

    Args:
        picture: (512, 512, 3) uint8. ids: (512, 512) its mask.

    Returns:
        The distance; NaN unless there are two eyes of at least 800 pixels, one not twice as large as the other.
    """
    eyes = pieces(ids == EYE, gap=2, smallest=800)
    if len(eyes) < 2 or eyes[0].area > 2 * eyes[1].area:
        return float("nan")
    first, second = (srgb_to_lab(picture[eye.inside].mean(0)) for eye in eyes[:2])
    return float(np.hypot(*(first - second)[1:]))


def strokes_below_neck(picture: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """What is drawn on the clothes where they meet the neck, so that portraits can be laid over each other there.

    Args:
        picture: (512, 512, 3) uint8. ids: (512, 512) its mask.

    Returns:
        Brightness less its mean around (deviations of 0..255) and shares of clothes, both `BELOW_NECK` blocks; None unless clothes lie
        below skin or face.
    """
    rows, columns = np.nonzero(np.isin(ids[:-1], (SKIN, FACE)) & (ids[1:] == CLOTHES))
    if not len(rows):
        return None
    clothes = torch.tensor(ids == CLOTHES, dtype=torch.float32)[None, None]
    grey = torch.tensor(picture, dtype=torch.float32).mean(-1)[None, None]
    shares, sums = (torch.nn.functional.avg_pool2d(maps, COARSE) for maps in (clothes, grey * clothes))
    around = [torch.nn.functional.avg_pool2d(maps, 15, stride=1, padding=7) for maps in (sums, shares)]
    strokes = sums - shares * around[0] / around[1].clamp(min=1e-6)
    height, width = BELOW_NECK
    top, left = int(rows.mean()) // COARSE - height // 10, int(columns.mean()) // COARSE - width // 2
    parts = torch.nn.functional.pad(torch.cat([strokes, shares], 1)[0], (width, width, height, height))
    part = parts[:, top + height : top + 2 * height, left + width : left + 2 * width].numpy()
    return part[0], part[1]


def repeated_strokes(parts: Sequence[tuple[np.ndarray, np.ndarray] | None]) -> float:
    """`repetition` of what `strokes_below_neck` found; NaN unless it did in two portraits."""
    known = [part for part in parts if part is not None]
    return repetition(*map(np.stack, zip(*known, strict=True))) if known else float("nan")


def evaluate_painter(pipe, items: list[Item], features: PictureFeatures, judge=None, train_items: Sequence[Item] = ()) -> dict:
    """How well painted pictures follow their masks and how near they come to real portraits.

    Protocols, never to be mixed: "no_reference" (SPADE, Park et al. 2019, section 4: a random style), "own_reference" (the true
    picture gives the style), "real" (the judge on the true picture: its own agreement with the masks, the ceiling).

    Args:
        features: what kernel and Fréchet distances, diversity and nearest neighbours are measured in.
        judge: the pipeline whose segmenter judges; by default `pipe` itself.
        train_items: portraits that the painter was trained on, to tell whether it copies; none to leave that out.
    """
    totals = {name: np.zeros((NUM_LABELS, NUM_LABELS), np.int64) for name in ("real", "no_reference", "own_reference")}
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in (*totals, "second_style")}
    noise: dict[str, list[float]] = {name: [] for name in totals}
    tints: dict[str, list[float]] = {name: [] for name in totals}
    necks: dict[str, list] = {name: [] for name in totals}
    for number, item in enumerate(items):
        picture, truth = load_item(item, SIZE)
        mask = Mask(truth)
        free = pipe(mask, seed=number, num_images=2).images
        styled = pipe(mask, reference=picture, seed=number).images[0]
        for name, shown in zip(gathered, (picture, free[0], styled, free[1]), strict=True):
            shown = np.asarray(fit_picture(Image.fromarray(np.asarray(shown)), SIZE))  # a painter may paint smaller pictures
            gathered[name].append(features.pooled([shown])[0])
            if name in totals:
                totals[name] = totals[name] + confusion(truth, (judge or pipe).segment(shown).ids)
                noise[name].append(hair_noise(shown, truth == HAIR))
                tints[name].append(eye_tint_difference(shown, truth))
                necks[name].append(strokes_below_neck(shown, truth))
    seen = {name: np.stack(rows) for name, rows in gathered.items()}
    real = seen["real"]
    half = len(real) // 2
    report: dict[str, Any] = {
        "what": "painter",
        "pictures": len(items),
        "resolution": SIZE,
        "judge": "a second segmenter" if judge else "the pipeline's own segmenter",
        "features": features.name,
        "scores": {name: segmentation_scores(counts) for name, counts in totals.items()},
        "hair_noise": {name: mean_of_known(values) for name, values in noise.items()},
        "eye_tint_difference": {name: mean_of_known(values) for name, values in tints.items()},
        "repeated_strokes": {name: repeated_strokes(parts) for name, parts in necks.items()},
        "diversity": float(np.linalg.norm(seen["no_reference"] - seen["second_style"], axis=1).mean()),
        "diversity_of_real_pictures": float(np.linalg.norm(real[:half] - real[half : 2 * half], axis=1).mean()),
        "milliseconds": median_milliseconds(lambda: pipe(mask)),
        "threads": torch.get_num_threads(),
    }
    others = np.stack([features.pooled([load_item(item, SIZE)[0]])[0] for item in train_items]) if train_items else None
    report["distances"] = {
        name: {"kernel": kernel_distance(real, seen[name]), "frechet": frechet_distance(real, seen[name])}
        for name in ("no_reference", "own_reference")
    }
    if others is not None:
        report["distances"]["training portraits"] = {"kernel": kernel_distance(real, others), "frechet": frechet_distance(real, others)}
        nearest = {name: float(np.mean([np.linalg.norm(others - row, axis=1).min() for row in rows])) for name, rows in seen.items()}
        report["nearest_training_portrait"] = {name: nearest[name] for name in totals}
    return report
