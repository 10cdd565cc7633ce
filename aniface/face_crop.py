"""Find the face in a picture of any size and the square around it that a portrait would show, with the face parser alone.

The parser has only ever seen portraits: head and shoulders in a square. So it is shown square windows of the picture at two scales, each
face that it sees tells by its size and place which square would be its portrait, and the parser looks again, into that square. What a
portrait is, is measured on annotated ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from .labels import EYE, FACE, HAIR, MOUTH, regions, vote_resize
from .processing import fit_picture

# Windows of 1/2 and 1/4 of the picture's longer side, half overlapping: if a face's portrait takes 15 to 60 % of that side, the face is
# 0.6 to 1.2 times as large in one of them as in a portrait.
LEVELS = (2, 4)
GRID = 64  # side of the map in which faces are looked for
CANDIDATES, LOOKS, BATCH = 4, 2, 16
SAME = 0.5  # squares that overlap so much (IoU) show the same face
# A picture whose letterbox overlaps so much with the square of its face is clearly a portrait; or, if one looked closer, is one.
CLEAR, FILLED = 0.6, 0.5
MIN_SIDE = 32

# Of 200 annotated portraits. Side of the portrait over width of the face, and over root of the area of face and hair:
SIDE_OF_WIDTH, SIDE_OF_HEAD = 2.46, 1.34
TRUST = 1.25  # hair that says more or less than this, as compared to the face, is very long, very short, or not the face's own
# Its centre is the face's centroid plus this share of the side:
CENTRE = (0.005, 0.010)
# Mean and deviation of, with that side as unit: log(face), hair, log(eyes / face), eyes beside and below the face's centroid.
TYPICAL = np.array([(-1.85, 0.19), (0.37, 0.08), (-1.93, 0.38), (0.0, 0.017), (-0.063, 0.029)])
CERTAIN, LIKELY = 1.5, 2.5  # root mean square of the deviations, up to which no other face is looked for, and up to which one is believed

Parse = Callable[[np.ndarray], np.ndarray]  # (B, S, S, 3) uint8 pictures -> (B, S, S) class ids


class Square(NamedTuple):
    """A square in a picture, in pixels, that may reach over its edges; `doubt` tells how little what it shows is like a portrait."""

    left: float
    top: float
    side: float
    doubt: float = 0.0


def overlap(a: tuple, b: tuple) -> float:
    """Intersection over union of two (left, top, right, bottom) boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def box_of(square: Square, width: int, height: int) -> tuple[int, int, int, int]:
    """The square as whole pixels (left, top, right, bottom), moved into a width x height picture and cut where it is larger."""
    box = []
    for start, size in ((square.left, width), (square.top, height)):
        side = min(round(square.side), size)
        start = min(max(round(start), 0), size - side)
        box.append((start, start + side))
    (left, right), (top, bottom) = box
    return left, top, right, bottom


def measure_face(ids: np.ndarray, inside: np.ndarray) -> tuple[Square, np.ndarray]:
    """The portrait square of the face that the pixels `inside` make, and its five measures (see `TYPICAL`)."""
    y, x = np.nonzero(inside)
    eye_y, eye_x = np.nonzero(inside & (ids == EYE))
    hair = (ids == HAIR).sum()
    left, right = np.percentile(x, (2, 98))
    by_width, by_head = SIDE_OF_WIDTH * (right - left + 1), SIDE_OF_HEAD * math.sqrt(hair + len(x))
    side = math.sqrt(by_width * min(max(by_head, by_width / TRUST), by_width * TRUST))
    centre_x, centre_y = x.mean() + 0.5, y.mean() + 0.5
    square = Square(centre_x + (CENTRE[0] - 0.5) * side, centre_y + (CENTRE[1] - 0.5) * side, side)
    if len(eye_x):
        eyes = math.log(len(eye_x) / len(x)), (eye_x.mean() + 0.5 - centre_x) / side, (eye_y.mean() + 0.5 - centre_y) / side
    else:  # most unlikely; but from afar, closed ones may not be seen
        eyes = math.log(0.5 / len(x)), 0.0, 0.0
    return square, np.array([math.log(len(x) / side**2), hair / side**2, *eyes])


def faces_in(ids: np.ndarray) -> list[Square]:
    """The faces of an (S, S) id map, each as the square that its portrait would show, in shares of the map's side."""
    ids = vote_resize(ids, GRID)
    parts = np.isin(ids, (FACE, EYE, MOUTH))
    numbers, count = regions(parts.astype(np.uint8))
    sizes = np.bincount(numbers[parts], minlength=count)
    found = []
    for number in np.nonzero(sizes >= 0.01 * GRID**2)[0]:
        square, measures = measure_face(ids, numbers == number)
        doubt = math.sqrt((((measures - TYPICAL[:, 0]) / TYPICAL[:, 1]) ** 2).mean())
        left, top, side = (float(value) / GRID for value in square[:3])
        found.append(Square(left, top, side, doubt))
    return found


