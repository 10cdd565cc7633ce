"""Measures: pure functions."""

from __future__ import annotations

import numpy as np

from .labels import LABELS, NUM_LABELS, regions


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


def border_counts(truth: np.ndarray, guess: np.ndarray, tolerance: int = 3) -> np.ndarray:
    """What a boundary F1 score is made of, summed over the classes, for two (H, W) masks.

    Returns:
        (4,) true border pixels within `tolerance` pixels (8-neighbour steps) of a guessed one of their class, all true border pixels,
        and the same for the guessed ones.
    """
    counts = np.zeros(4, np.int64)
    for index in range(NUM_LABELS):
        true, guessed = _border(truth == index), _border(guess == index)
        counts += (true & _widened(guessed, tolerance)).sum(), true.sum(), (guessed & _widened(true, tolerance)).sum(), guessed.sum()
    return counts


def f1_score(counts: np.ndarray) -> float:
    """Harmonic mean of recall and precision from summed `border_counts` (Csurka et al. 2013, "What is a good evaluation measure for
    semantic segmentation?", section 3.2, over all classes and pictures together)."""
    recall, precision = counts[0] / max(1, counts[1]), counts[2] / max(1, counts[3])
    return float(2 * recall * precision / max(recall + precision, 1e-12))


def _border(inside: np.ndarray) -> np.ndarray:
    """Pixels of a region that have a 4-neighbour outside it; the picture's rim is no border."""
    padded = np.pad(inside, 1, mode="edge")
    return inside & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])


def _widened(inside: np.ndarray, by: int) -> np.ndarray:
    """Everything within `by` 8-neighbour steps of what is inside."""
    sums = np.pad(inside, ((by + 1, by), (by + 1, by))).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    window = 2 * by + 1
    return sums[window:, window:] - sums[:-window, window:] - sums[window:, :-window] + sums[:-window, :-window] > 0


def specks(ids: np.ndarray, smallest: int = 64) -> int:
    """How many 4-connected pieces of an (H, W) mask have fewer than `smallest` pixels."""
    return int((np.bincount(regions(ids)[0].ravel()) < smallest).sum())


def blockiness(ids: np.ndarray, block: int = 4) -> float:
    """How much a mask's borders keep to a grid of `block` pixels: the share of border steps at the most frequent place of the grid, over
    the share 1 / block that smooth borders have there. From 1, smooth, to `block`, all stairs; NaN for a mask of one class.
    """
    places = np.zeros(block, np.int64)
    for across in (ids, ids.T):
        steps = np.nonzero(across[:, 1:] != across[:, :-1])[1]
        places += np.bincount(steps % block, minlength=block)
    return float(places.max() / places.sum() * block) if places.any() else float("nan")


def kernel_distance(real: np.ndarray, painted: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of features (N, D) and (M, D) under the kernel (x.y / D + 1)^3 (KID: Bińkowski et al. 2018,
    "Demystifying MMD GANs", section 4), each dimension standardised on the real ones. 0 for equal distributions, below it by chance."""
    real, painted = _standardised(real, painted)
    dimensions = real.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / dimensions + 1) ** 3

    def within(x: np.ndarray) -> float:
        values = kernel(x, x)
        return (values.sum() - np.trace(values)) / (len(x) * (len(x) - 1))

    return float(within(real) + within(painted) - 2 * kernel(real, painted).mean())


def frechet_distance(real: np.ndarray, painted: np.ndarray) -> float:
    """Squared Fréchet distance of the normal distributions of features (N, D) and (M, D) (FID: Heusel et al. 2017, equation 6), each
    dimension standardised on the real ones."""
    real, painted = _standardised(real, painted)
    covariances = np.cov(real, rowvar=False), np.cov(painted, rowvar=False)
    # The trace of sqrt(A B) is the sum of the roots of the eigenvalues of A B, equal to those of sqrt(A) B sqrt(A): real, not negative.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    return float(((real.mean(0) - painted.mean(0)) ** 2).sum() + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross)


def _standardised(real: np.ndarray, painted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = real.mean(0, dtype=np.float64), real.std(0, dtype=np.float64) + 1e-8
    return (real - mean) / deviation, (painted - mean) / deviation


def hair_noise(picture: np.ndarray, inside: np.ndarray) -> float:
    """Energy of high frequencies: RMS of the 4-neighbour Laplacian of the luma (0..255) where `inside` is true, 2 px off its border.

    Args:
        picture: (H, W, 3) uint8. inside: (H, W) bool.

    Returns:
        The RMS, NaN if nothing is inside.
    """
    luma = picture.astype(np.float64) @ (0.299, 0.587, 0.114)
    for _ in range(2):
        inside = inside.copy()
        inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        inside[[0, -1]] = inside[:, [0, -1]] = False
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    chosen = laplacian[inside[1:-1, 1:-1]]
    return float(np.sqrt((chosen**2).mean())) if len(chosen) else float("nan")


def repetition(strokes: np.ndarray, inside: np.ndarray) -> float:
    """How alike the strokes of different pictures are, place by place: the correlation of pairs of them, where both are known.

    Args:
        strokes: (N, H, W) brightness less its mean, pictures laid over each other. inside: (N, H, W) from 0 to 1, where it is known.

    Returns:
        The pairs' products summed over those of their magnitudes: 1 for one pattern everywhere, about 0 for pictures that have nothing in
        common; NaN if there are no two pictures or no strokes.
    """
    strokes, inside = (maps.reshape(len(maps), -1).astype(np.float64) for maps in (strokes * inside, inside))
    products, energies = strokes @ strokes.T, strokes**2 @ inside.T
    pairs = np.triu_indices(len(strokes), 1)
    magnitude = np.sqrt(energies * energies.T)[pairs].sum()
    return float(products[pairs].sum() / magnitude) if magnitude else float("nan")
