"""Is a mask a face, how do many masks spread, how new are they: what random masks are judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import CLOTHES, EYE, FACE, HAIR, LABELS, MOUTH, NUM_LABELS, SKIN, Mask, regions, vote_resize

SIZE = 128  # everything here looks at masks of this side
NOVELTY_SIZE = 64
SMALLEST_PIECE = 6  # pixels at SIZE: less is a speck, no eye or mouth


@dataclass(frozen=True)
class Piece:
    """A connected piece of a class: pixels `inside` (H, W) bool, `area` in pixels, centroid `row`, `column`."""

    inside: np.ndarray
    area: int
    row: float
    column: float


def widen(inside: np.ndarray, by: int = 1) -> np.ndarray:
    """The pixels within `by` steps (straight or diagonal) of `inside`."""
    for _ in range(by):
        grown = inside.copy()
        grown[1:] |= inside[:-1]
        grown[:-1] |= inside[1:]
        across = grown.copy()
        across[:, 1:] |= grown[:, :-1]
        across[:, :-1] |= grown[:, 1:]
        inside = across
    return inside


def pieces(inside: np.ndarray, gap: int = 1, smallest: int = 1) -> list[Piece]:
    """The connected pieces of an (H, W) bool map, largest first; what is up to 2 * `gap` pixels apart counts as connected."""
    if not inside.any():
        return []
    numbers, count = regions(widen(inside, gap).astype(np.uint8))
    areas = np.bincount(numbers[inside], minlength=count)
    found = []
    for number in np.argsort(-areas, kind="stable"):
        if areas[number] < smallest:
            break
        own = inside & (numbers == number)
        rows, columns = np.nonzero(own)
        found.append(Piece(own, int(areas[number]), float(rows.mean()), float(columns.mean())))
    return found


def _two_eyes_side_by_side(eyes: list[Piece]) -> bool:
    return len(eyes) < 2 or abs(eyes[0].row - eyes[1].row) <= abs(eyes[0].column - eyes[1].column)


def validity(mask: Mask) -> dict[str, bool]:
    """Which rules of a face map a mask keeps.

    face: there is one of at least 3 % of the mask. eyes: one or two; two lie side by side; all touch the face. mouth: there is one, it
    touches the face and lies below the eyes. hair: it touches the face. head: 95 % of face, eyes, mouth and hair are one piece. below:
    skin or clothes of at least 1 % of the mask lie below the middle of the face.
    """
    ids = mask.fit(SIZE).ids
    face = pieces(ids == FACE)
    eyes = pieces(ids == EYE, gap=2, smallest=SMALLEST_PIECE)
    mouths = pieces(ids == MOUTH, gap=2, smallest=SMALLEST_PIECE // 2)
    head = pieces(np.isin(ids, (FACE, EYE, MOUTH, HAIR)))
    near_face = widen(ids == FACE, 2)
    eye_row = np.mean([eye.row for eye in eyes]) if eyes else 0.0
    face_row = face[0].row if face else 0.0
    lower = ids[int(face_row) :]
    return {
        "face": bool(face) and bool((ids == FACE).mean() >= 0.03),
        "eyes": 1 <= len(eyes) <= 2 and _two_eyes_side_by_side(eyes) and all((eye.inside & near_face).any() for eye in eyes),
        "mouth": bool(mouths) and bool(mouths[0].row > eye_row) and bool((mouths[0].inside & near_face).any()),
        "hair": bool((near_face & (ids == HAIR)).any()),
        "head": bool(head) and head[0].area >= 0.95 * sum(piece.area for piece in head),
        "below": bool(((lower == SKIN) | (lower == CLOTHES)).sum() >= 0.01 * ids.size),
    }


def is_valid(mask: Mask) -> bool:
    """Whether the mask keeps all rules of `validity`."""
    return all(validity(mask).values())


def measure(masks: list[Mask]) -> dict[str, np.ndarray]:
    """Figures of N masks, each (N, 7), a column a class.

    area: share of the mask. row, column: the centroid as a share of the side, NaN where the class is absent. pieces: how many connected
    ones there are, specks not counted.
    """
    figures = {name: np.full((len(masks), NUM_LABELS), np.nan) for name in ("area", "row", "column", "pieces")}
    for number, mask in enumerate(masks):
        ids = mask.fit(SIZE).ids
        numbers, count = regions(ids)
        areas, first = np.bincount(numbers.ravel(), minlength=count), np.unique(numbers, return_index=True)[1]
        large = ids.ravel()[first][areas >= SMALLEST_PIECE]
        figures["pieces"][number] = np.bincount(large, minlength=NUM_LABELS)
        figures["area"][number] = np.bincount(ids.ravel(), minlength=NUM_LABELS) / ids.size
        for label in np.unique(ids):
            rows, columns = np.nonzero(ids == label)
            figures["row"][number, label] = (rows.mean() + 0.5) / SIZE
            figures["column"][number, label] = (columns.mean() + 0.5) / SIZE
    return figures


def wasserstein_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The first Wasserstein distance of two samples of numbers: the area between their distribution functions. NaNs are left out."""
    first, second = (np.sort(values[~np.isnan(values)]) for values in (first, second))
    if not len(first) or not len(second):
        return float("nan")
    steps = np.sort(np.concatenate([first, second]))
    below_first, below_second = (np.searchsorted(values, steps[:-1], side="right") / len(values) for values in (first, second))
    return float((abs(below_first - below_second) * np.diff(steps)).sum())


def distances(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Wasserstein distances of two results of `measure`: for each figure, by class, in the figure's own unit."""
    return {name: {label: wasserstein_distance(first[name][:, i], second[name][:, i]) for i, label in enumerate(LABELS)} for name in first}


def halves(figures: dict[str, np.ndarray], seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The figures of two random halves of the masks: how far apart equal distributions come out by chance."""
    order = np.random.default_rng(seed).permutation(len(next(iter(figures.values()))))
    middle = len(order) // 2
    first, second = ({name: values[part] for name, values in figures.items()} for part in (order[:middle], order[middle : 2 * middle]))
    return first, second


def nearest_iou(masks: list[Mask], others: list[Mask], leave_out_same: bool = False) -> np.ndarray:
    """(N,) mIoU of each mask with the nearest of `others` or of their mirror images, in cells of 1/64 of the side.

    Args:
        leave_out_same: `masks` are `others`: mask n is not compared with itself.
    """
    ids, all_ids = (np.stack([vote_resize(m.fit(SIZE).ids, NOVELTY_SIZE) for m in group]) for group in (masks, others))
    best = np.zeros(len(ids))
    for seen in (all_ids, all_ids[:, :, ::-1]):
        total, present = np.zeros((2, len(ids), len(seen)), np.float32)
        for label in range(NUM_LABELS):
            mine, theirs = (np.ascontiguousarray(group == label).reshape(len(group), -1).astype(np.float32) for group in (ids, seen))
            both = mine @ theirs.T
            either = mine.sum(1)[:, None] + theirs.sum(1)[None] - both
            total += both / np.maximum(either, 1)
            present += either > 0
        iou = total / present
        if leave_out_same:
            np.fill_diagonal(iou, 0)
        best = np.maximum(best, iou.max(1))
    return best
