"""Straight strands out of wavy ones: a region's outline drawn with few straight lines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from .labels import fill_by_majority, polygon_area, region_starts, trace_outline


def simplify_line(points: np.ndarray, kept: np.ndarray, tolerance: float) -> np.ndarray:
    """The fewest of the (N, 2) points, those `kept` (N,) included, whose line stays within `tolerance` of all (Douglas & Peucker 1973)."""
    kept = kept.copy()
    kept[[0, -1]] = True
    places = np.flatnonzero(kept).tolist()
    parts = list(pairwise(places))
    while parts:
        first, last = parts.pop()
        between = points[first + 1 : last] - points[first]
        if not len(between):
            continue
        x, y = points[last] - points[first]
        length = np.hypot(x, y)
        off = np.abs(x * between[:, 1] - y * between[:, 0]) / length if length else np.hypot(*between.T)
        farthest = int(off.argmax())
        if off[farthest] > tolerance:
            middle = first + 1 + farthest
            kept[middle] = True
            parts += [(first, middle), (middle, last)]
    return points[kept]


def simplify_outline(points: list[tuple[int, int]], tolerance: float, width: int, height: int) -> np.ndarray:
    """A closed outline, (N, 2) -> (M, 2), simplified from its first point to the one farthest from it and back.

    Points on the rim of the picture stay: else slivers would be left there.
    """
    outline = np.array(points, float)
    fixed = ((outline == 0) | (outline == (width - 1, height - 1))).any(1)
    far = int(np.hypot(*(outline - outline[0]).T).argmax())
    there = simplify_line(outline[: far + 1], fixed[: far + 1], tolerance)
    back = simplify_line(np.concatenate([outline[far:], outline[:1]]), np.append(fixed[far:], True), tolerance)
    return np.concatenate([there[:-1], back[:-1]])


def straighten(ids: np.ndarray, label: int, tolerance: float) -> np.ndarray:
    """(H, W) class ids with the border of one class drawn by lines within `tolerance` pixels of it.

    What leaves the class takes the one around it; nothing else changes.
    """
    inside = (ids == label).astype(np.uint8)
    pieces = [(piece, trace_outline(inside, start)) for piece, start in region_starts(inside)]
    pieces.sort(key=lambda piece: -polygon_area(piece[1]))  # what lies in a hole is drawn later
    image = Image.new("L", ids.shape[::-1], pieces[0][0])
    draw = ImageDraw.Draw(image)
    for piece, outline in pieces:
        corners = simplify_outline(outline, tolerance, *image.size)
        corners = corners if len(corners) >= 3 else np.array(outline, float)
        draw.polygon([(x, y) for x, y in corners.tolist()], fill=piece, outline=piece)
    drawn = np.asarray(image) > 0
    left = (ids == label) & ~drawn
    result = fill_by_majority(ids, (ids != label) & ~drawn, rounds=ids.size) if left.any() else ids
    return np.where(drawn, label, np.where(left, result, ids)).astype(np.uint8)
