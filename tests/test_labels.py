from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw, ImageFilter

from aniface.labels import (
    ID_OF_LABEL,
    LABELS,
    LABELS_15,
    NUM_LABELS,
    PALETTE,
    InputError,
    Mask,
    check_labelme,
    mask_from_labelme,
    mask_to_labelme,
    regions,
    vote_resize,
)

id_maps = hnp.arrays(np.uint8, st.tuples(st.integers(8, 40), st.integers(8, 40)), elements=st.integers(0, NUM_LABELS - 1))


def test_the_label_sets():
    assert LABELS == ("background", "skin", "face", "eye", "mouth", "hair", "clothes")
    assert len(LABELS_15) == 15 and set(LABELS_15.values()) == set(LABELS)
    expected = {"body": 1, "ear": 1, "hand": 1, "nose": 2, "eyebrow": 2, "glasses": 2, "eyeball": 3, "pupil": 3, "eyelash": 3}
    assert {name: ID_OF_LABEL[name] for name in expected} == expected
    assert ID_OF_LABEL["hair_accessory"] == LABELS.index("clothes")


def test_no_blend_of_two_colours_comes_near_a_third():
    colours = PALETTE.astype(float)
    nearest = min(
        np.linalg.norm(colours[c] - (a + t * (b - a)))
        for i, a in enumerate(colours)
        for j, b in enumerate(colours)
        for c in range(NUM_LABELS)
        if len({i, j, c}) == 3
        for t in np.linspace(0, 1, 101)
    )
    assert nearest > 65


@settings(max_examples=40, deadline=None)
@given(id_maps)
def test_every_form_gives_the_same_mask(tmp_path_factory, ids):
    mask = Mask(ids)
    path = mask.save(tmp_path_factory.mktemp("m") / "mask.png")
    with Image.open(path) as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), ids)
        assert np.array_equal(np.asarray(image.convert("RGB")), PALETTE[ids])
    rgba = np.dstack([PALETTE[ids], np.full(ids.shape, 255, np.uint8)])
    for form in (mask, path, str(path), ids, ids.astype(np.int64), Image.fromarray(PALETTE[ids]), PALETTE[ids], Image.fromarray(rgba)):
        assert Mask.of(form) == mask
    assert Mask.of(Image.fromarray(ids)) == mask  # grey ids


@settings(max_examples=60, deadline=None)
@given(id_maps)
def test_labelme_round_trip_is_exact(ids):
    mask = Mask(ids)
    assert mask_from_labelme(json.loads(json.dumps(mask_to_labelme(mask)))) == mask


@settings(max_examples=40, deadline=None)
@given(id_maps, st.integers(0, 2**32 - 1), st.integers(0, 22))
def test_colours_that_are_a_little_off_are_decoded_exactly(ids, seed, most):
    """Up to 22 in each channel is within CLEAR_DISTANCE of the own colour and farther from every other one."""
    off = np.random.default_rng(seed).integers(-most, most + 1, (*ids.shape, 3))
    assert np.array_equal(Mask.of((PALETTE[ids] + off).clip(0, 255).astype(np.uint8)).ids, ids)


@settings(max_examples=40, deadline=None)
@given(id_maps, st.integers(8, 90))
def test_resizing_keeps_to_the_classes_and_comes_back(ids, size):
    assert set(np.unique(Mask(ids).fit(size).ids)) <= {*np.unique(ids), 0}
    square = ids[: min(ids.shape), : min(ids.shape)]
    assert np.array_equal(vote_resize(vote_resize(square, 4 * len(square))[2::4, 2::4], len(square)), square)
    flipped = Mask(ids[:, ::-1]).fit(size).ids
    if len(np.unique(ids)) == 1:
        # Letterboxes round to one side: by a pixel of the mask and by one of the result, at either end.
        assert (flipped[:, ::-1] != Mask(ids).fit(size).ids).mean() <= 2 / max(ids.shape) + 2 / size


def test_labelme_round_trip_of_a_face(toy_mask):
    annotation = mask_to_labelme(toy_mask, "face.png")
    assert mask_from_labelme(annotation) == toy_mask
    assert annotation["imagePath"] == "face.png" and len(annotation["shapes"]) < 20


def test_later_polygons_lie_on_top_and_15_labels_are_mapped():
    def box(label, a, b):
        return {"label": label, "points": [[a, a], [b, a], [b, b], [a, b]], "shape_type": "polygon"}

    annotation = {"imageWidth": 20, "imageHeight": 20, "shapes": [box("hair", 2, 15), box("pupil", 5, 10), box("hair_accessory", 8, 9)]}
    ids = mask_from_labelme(annotation).ids
    assert (ids[0, 0], ids[3, 3], ids[6, 6], ids[9, 9]) == (0, 5, 3, 6)


@settings(max_examples=30, deadline=None)
@given(id_maps)
def test_regions_number_connected_pixels(ids):
    numbers, count = regions(ids)
    assert sorted(np.unique(numbers)) == list(range(count))
    for number in range(count):
        assert len(np.unique(ids[numbers == number])) == 1
    assert (numbers[1:] == numbers[:-1])[ids[1:] == ids[:-1]].all()
    assert (numbers[:, 1:] == numbers[:, :-1])[ids[:, 1:] == ids[:, :-1]].all()


