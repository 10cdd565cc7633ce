"""The face is found with an exact parser, which reads drawings in the palette's colours, and with the one that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aniface
from aniface.face_crop import Square as FaceSquare
from aniface.face_crop import box_of, faces_in, find_portrait, is_portrait, overlap
from aniface.labels import BACKGROUND, EYE, FACE, HAIR, PALETTE, Mask
from aniface.processing import fit_picture
from aniface.segmentation import segment_picture
from benchmarks.face_crop import CANVASES, draw_canvas, paste_portrait

FACES = [Mask.open(path) for path in sorted((Path(aniface.__file__).parent / "start_masks").glob("*.png"))]


def exact_parser(calls: list | None = None):
    """Nearest palette colour, pixel by pixel; notes the shape of what it is shown."""

    def parse(pictures: np.ndarray) -> np.ndarray:
        if calls is not None:
            calls.append(pictures.shape)
        distance = ((pictures[..., None, :].astype(int) - PALETTE.astype(int)) ** 2).sum(-1)
        return distance.argmin(-1).astype(np.uint8)

    return parse


def find(picture: Image.Image, size: int, calls: list | None = None) -> tuple[int, int, int, int] | None:
    return find_portrait(exact_parser(calls), picture, whole_map(picture, size), size)


def whole_map(picture: Image.Image, size: int) -> np.ndarray:
    return exact_parser()(np.asarray(fit_picture(picture, size))[None])[0]


def draw_full(mask: Mask, width: int, height: int, box: tuple[int, int, int]) -> Image.Image:
    """The mask's colours at (left, top, side) on a canvas in the colour of the background."""
    left, top, side = box
    canvas = Image.new("RGB", (width, height), tuple(PALETTE[BACKGROUND].tolist()))
    canvas.paste(Image.fromarray(mask.to_rgb()).resize((side, side), Image.Resampling.BILINEAR), (left, top))
    return canvas


def test_whole_portraits_are_known_as_such():
    assert all(is_portrait(mask.fit(128).ids, 512, 512) for mask in FACES)
    assert not is_portrait(np.full((64, 64), HAIR, np.uint8), 64, 64)
    no_eyes = np.where(FACES[0].ids == EYE, FACE, FACES[0].ids)
    assert not is_portrait(no_eyes, 512, 512)


@pytest.mark.parametrize(
    ("size", "box"),
    [((900, 600), (40, 20, 300)), ((600, 1000), (250, 30, 200)), ((800, 800), (410, 350, 390)), ((1200, 500), (900, 300, 190))],
)
def test_a_face_on_a_canvas_is_cropped_as_its_portrait(size, box):
    for mask in FACES[::4]:
        left, top, side = box
        calls = []
        picture = draw_full(mask, *size, box)
        assert not is_portrait(whole_map(picture, 128), *size)
        found = find(picture, 128, calls)
        assert overlap(found, (left, top, left + side, top + side)) > 0.6
        assert 0 <= found[0] < found[2] <= size[0] and 0 <= found[1] < found[3] <= size[1]
        assert {shape[1:3] for shape in calls} <= {(64, 64), (128, 128)} and max(shape[0] for shape in calls) <= 16


def test_the_larger_of_two_faces_is_taken():
    picture = draw_full(FACES[0], 1000, 700, (500, 150, 450))
    small = draw_full(FACES[1], 160, 160, (0, 0, 160))
    picture.paste(small, (60, 80))
    assert overlap(find(picture, 128), (500, 150, 950, 600)) > 0.6


def test_nothing_is_found_where_nothing_is():
    flat = Image.new("RGB", (300, 200), tuple(PALETTE[BACKGROUND].tolist()))
    assert find(flat, 64) is None
    noise = Image.fromarray(PALETTE[np.random.default_rng(0).integers(0, 7, (200, 300))])
    assert find(noise, 64) is None
    assert faces_in(np.full((64, 64), HAIR, np.uint8)) == []
    assert faces_in(np.full((64, 64), FACE, np.uint8))[0].doubt > 5


@pytest.mark.parametrize("size", [(8, 8), (8, 900), (2000, 9), (33, 31)])
def test_odd_sizes_are_no_trouble(size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    box = find(Image.fromarray(noise), 32)
    assert box is None or (0 <= box[0] < box[2] <= size[0] and 0 <= box[1] < box[3] <= size[1])


def test_boxes_are_moved_into_the_picture_and_cut():
    assert box_of(FaceSquare(-20, 30, 50), 100, 100) == (0, 30, 50, 80)
    assert box_of(FaceSquare(80, -5, 50), 100, 200) == (50, 0, 100, 50)
    assert box_of(FaceSquare(10, 10, 150), 100, 300) == (0, 10, 100, 160)
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3) and overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0


@pytest.fixture(scope="module")
def portraits(bundled) -> list[Image.Image]:
    return [bundled(FACES[number], seed=number).images[0] for number in (0, 5)]


def test_painted_portraits_are_left_as_they_are(bundled, portraits, monkeypatch):
    """And cost no look more: one pass of the network."""
    passes = []
    bundled.segmenter.register_forward_pre_hook(lambda *_: passes.append(1))
    for picture in portraits:
        plain, looked = segment_picture(bundled.segmenter, picture), segment_picture(bundled.segmenter, picture, crop=True)
        assert looked.mask == plain.mask == bundled.segment(picture) and looked.crop is None and looked.note() is None
        assert looked.confidence == plain.confidence > 0.8
    assert len(passes) == 3 * len(portraits)
    bundled.segmenter._forward_pre_hooks.clear()


def test_painted_portraits_are_found_in_full_pictures(bundled, portraits):
    rng = np.random.default_rng(3)
    for portrait, kind, (width, height) in zip(portraits, CANVASES[:2], [(900, 700), (640, 1100)], strict=True):
        picture, _, box = paste_portrait(portrait, None, draw_canvas(kind, width, height, rng), rng, least=0.3, most=0.45)
        found = segment_picture(bundled.segmenter, picture, crop=True)
        assert overlap(found.crop, box) > 0.5
        assert (found.mask.width, found.mask.height) == found.picture.size == (found.crop[2] - found.crop[0], found.crop[3] - found.crop[1])
        assert found.note() == f"face found, cropped to {found.mask.width}x{found.mask.height} at {found.crop[:2]}"
        whole = segment_picture(bundled.segmenter, picture)
        assert (whole.mask.width, whole.mask.height) == picture.size and whole.crop is None


def test_a_picture_without_a_face_is_segmented_as_it_is(bundled):
    picture = draw_canvas("gradient", 200, 120, np.random.default_rng(0))
    found = segment_picture(bundled.segmenter, picture, crop=True)
    assert (found.mask.width, found.mask.height) == (200, 120) and found.crop is None
    assert found.note() == "no face found, segmented as it is"
