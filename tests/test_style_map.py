from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aniface import InputError
from aniface.cli import main
from aniface.style_map import draw_map, make_dots, map_page, place, save_map


@pytest.fixture(scope="module")
def dots(bundled):
    return list(make_dots(bundled, None, count=12))


def test_dots_lie_apart_in_the_picture(dots):
    places = place(dots)
    assert places.shape == (12, 2) and places.min() == 0 and places.max() <= 1
    assert len(np.unique(places, axis=0)) == 12
    picture = np.asarray(draw_map(dots, places, side=400))
    assert picture.shape == (400, 400, 3) and len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


def test_the_page_stands_alone(dots):
    page = map_page(dots, place(dots), "<b>")
    assert page.count("data:image/webp") == 1 and page.count('"p":') == 12
    assert "<b>" not in page and "http" not in page and "__" not in page


def test_the_command_maps_a_folder(tmp_path, toy_folder):
    assert main(["style-map", "--pictures", str(toy_folder), "-n", "12", "--region", "all", "-o", str(tmp_path / "map.png")]) == 0
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (1600, 1600)
    assert main(["style-map", "-n", "12", "-o", str(tmp_path / "map.pdf")]) == 2
    assert main(["style-map", "-n", "3", "-o", str(tmp_path / "map.png")]) == 2


def test_bad_maps(tiny, dots, tmp_path):
    with pytest.raises(InputError, match="region is 'nose'"):
        list(make_dots(tiny, None, region="nose"))
    with pytest.raises(InputError, match="a map of 3 styles"):
        save_map(dots[:3], tmp_path / "map.png")
    assert save_map(dots, tmp_path / "map.html").stat().st_size > 5000
