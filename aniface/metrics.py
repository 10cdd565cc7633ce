"""Measures: pure functions."""

from __future__ import annotations

import numpy as np

from .labels import LABELS, NUM_LABELS


def confusion(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """(7, 7) pixel counts: rows are true classes, columns guessed ones."""
    pairs = truth.astype(np.int64).ravel() * NUM_LABELS + guess.ravel()
    return np.bincount(pairs, minlength=NUM_LABELS**2).reshape(NUM_LABELS, NUM_LABELS)


def iou_per_class(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class from summed confusion counts; NaN for a class that occurs in neither."""
    hits = np.diag(counts).astype(float)
    union = counts.sum(0) + counts.sum(1) - hits
    return np.divide(hits, union, out=np.full(NUM_LABELS, np.nan), where=union > 0)


def segmentation_scores(counts: np.ndarray) -> dict[str, float]:
    """IoU of each class, their mean "miou" and the "pixel_accuracy" from summed confusion counts."""
    iou = iou_per_class(counts)
    scores = {name: float(value) for name, value in zip(LABELS, iou, strict=True)}
    return scores | {"miou": float(np.nanmean(iou)), "pixel_accuracy": float(np.diag(counts).sum() / counts.sum())}