def test_anti_aliased_and_slightly_off_colours(toy_mask):
    smooth = Image.fromarray(toy_mask.to_rgb()).filter(ImageFilter.GaussianBlur(1.2))
    noisy = np.asarray(smooth).astype(int) + np.random.default_rng(0).integers(-9, 10, (512, 512, 3))
    decoded = Mask.of(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
    assert (decoded.ids == toy_mask.ids).mean() > 0.99
    border = np.zeros((512, 512), bool)  # nowhere does a border invent a class that is not around
    for index in set(range(NUM_LABELS)) - set(np.unique(toy_mask.ids)):
        border |= decoded.ids == index
    assert not border.any()


def test_transparent_pixels_are_background():
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[..., :3] = PALETTE[5]
    rgba[:8, :, 3] = 255
    rgba[8:, :, 3] = 100
    assert np.array_equal(Mask.of(rgba).ids, np.repeat([[5], [0]], 8, 0).repeat(16, 1))


def test_a_drawing_with_another_palette_is_decoded_by_colour():
    image = Image.fromarray(PALETTE[np.repeat([[5, 2]], 16, 0).repeat(8, 1)]).quantize(4)
    assert set(np.unique(Mask.of(image).ids)) == {2, 5}


@pytest.mark.parametrize("size", [64, 100, 512, 700])
def test_resizing_keeps_areas_and_thin_mouths(toy_mask, size):
    ids = toy_mask.fit(size).ids
    assert ids.shape == (size, size)
    before = np.bincount(toy_mask.ids.ravel(), minlength=7) / toy_mask.ids.size
    after = np.bincount(ids.ravel(), minlength=7) / ids.size
    assert abs(before - after).max() < 0.01 and after[4] > 0


def test_resizing_invents_no_class():
    ids = np.zeros((64, 64), np.uint8)
    ids[:, 32:] = 6
    assert set(np.unique(vote_resize(ids, 200))) == {0, 6}


def test_what_is_not_square_is_letterboxed():
    mask = Mask(np.full((20, 40), 5)).fit(64)
    assert (mask.ids[:14] == 0).all() and (mask.ids[18:46] == 5).all() and (mask.ids[50:] == 0).all()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.full((9, 9), 9), "ids from 9 to 9; expected 0..6"),
        (np.full((9, 9), -1), "ids from -1 to -1"),
        (np.full((9, 9), 0.5), "fractions"),
        (np.full((9, 9), np.nan), "ids from nan"),
        (np.zeros((9, 9), bool), "booleans"),
        (np.zeros((9, 9, 2)), "shape (9, 9, 2)"),
        (np.zeros((3, 9)), "at least 8"),
        (np.zeros((0, 0)), "at least 8"),
        (np.zeros((9, 20000), np.uint8), "at most 16384"),
        (np.array([["a"] * 9] * 9), "dtype"),
    ],
)
def test_wrong_arrays(ids, message):
    with pytest.raises(InputError, match=r".") as caught:
        Mask(ids)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_photograph_is_not_a_mask():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="does not look like a face map"):
        Mask.of(picture)


def test_a_thin_drawing_on_white_is_refused_kindly():
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).line((0, 0, 63, 63), fill=tuple(PALETTE[5].tolist()))
    with pytest.raises(InputError, match="segment it"):
        Mask.of(image)


def good_annotation() -> dict:
    return {"imageWidth": 20, "imageHeight": 20, "shapes": [{"label": "hair", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update(shapes=[]), "no polygons"),
        (lambda a: a.pop("shapes"), 'no "shapes" list'),
        (lambda a: a["shapes"][0].update(label="beard"), "unknown label 'beard'"),
        (lambda a: a["shapes"][0].update(label=["hair"]), "unknown label"),
        (lambda a: a["shapes"][0].update(points=[[1, 1]]), "has 1 points"),
        (lambda a: a["shapes"][0].update(points=[[1, 1], [2, 2], [3, "x"]]), "expected [x, y]"),
        (lambda a: a["shapes"][0].update(points=[[1, 1], [2, 2], [3, float("nan")]]), "expected [x, y]"),
        (lambda a: a["shapes"][0].update(shape_type="circle"), "only polygons"),
        (lambda a: a.update(imageWidth="20"), "whole numbers"),
        (lambda a: a.update(imageWidth=10**6, imageHeight=10**6), "at most"),
    ],
)
def test_wrong_annotations(change, message):
    annotation = good_annotation()
    change(annotation)
    with pytest.raises(InputError) as caught:
        check_labelme(annotation)
    assert message in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-100, 10**7) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["shapes", "points", "label", "imageWidth"]), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(json_values, st.sampled_from(["shapes", "imageWidth", "imageHeight", "label", "points", "all"]))
def test_hostile_annotations_are_refused_or_rasterised(value, where):
    annotation = good_annotation()
    if where == "all":
        annotation = value
    elif where in annotation:
        annotation[where] = value
    else:
        annotation["shapes"][0][where] = value
    try:
        mask_from_labelme(annotation)
    except InputError as error:
        assert "\n" not in str(error)
