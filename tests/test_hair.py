from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aniface.hair import HAIR_COLORS, ciede2000, measure_hair_color, parse_hair_color, srgb_to_lab
from aniface.labels import InputError

# Pairs of the supplementary test data of Sharma, Wu & Dalal (2005).
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((90.8027, -2.0831, 1.441), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "difference"), SHARMA)
def test_ciede2000_against_published_pairs(first, second, difference):
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(difference, abs=1e-4)
    assert ciede2000(np.array(second), np.array(first)) == pytest.approx(difference, abs=1e-4)


def test_lab_of_known_colours():
    assert srgb_to_lab(np.array([255, 255, 255])) == pytest.approx([100, 0, 0], abs=0.02)
    assert srgb_to_lab(np.array([255, 0, 0])) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


def test_each_anchor_is_measured_as_itself():
    ids = np.full((8, 8), 5)
    for name, rgb in HAIR_COLORS.items():
        assert measure_hair_color(np.full((8, 8, 3), rgb, np.uint8), ids)[1] == name
    assert measure_hair_color(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8))) is None


colours = hnp.arrays(np.uint8, (3, 3))


@settings(max_examples=200, deadline=None)
@given(colours)
def test_colour_differences_are_symmetric_and_tell_colours_apart(rgb):
    lab = srgb_to_lab(rgb)
    assert (lab[:, 0] >= -1e-9).all() and (lab[:, 0] <= 100.01).all() and np.isfinite(lab).all()
    first, second, _ = lab
    assert ciede2000(first, first) == 0
    assert ciede2000(first, second) == pytest.approx(ciede2000(second, first), abs=1e-9)
    assert (ciede2000(first, second) > 0) == (not np.array_equal(rgb[0], rgb[1]))


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.uint8, (9, 9, 3)), hnp.arrays(np.uint8, (9, 9), elements=st.integers(0, 6)), st.integers(0, 99))
def test_measured_hair_depends_on_hair_alone_and_not_on_its_order(picture, ids, seed):
    measured = measure_hair_color(picture, ids)
    other = np.where((ids == 5)[..., None], picture, 255 - picture)
    places = np.argwhere(ids == 5)
    shuffled = other.copy()
    shuffled[tuple(places.T)] = other[tuple(np.random.default_rng(seed).permutation(places).T)]
    again = measure_hair_color(shuffled, ids)
    assert (measured is None) == (again is None) == (not len(places))
    assert measured is None or (np.allclose(measured[0], again[0]) and measured[1] == again[1] and measured[1] in HAIR_COLORS)


def test_names_and_hex():
    assert parse_hair_color(" Pink ") == HAIR_COLORS["pink"]
    assert parse_hair_color("#0a0B0c") == (10, 11, 12)
    for wrong in ("beige", "#12345", "#12345g", "", "pink; rm"):
        with pytest.raises(InputError, match="unknown hair colour"):
            parse_hair_color(wrong)
