from __future__ import annotations

import numpy as np
import pytest

from aniface.labels import BACKGROUND, CLOTHES, EYE, FACE, HAIR, MOUTH
from aniface.outlines import bend, redraw, simplify_line


def wavy(amplitude: float) -> np.ndarray:
    """Hair to the left of a wavy border, background to the right; an eye in the background."""
    y, x = np.mgrid[:96, :96]
    ids = np.where(x < 48 + amplitude * np.sin(y / 5), HAIR, BACKGROUND).astype(np.uint8)
    ids[40:50, 70:80] = EYE
    return ids


def test_a_line_keeps_its_corners_and_loses_what_lies_between():
    points = np.array([(0, 0), (1, 0.4), (2, 0), (3, 5), (4, 0)], float)
    free = np.zeros(5, bool)
    assert simplify_line(points, free, 0.5).tolist() == [[0, 0], [2, 0], [3, 5], [4, 0]]
    assert simplify_line(points, free | [False, True, False, False, False], 0.5).tolist() == points.tolist()


def test_waves_become_a_straight_border_and_nothing_else_changes():
    ids = wavy(2)
    straight = redraw(ids, {HAIR: 4.5})
    widths = (straight == HAIR).sum(1)
    assert np.abs(np.diff(widths)).max() <= 1 and len(np.unique(widths)) <= 5
    assert np.abs(widths - (ids == HAIR).sum(1)).max() <= 5
    assert ((straight == EYE) == (ids == EYE)).all()
    assert set(np.unique(straight)) == {BACKGROUND, EYE, HAIR}


def test_large_bends_stay():
    ids = wavy(12)
    assert ((redraw(ids, {HAIR: 3}) == HAIR) != (ids == HAIR)).mean() < 0.03


@pytest.mark.parametrize("ids", [np.full((20, 30), HAIR, np.uint8), np.full((20, 30), FACE, np.uint8), np.eye(12, dtype=np.uint8) * HAIR])
def test_masks_of_one_class_and_single_pixels(ids):
    straight = redraw(ids, {HAIR: 3})
    assert straight.shape == ids.shape and straight.dtype == np.uint8
    assert len(np.unique(ids)) > 1 or (straight == ids).all()


def test_a_hole_stays_a_hole_and_the_rim_is_clean():
    ids = np.full((64, 64), HAIR, np.uint8)
    ids[20:44, 20:44] = FACE
    ids[30:50, :12] = BACKGROUND
    straight = redraw(ids, {HAIR: 4})
    assert (straight[24:40, 24:40] == FACE).all() and (straight[32:48, :8] == BACKGROUND).all()
    assert (straight != ids).mean() < 0.02


def test_a_circle_of_corners_is_bent_round_and_a_star_keeps_its_tips():
    angles = np.arange(12) / 12 * 2 * np.pi
    circle = 40 * np.stack([np.cos(angles), np.sin(angles)], 1)
    free = np.zeros(12, bool)
    radii = np.hypot(*bend(circle, free).T)
    assert radii.min() > 39.5 and radii.max() < 40.5  # the lines between the corners come as near as 38.6 to the middle
    assert np.hypot(*bend(circle, ~free).T).min() == pytest.approx(40 * np.cos(np.pi / 12), abs=0.1)
    star = circle * np.where(np.arange(12) % 2, 0.4, 1)[:, None]
    assert np.allclose(bend(star, free, samples=2)[1::2], (star + np.roll(star, -1, 0)) / 2)


def test_what_is_in_front_stays_in_front():
    ids = np.full((64, 64), FACE, np.uint8)
    ids[:20], ids[50:], ids[30:36, 20:28], ids[44, 30:40] = HAIR, CLOTHES, EYE, MOUTH
    ids[10:50:4, :4] = HAIR  # strands
    done = redraw(ids, {CLOTHES: 4, FACE: 4, HAIR: 4, EYE: 1, MOUTH: 1})
    assert (done[30:36, 20:28] == EYE).all() and (done[44, 30:40] == MOUTH).all() and (done[:18] == HAIR).all()
    assert set(np.unique(done)) == {FACE, HAIR, CLOTHES, EYE, MOUTH} and done.dtype == np.uint8


def test_the_rim_has_no_lines_of_its_own():
    y, x = np.mgrid[:200, :200]
    ids = np.where(y > 120 + 9 * np.sin(x / 9), CLOTHES, BACKGROUND).astype(np.uint8)
    ids[:, 60:90] = HAIR
    done = redraw(ids, {CLOTHES: 6, HAIR: 8})
    assert (done[-1] == done[-3]).mean() > 0.95 and (done[130:, -1] == CLOTHES).mean() > 0.9
