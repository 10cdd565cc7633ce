"""Clean outlines out of wavy ones: a region's border drawn anew with few strokes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from .labels import fill_by_majority, polygon_area, region_starts, trace_outline

SHARP = np.pi / 3  # where an outline turns by more, it has a tip; by less, a curve


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


def on_rim(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Which of the (N, 2) points (x, y) lie on the rim of a picture."""
    return ((points == 0) | (points == (width - 1, height - 1))).any(1)


def simplify_outline(points: list[tuple[int, int]], tolerance: float, width: int, height: int) -> np.ndarray:
    """A closed outline, (N, 2) -> (M, 2), simplified from its first point to the one farthest from it and back.

    Points on the rim of the picture stay: else slivers would be left there.
    """
    outline = np.array(points, float)
    fixed = on_rim(outline, width, height)
    far = int(np.hypot(*(outline - outline[0]).T).argmax())
    there = simplify_line(outline[: far + 1], fixed[: far + 1], tolerance)
    back = simplify_line(np.concatenate([outline[far:], outline[:1]]), np.append(fixed[far:], True), tolerance)
    return np.concatenate([there[:-1], back[:-1]])


def bend(corners: np.ndarray, straight: np.ndarray, samples: int = 6) -> np.ndarray:
    """A closed line (N, 2) of corners -> (N * samples, 2): curves through its blunt corners, straight lines between its sharp ones.

    The tangent at a blunt corner is that of a Catmull-Rom spline; what is sharp is told by the turn, as in Potrace (Selinger 2003).

    Args:
        straight: (N,) corners that count as sharp, however blunt they are.
    """
    edges = np.roll(corners, -1, 0) - corners
    directions = edges / np.maximum(np.hypot(*edges.T), 1e-9)[:, None]
    before = np.roll(directions, 1, 0)
    turns = np.arctan2(before[:, 0] * directions[:, 1] - before[:, 1] * directions[:, 0], (before * directions).sum(1))
    way = np.sign(turns)
    arc = (np.roll(way, 1) == way) & (np.roll(way, -1) == way)  # waves are not bent, or strands would flow
    sharp = straight | (np.abs(turns) > SHARP) | ~arc
    chords = edges + np.roll(edges, 1, 0)
    tangents = chords / np.maximum(np.hypot(*chords.T), 1e-9)[:, None]
    lengths = np.hypot(*edges.T)[:, None]
    leaving = np.where(sharp[:, None], edges, tangents * lengths)
    arriving = np.where(np.roll(sharp, -1)[:, None], edges, np.roll(tangents, -1, 0) * lengths)
    t = (np.arange(samples) / samples)[None, :, None]
    # Cubic Hermite curves from each corner to the next.
    start, end = corners[:, None], np.roll(corners, -1, 0)[:, None]
    curves = (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * leaving[:, None]
        + (3 * t**2 - 2 * t**3) * end
        + (t**3 - t**2) * arriving[:, None]
    )
    return curves.reshape(-1, 2)


def redrawn(inside: np.ndarray, tolerance: float) -> np.ndarray:
    """(H, W) bool -> the same with borders of the fewest strokes whose corners lie within `tolerance` pixels of them."""
    ids = inside.astype(np.uint8)
    pieces = [(piece, trace_outline(ids, start)) for piece, start in region_starts(ids)]
    pieces.sort(key=lambda piece: -polygon_area(piece[1]))  # what lies in a hole is drawn later
    image = Image.new("L", ids.shape[::-1], pieces[0][0])
    draw = ImageDraw.Draw(image)
    for piece, outline in pieces:
        corners = simplify_outline(outline, tolerance, *image.size)
        line = bend(corners, on_rim(corners, *image.size)) if len(corners) >= 3 else np.array(outline)
        draw.polygon([(x, y) for x, y in line.round().astype(int).tolist()], fill=piece, outline=piece)
    return np.asarray(image) > 0


def redraw(ids: np.ndarray, tolerances: dict[int, float]) -> np.ndarray:
    """(H, W) class ids with the borders of some classes drawn anew, each over those before it.

    What leaves a class takes the one around it.

    Args:
        tolerances: how many pixels a border may move, by class, from back to front.
    """
    result, left = ids.copy(), np.zeros(ids.shape, bool)
    for label, tolerance in tolerances.items():
        inside = ids == label
        drawn = redrawn(inside, tolerance)
        left = (left | inside) & ~drawn
        result[drawn] = label
    return fill_by_majority(result, ~left, rounds=ids.size)
