"""Is a mask a face, how do many masks spread, how new are they: what random masks are judged by. Needs numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import CLOTHES, EYE, FACE, HAIR, MOUTH, SKIN, Mask, regions

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
        "face": bool(face) and (ids == FACE).mean() >= 0.03,
        "eyes": 1 <= len(eyes) <= 2 and _two_eyes_side_by_side(eyes) and all((eye.inside & near_face).any() for eye in eyes),
        "mouth": bool(mouths) and mouths[0].row > eye_row and bool((mouths[0].inside & near_face).any()),
        "hair": bool((near_face & (ids == HAIR)).any()),
        "head": bool(head) and head[0].area >= 0.95 * sum(piece.area for piece in head),
        "below": bool(((lower == SKIN) | (lower == CLOTHES)).sum() >= 0.01 * ids.size),
    }


def is_valid(mask: Mask) -> bool:
    """Whether the mask keeps all rules of `validity`."""
    return all(validity(mask).values())
