from __future__ import annotations

import numpy as np
import pytest

from aniface.labels import BACKGROUND, EYE, FACE, HAIR
from aniface.outlines import simplify_line, straighten


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
    straight = straighten(ids, HAIR, 4.5)
    widths = (straight == HAIR).sum(1)
    assert np.abs(np.diff(widths)).max() <= 1 and len(np.unique(widths)) <= 5
    assert np.abs(widths - (ids == HAIR).sum(1)).max() <= 5
    assert ((straight == EYE) == (ids == EYE)).all()
    assert set(np.unique(straight)) == {BACKGROUND, EYE, HAIR}


def test_large_bends_stay():
    ids = wavy(12)
    assert ((straighten(ids, HAIR, 3) == HAIR) != (ids == HAIR)).mean() < 0.03


@pytest.mark.parametrize("ids", [np.full((20, 30), HAIR, np.uint8), np.full((20, 30), FACE, np.uint8), np.eye(12, dtype=np.uint8) * HAIR])
def test_masks_of_one_class_and_single_pixels(ids):
    straight = straighten(ids, HAIR, 3)
    assert straight.shape == ids.shape and straight.dtype == np.uint8
    assert len(np.unique(ids)) > 1 or (straight == ids).all()


def test_a_hole_stays_a_hole_and_the_rim_is_clean():
    ids = np.full((64, 64), HAIR, np.uint8)
    ids[20:44, 20:44] = FACE
    ids[30:50, :12] = BACKGROUND
    straight = straighten(ids, HAIR, 4)
    assert (straight[24:40, 24:40] == FACE).all() and (straight[32:48, :8] == BACKGROUND).all()
    assert (straight != ids).mean() < 0.02