def as_portrait(ids: np.ndarray, box: tuple[int, int, int, int]) -> Square | None:
    """The portrait of the likeliest face of an (S, S) id map, which shows the square around `box` of a picture; in the picture's pixels."""
    found = faces_in(ids)
    if not found:
        return None
    best = min(found, key=lambda square: square.doubt)
    side = max(box[2] - box[0], box[3] - box[1])
    left, top = (box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2
    return Square(left + best.left * side, top + best.top * side, best.side * side, best.doubt)


def share_of_letterbox(box: tuple, width: int, height: int) -> float:
    """Overlap of a (left, top, right, bottom) box with the square that holds a whole picture: near 1, cropping would gain nothing."""
    side = max(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return overlap(box, (left, top, left + side, top + side))


def is_portrait(ids: np.ndarray, width: int, height: int) -> bool:
    """Whether the map of a whole picture, letterboxed to (S, S), is that of a portrait."""
    square = as_portrait(ids, (0, 0, width, height))
    if square is None or square.doubt > LIKELY:
        return False
    box = square.left, square.top, square.left + square.side, square.top + square.side
    return share_of_letterbox(box, width, height) >= CLEAR


def windows(picture: Image.Image, parts: int, size: int) -> list[tuple[np.ndarray, float, float, float]]:
    """Half overlapping square windows of 1 / `parts` of the longer side: (size, size, 3) uint8 each, with its left, top and side."""
    scale = parts * size / max(picture.size)
    small = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BILINEAR, reducing_gap=2.0)
    array = np.asarray(small)
    missing = [max(0, size - side) for side in array.shape[:2]]
    array = np.pad(array, [(m // 2, m - m // 2) for m in missing] + [(0, 0)], mode="edge")
    starts = []
    for length in array.shape[:2]:
        count = math.ceil((length - size) / (size / 2)) + 1
        starts.append(np.linspace(0, length - size, count).round().astype(int))
    return [
        (array[y : y + size, x : x + size], (x - missing[1] // 2) / scale, (y - missing[0] // 2) / scale, size / scale)
        for y in starts[0]
        for x in starts[1]
    ]


def find_portrait(parse: Parse, picture: Image.Image, ids: np.ndarray, size: int) -> tuple[int, int, int, int] | None:
    """The square of a picture that a portrait of its likeliest face would show, cut off at the picture's edges; large faces come first.

    Args:
        parse: the face parser; it is called with sides of `size` and of its half.
        picture: RGB picture.
        ids: (S, S) map of the whole picture, letterboxed: what is seen in it is looked at first.
        size: side at which the parser works best, a multiple of 32.

    Returns:
        left, top, right, bottom in pixels: all of the picture if it is a portrait after all; None if no face is found.
    """
    found: list[Square] = []
    whole = as_portrait(ids, (0, 0, *picture.size))
    for parts in (1, *LEVELS):
        seen = look_around(parse, picture, size, parts) if parts > 1 else [whole] if whole else []
        seen = look_closer(parse, picture, size, seen)
        found += [square for square in seen if square.doubt <= LIKELY]
        if any(square.doubt <= CERTAIN for square in seen):
            break
    if not found:
        return None
    box = box_of(min(found, key=lambda square: square.doubt), *picture.size)
    return (0, 0, *picture.size) if share_of_letterbox(box, *picture.size) >= FILLED else box


def look_around(parse: Parse, picture: Image.Image, size: int, parts: int) -> list[Square]:
    """Portraits of the faces that are seen in the windows of a picture, at half the resolution: the likeliest ones, none twice."""
    shown = windows(picture, parts, max(32, size // 64 * 32))
    seen = []
    for start in range(0, len(shown), BATCH):
        batch = shown[start : start + BATCH]
        for ids, (_, left, top, side) in zip(parse(np.stack([window[0] for window in batch])), batch, strict=True):
            seen += [Square(left + f.left * side, top + f.top * side, f.side * side, f.doubt) for f in faces_in(ids)]
    chosen: list[tuple[tuple[int, int, int, int], Square]] = []
    for square in sorted(seen, key=lambda square: square.doubt):
        box = box_of(square, *picture.size)
        if square.side >= MIN_SIDE and all(overlap(box, other) < SAME for other, _ in chosen):
            chosen.append((box, square))
    return [square for _, square in chosen[:CANDIDATES]]


def look_closer(parse: Parse, picture: Image.Image, size: int, squares: list[Square]) -> list[Square]:
    """The same portraits after looking into each square again, at full resolution, and correcting it; what shows no face is left out."""
    for _ in range(LOOKS):
        boxes = [box_of(square, *picture.size) for square in squares]
        if boxes:
            seen = parse(np.stack([np.array(fit_picture(picture.crop(box), size, Image.Resampling.BILINEAR)) for box in boxes]))
            found = [as_portrait(ids, box) for ids, box in zip(seen, boxes, strict=True)]
            squares = [square for square in found if square is not None and square.side >= MIN_SIDE]
    return squares
