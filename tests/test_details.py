from __future__ import annotations

import numpy as np
import pytest
import torch

from aniface.details import Details, aligned, carry_over, face_of, frame, region_agreement, residue, see_details, without_hue
from aniface.labels import BACKGROUND, CLOTHES, EYE, FACE, HAIR, STYLE_REGIONS
from aniface.processing import mask_one_hot, pixels_from_uint8

SIZE = 64


@pytest.fixture(scope="module")
def layout(toy_mask) -> torch.Tensor:
    return mask_one_hot(toy_mask, SIZE)


@pytest.fixture(scope="module")
def details(toy_mask, layout) -> Details:
    """Of noise: every place is told from every other."""
    return see_details(torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1, layout)


def elsewhere(layout: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """A mask moved over its background."""
    result = torch.zeros_like(layout)
    result[:, BACKGROUND] = 1
    down, right = slice(max(0, dy), SIZE + min(0, dy)), slice(max(0, dx), SIZE + min(0, dx))
    up, left = slice(max(0, -dy), SIZE + min(0, -dy)), slice(max(0, -dx), SIZE + min(0, -dx))
    result[..., down, right] = layout[..., up, left]
    return result


def test_what_is_left_of_a_picture_has_no_mean_in_any_region(toy_picture, toy_mask):
    left = residue(pixels_from_uint8(np.asarray(toy_picture))[None], mask_one_hot(toy_mask, len(toy_picture)))[0]
    assert left.abs().max() > 0.1
    for label in (BACKGROUND, HAIR):
        assert left[:, torch.from_numpy(toy_mask.ids == label)].mean(1).abs().max() < 3e-3  # float32 over a quarter of a million pixels


def test_its_own_mask_gets_all_of_a_pictures_details(layout, details):
    carried = carry_over((details,), layout)
    assert torch.allclose(carried[:, 3:], torch.ones(1, 1, SIZE, SIZE), atol=1e-5)
    assert torch.allclose(carried[:, :3], details.pixels, atol=1e-5)


def test_details_end_where_the_masks_begin_to_differ(layout, details):
    changed = layout.clone()
    changed[..., 12:, :14] = 0
    changed[:, HAIR, 12:, :14] = 1  # more hair on the left
    share = carry_over((details,), changed)[0, 3]
    same = (changed * layout).sum(1)[0]
    assert (same == 0).any() and not share[same == 0].any()
    far = torch.nn.functional.max_pool2d((same == 0)[None].float(), 25, stride=1, padding=12)[0] == 0
    alike = region_agreement(changed, layout)
    assert alike.min() < 1 and share[far & (layout[0, CLOTHES] > 0)].min() > 0.99  # they are what they were
    assert ((share > 0) & (share < 1)).any()  # a soft edge


def test_a_region_of_another_shape_gets_nothing(layout, details):
    other = layout.clone()
    other[:, HAIR] = 0
    other[:, BACKGROUND] += layout[:, HAIR]
    other[:, HAIR, :6], other[:, BACKGROUND, :6] = other[:, BACKGROUND, :6].clone(), 0  # hair is a strip at the top instead
    share = carry_over((details,), other)[0, 3]
    assert not share[other[0, HAIR] > 0].any() and share[other[0, CLOTHES] > 0].mean() > 0.5


def test_nothing_is_carried_over_without_agreement(layout, details):
    nothing = torch.zeros_like(layout)
    nothing[:, (layout.argmax(1)[0, 0, 0] + 1) % 7] = 1  # one class all over
    other = torch.zeros_like(layout)
    other[:, 6] = 1
    assert carry_over((), layout) is None
    assert carry_over((Details(details.pixels, nothing, details.weights),), other) is None


def test_a_face_elsewhere_takes_its_details_along(layout, details):
    far = elsewhere(layout, 4, -6)
    shown = aligned(details, far)
    assert (shown[:, 3:] * far).sum() > (details.layout * far).sum()
    inside = far[0, FACE] > 0
    centre = torch.roll(details.pixels, (4, -6), (2, 3))
    assert torch.allclose(shown[0, :3, inside], centre[0][:, inside], atol=0.05)
    assert torch.equal(aligned(details, layout), torch.cat([details.pixels, details.layout], 1))  # what fits already is not resampled


def test_an_eye_elsewhere_takes_its_details_along(layout, details):
    places = torch.nonzero(layout[0, EYE])
    left = places[:, 1] < places[:, 1].float().mean()
    other = layout.clone()
    for y, x in places[left]:  # the left eye goes down, the face closes where it was
        other[0, :, y, x] = torch.nn.functional.one_hot(torch.tensor(FACE), 7)
    down = places[left] + torch.tensor([4, 0])
    other[0, :, down[:, 0], down[:, 1]] = torch.nn.functional.one_hot(torch.tensor(EYE), 7).float()[:, None]
    shown = aligned(details, other)
    was = details.pixels[0][:, places[left][:, 0], places[left][:, 1]]
    assert torch.allclose(shown[0, :3][:, down[:, 0], down[:, 1]], was, atol=0.1)
    kept = torch.ones(SIZE, SIZE, dtype=torch.bool)
    kept[down[:, 0], down[:, 1]] = False
    assert torch.equal(shown[0, :3][:, kept], details.pixels[0][:, kept])


def test_a_frame_of_a_shape(layout):
    centre, extent = frame(face_of(layout))
    further, _ = frame(face_of(elsewhere(layout, 4, 0)))
    assert torch.allclose(further - centre, torch.tensor([0, 8 / SIZE]), atol=1e-4) and extent.min() > 0 and extent.max() < 0.5
    assert frame(torch.zeros(SIZE, SIZE)) is None


def test_faces_of_very_different_sizes_are_not_aligned(layout, details):
    small = torch.zeros_like(layout)
    small[:, BACKGROUND] = 1
    small[..., 16:48, 16:48] = torch.nn.functional.avg_pool2d(layout, 2).round()
    small[:, FACE] += small[:, EYE]
    small[:, EYE] = 0
    assert torch.equal(aligned(details, small)[:, :3], details.pixels)


def test_each_region_has_its_source(layout, details):
    hair = torch.tensor([region == "hair" for region in STYLE_REGIONS]).float()[None, :, None]
    mine, theirs = details.weighted(1 - hair), Details(-details.pixels, layout, hair)
    carried = carry_over((mine, theirs), layout)
    sign = torch.where(layout[:, HAIR : HAIR + 1] > 0, -1.0, 1.0)
    assert torch.allclose(carried[:, :3], sign * details.pixels, atol=1e-5)
    assert torch.allclose(carry_over((details.weighted(hair / 2),), layout)[0, 3], layout[0, HAIR] / 2, atol=1e-5)


def test_without_hue_only_light_and_dark_are_left(details):
    carried = torch.cat([details.pixels, torch.ones(1, 1, SIZE, SIZE)], 1)
    inside = torch.zeros(1, 1, SIZE, SIZE)
    inside[..., :32] = 1
    grey = without_hue(carried, inside)
    assert torch.equal(grey[..., 32:], carried[..., 32:]) and torch.equal(grey[:, 3:], carried[:, 3:])
    assert torch.allclose(grey[:, :3, :, :32], details.pixels[..., :32].mean(1, keepdim=True).expand(1, 3, SIZE, 32), atol=1e-6)
