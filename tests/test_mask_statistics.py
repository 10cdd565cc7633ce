from __future__ import annotations

import numpy as np
import pytest

from aniface.labels import BACKGROUND, CLOTHES, EYE, FACE, HAIR, LABELS, MOUTH, SKIN, Mask
from aniface.mask_statistics import (
    distances,
    halves,
    is_valid,
    measure,
    nearest_iou,
    pieces,
    validity,
    wasserstein_distance,
    widen,
)
from aniface.start_masks import start_masks
from train.toy_data import draw_mask


def edited(**changes) -> Mask:
    """A plain face with some classes painted over by others."""
    ids = np.zeros((128, 128), np.uint8)
    ids[100:, 20:108] = CLOTHES
    ids[85:104, 54:74] = SKIN
    ids[15:80, 25:103] = HAIR
    ids[35:90, 40:88] = FACE
    ids[50:58, 46:58] = EYE
    ids[50:58, 70:82] = EYE
    ids[75:78, 58:70] = MOUTH
    for label, other in changes.items():
        ids[ids == LABELS.index(label)] = other
    return Mask(ids)


def broken(*rules: str) -> dict[str, bool]:
    return {rule: rule not in rules for rule in ("face", "eyes", "mouth", "hair", "head", "below")}


def test_start_masks_and_toy_faces_are_valid():
    for name, mask in start_masks().items():
        assert is_valid(mask), (name, validity(mask))
    for seed in range(5):
        assert is_valid(draw_mask(np.random.default_rng(seed)))
    assert validity(edited()) == broken()


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"eye": FACE}, ("eyes",)),
        ({"mouth": FACE}, ("mouth",)),
        ({"hair": BACKGROUND}, ("hair",)),
        ({"face": HAIR}, ("face", "eyes", "mouth")),
    ],
)
def test_what_is_missing_breaks_its_rule(changes, rules):
    kept = validity(edited(**changes))
    assert not any(kept[rule] for rule in rules)
    if "face" not in rules:
        assert kept == broken(*rules)


def test_without_neck_and_clothes():
    ids = edited().ids.copy()
    ids[np.isin(ids, (SKIN, CLOTHES))] = BACKGROUND
    assert validity(Mask(ids)) == broken("below")


def test_misplaced_parts_break_their_rules():
    plain = edited().ids
    third = plain.copy()
    third[64:70, 60:68] = EYE
    assert validity(Mask(third)) == broken("eyes")
    stacked = edited(eye=FACE).ids.copy()
    stacked[40:46, 58:70] = stacked[56:62, 58:70] = EYE
    assert validity(Mask(stacked)) == broken("eyes")
    off_the_face = edited(eye=FACE).ids.copy()
    off_the_face[22:28, 50:60] = EYE
    assert not validity(Mask(off_the_face))["eyes"]
    above = edited(mouth=FACE).ids.copy()
    above[40:43, 58:70] = MOUTH
    assert validity(Mask(above)) == broken("mouth")
    in_two = plain.copy()
    in_two[0:10, 0:60] = HAIR
    assert validity(Mask(in_two)) == broken("head")


def test_rules_do_not_depend_on_the_size_of_the_mask():
    big = Mask(edited().ids.repeat(4, 0).repeat(4, 1))
    assert validity(big) == broken()
    assert validity(Mask(np.zeros((512, 512), np.uint8)))["face"] is False


def test_pieces_and_widening():
    inside = np.zeros((20, 20), bool)
    inside[2:5, 2:5] = inside[2:5, 6:9] = inside[15, 15] = True
    found = pieces(inside, gap=1)
    assert [piece.area for piece in found] == [18, 1]
    assert (found[0].row, found[0].column) == (3.0, 5.0)
    assert [piece.area for piece in pieces(inside, gap=0)] == [9, 9, 1]
    assert [piece.area for piece in pieces(inside, gap=1, smallest=2)] == [18]
    assert pieces(np.zeros((5, 5), bool)) == []
    assert widen(inside)[14:17, 14:17].all() and widen(inside).sum() == 5 * 9 + 9


def test_figures_of_a_known_mask():
    ids = np.zeros((128, 128), np.uint8)
    ids[:64, :64] = HAIR
    ids[100:110, 100:110] = HAIR
    ids[120, 120] = HAIR  # a speck
    figures = measure([Mask(ids), Mask(np.zeros((64, 64), np.uint8))])
    assert figures["pieces"][0, HAIR] == 2 and figures["pieces"][1, HAIR] == 0
    assert figures["area"][0, HAIR] == pytest.approx((64**2 + 100 + 1) / 128**2)
    assert np.isnan(figures["row"][1, HAIR]) and figures["row"][1, 0] == pytest.approx(0.5)
    assert figures["row"][0, HAIR] == pytest.approx(figures["column"][0, HAIR])


def test_wasserstein_distances_by_hand():
    assert wasserstein_distance(np.array([0.0, 1.0]), np.array([0.5, 1.5])) == pytest.approx(0.5)
    assert wasserstein_distance(np.array([0.0, 0.0, 4.0]), np.array([0.0])) == pytest.approx(4 / 3)
    assert wasserstein_distance(np.array([1.0, np.nan]), np.array([3.0])) == pytest.approx(2)
    assert np.isnan(wasserstein_distance(np.array([np.nan]), np.array([3.0])))
    rng = np.random.default_rng(0)
    assert wasserstein_distance(rng.normal(0, 1, 4000), rng.normal(0.7, 1, 3000)) == pytest.approx(0.7, abs=0.08)


def test_halves_are_nearer_than_other_masks():
    faces = measure([draw_mask(np.random.default_rng(seed)) for seed in range(20)])
    by_chance = distances(*halves(faces))
    smaller = measure([Mask(np.pad(edited().ids, 64)) for _ in range(3)])
    apart = distances(smaller, faces)
    assert apart["area"]["face"] > 3 * by_chance["area"]["face"] > 0
    assert set(apart) == {"area", "row", "column", "pieces"} and set(apart["area"]) == set(LABELS)


def test_nearest_masks():
    masks = list(start_masks().values())
    mirrored = [Mask(mask.ids[:, ::-1]) for mask in masks]
    assert nearest_iou(masks[:3], mirrored).tolist() == pytest.approx([1, 1, 1])
    apart = nearest_iou(masks, masks, leave_out_same=True)
    assert (apart > 0.1).all() and (apart < 0.95).all()
