from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from aniface import AnifacePipeline, InputError, Mask
from aniface.features import PictureFeatures
from aniface.labels import CLOTHES, EYE, HAIR, STYLE_REGIONS
from aniface.start_masks import start_masks
from aniface.styles import SeenStyle, blend_seen, nothing_like


def mean_colour(image, ids: np.ndarray, label: int) -> np.ndarray:
    return np.asarray(image).astype(float)[ids == label].mean(0)


def seen(value: float, present: float = 1.0) -> SeenStyle:
    codes, colours = torch.full((1, 5, 4), value), torch.full((1, 5, 3), value / 10)
    return SeenStyle(codes, codes, colours, torch.full((1, 5, 1), present))


def test_blending_weighs_what_is_there():
    both = blend_seen([seen(1.0), seen(3.0)], [1.0, 3.0])
    assert torch.allclose(both.mean, torch.tensor(2.5)) and torch.allclose(both.colours, torch.tensor(0.25))
    assert torch.allclose(blend_seen([seen(1.0), seen(3.0, present=0)], [1.0, 3.0]).mean, torch.tensor(1.0))
    assert not blend_seen([seen(1.0, present=0)], [1.0]).present.any()


def test_styles_that_contradict_each_other_blend_by_way_of_the_average_one():
    first, second = torch.tensor([2.0, 0, 0, 0]), torch.tensor([0, 2.0, 0, 0])
    styles = [SeenStyle(code.expand(1, 5, 4), code.expand(1, 5, 4), torch.zeros(1, 5, 3), torch.ones(1, 5, 1)) for code in (first, second)]
    half = blend_seen(styles, [1.0, 1.0]).mean
    assert torch.allclose(half, (first + second) / 2 / 2**0.5)  # orthogonal codes: their mean is shorter by the root of 2, and again
    assert torch.allclose(blend_seen([styles[0], styles[0]], [1.0, 3.0]).mean, first)
    assert torch.allclose(blend_seen(styles, [1.0, 0.0]).mean, first)
    opposite = SeenStyle(-first.expand(1, 5, 4), *(getattr(styles[0], name) for name in ("log_variance", "colours", "present")))
    assert torch.allclose(blend_seen([styles[0], opposite], [1.0, 1.0]).mean, torch.zeros(4), atol=1e-6)


def test_one_region_of_another_style():
    mixed = seen(1.0).with_region("eye", seen(2.0))
    assert mixed.mean[0, :, 0].tolist() == [1, 1, 2, 1, 1] and mixed.colours[0, STYLE_REGIONS.index("eye"), 0] == pytest.approx(0.2)
    with pytest.raises(InputError, match="the reference for hair shows no hair"):
        seen(1.0).with_region("hair", nothing_like(seen(1.0)))


@pytest.fixture(scope="module")
def two_portraits(bundled, toy_mask):
    return [bundled(toy_mask, hair_color=color, region_colors={"clothes": clothes}, seed=seed).images[0] for color, clothes, seed in
            (("red", "#2040a0", 1), ("blue", "#a03020", 2))]  # fmt: skip


def test_a_reference_for_a_region_changes_that_region(bundled, toy_mask, two_portraits):
    red, blue = two_portraits
    before = bundled(toy_mask, reference=red).images[0]
    after = bundled(toy_mask, reference=red, region_references={"hair": blue}).images[0]
    moved = {label: np.abs(mean_colour(after, toy_mask.ids, label) - mean_colour(before, toy_mask.ids, label)).max() for label in range(7)}
    assert moved[HAIR] > 60 and max(value for label, value in moved.items() if label != HAIR) < 25
    alone = bundled(toy_mask, region_references={"hair": blue}).images[0]  # without any other reference
    assert np.abs(mean_colour(alone, toy_mask.ids, HAIR) - mean_colour(blue, toy_mask.ids, HAIR)).max() < 30


def test_blended_references_lie_between(bundled, toy_mask, two_portraits):
    red, blue = (mean_colour(bundled(toy_mask, reference=picture).images[0], toy_mask.ids, HAIR) for picture in two_portraits)
    half = mean_colour(bundled(toy_mask, reference=two_portraits).images[0], toy_mask.ids, HAIR)
    assert np.abs(half - (red + blue) / 2).max() < 25
    weighted = bundled(toy_mask, reference=[(two_portraits[0], 1), (two_portraits[1], 0)]).images[0]
    assert np.abs(mean_colour(weighted, toy_mask.ids, HAIR) - red).max() < 3


def test_style_strength_goes_from_the_random_style_to_the_references(bundled, toy_mask, two_portraits):
    def hair(strength: float) -> np.ndarray:
        picture = bundled(toy_mask, reference=two_portraits[1], style_strength=strength, seed=4).images[0]
        return mean_colour(picture, toy_mask.ids, HAIR)

    nothing, half, all_of_it = hair(0), hair(0.5), hair(1)
    assert np.allclose(nothing, mean_colour(bundled(toy_mask, seed=4).images[0], toy_mask.ids, HAIR))
    assert np.abs(half - (nothing + all_of_it) / 2).max() < 30
    assert np.linalg.norm(half - all_of_it) < np.linalg.norm(nothing - all_of_it)


@pytest.mark.parametrize(("region", "label"), [("clothes", CLOTHES), ("eye", EYE), ("background", 0)])
def test_a_colour_for_a_region(bundled, toy_mask, region, label):
    green = mean_colour(bundled(toy_mask, region_colors={region: "#609040"}, seed=1).images[0], toy_mask.ids, label)
    purple = mean_colour(bundled(toy_mask, region_colors={region: "#8050a0"}, seed=1).images[0], toy_mask.ids, label)
    assert green[1] - purple[1] > 25 and purple[2] - green[2] > 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"style_strength": 1.5}, "style_strength is 1.5; expected a number from 0 to 1"),
        ({"region_references": {"nose": 1}}, "region_references has the key 'nose'; expected background, skin, eye, hair, clothes"),
        ({"region_references": "hair"}, "region_references is a str; expected a dictionary"),
        ({"region_references": {"hair": "x.png"}}, "the reference is a str"),
        ({"region_colors": {"eye": "blue"}}, "unknown colour of eye 'blue'; expected #rrggbb"),
        ({"reference": []}, "reference is a list of 0; expected 1 to 64 pictures"),
        ({"reference": [(Image.new("RGB", (9, 9)), 0)]}, "the references' weights are all 0"),
        ({"reference": [(Image.new("RGB", (9, 9)), -1)]}, "a reference's weight is -1"),
        ({"reference": [(1, 2, 3)]}, "expected 1 to 64 pictures or (picture, weight) pairs"),
    ],
)
def test_wrong_styles(tiny, toy_mask, arguments, message):
    with pytest.raises(InputError) as caught:
        tiny(toy_mask, **arguments)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_encoded_reference_serves_as_its_picture(bundled, toy_mask, two_portraits):
    style = bundled.encode_reference(two_portraits[0])
    for arguments in ({"reference": style}, {"reference": [(style, 1.0)]}):
        assert bundled(toy_mask, **arguments).images[0].tobytes() == bundled(toy_mask, reference=two_portraits[0]).images[0].tobytes()
    by_region, by_picture = (bundled(toy_mask, region_references={"hair": hair}).images[0] for hair in (style, two_portraits[0]))
    assert by_region.tobytes() == by_picture.tobytes()


@pytest.fixture(scope="module")
def portrait(bundled):
    """A portrait of ours with strokes in its hair and on its clothes that no code tells of, and the mask that is seen in it."""
    mask = start_masks()["bob"]
    picture = bundled(mask, hair_color="red", region_colors={"clothes": "#2040a0"}, seed=3).images[0]
    strokes = Image.new("L", picture.size)
    for x in range(-512, 512, 36):
        ImageDraw.Draw(strokes).line([(x, 0), (x + 400, 512)], fill=255, width=5)
    inside = (np.asarray(strokes) > 0) & np.isin(mask.ids, (HAIR, CLOTHES))
    picture = Image.fromarray(np.where(inside[..., None], np.uint8(30), np.asarray(picture)))
    return picture, bundled.segment(picture)


def codes_alone(pipe, picture):
    return replace(pipe.encode_reference(picture), details=())


def off(one, other, where=slice(None)) -> float:
    return float(np.abs(np.asarray(one).astype(float) - np.asarray(other).astype(float))[where].mean())


def test_its_own_mask_brings_a_portrait_back_stroke_by_stroke(bundled, portrait):
    picture, mask = portrait
    features = PictureFeatures.choose(bundled)
    with_details, without = (bundled(mask, reference=style).images[0] for style in (picture, codes_alone(bundled, picture)))
    assert features.distance(with_details, picture) < features.distance(without, picture) / 2


def test_an_edited_mask_keeps_the_details_elsewhere(bundled, portrait):
    picture, mask = portrait
    ids = mask.ids.copy()
    ids[:100] = np.where(ids[:100] == HAIR, 0, ids[:100])  # hair that is less high
    before, after = (bundled(Mask(chosen), reference=picture).images[0] for chosen in (mask.ids, ids))
    assert (ids != mask.ids).any() and off(after, before, slice(200, 512)) < 3
    rest = [np.asarray(image)[200:] for image in (picture, after, bundled(Mask(ids), reference=codes_alone(bundled, picture)).images[0])]
    features = PictureFeatures.choose(bundled)
    assert features.distance(rest[0], rest[1]) < features.distance(rest[0], rest[2]) / 2


def test_another_hair_colour_leaves_the_strokes(bundled, portrait):
    picture, mask = portrait
    hair = mask.ids == HAIR

    def brightness(image) -> np.ndarray:
        return np.asarray(Image.fromarray(np.asarray(image)).convert("L"), float)[hair]

    blue = bundled(mask, reference=picture, hair_color="blue").images[0]
    plain = bundled(mask, reference=codes_alone(bundled, picture), hair_color="blue").images[0]
    alike, less = (np.corrcoef(brightness(image), brightness(picture))[0, 1] for image in (blue, plain))
    assert alike > 0.7 and alike > less
    colour = mean_colour(blue, mask.ids, HAIR)
    assert colour[2] > colour[0] + 40 and off(blue, bundled(mask, reference=picture).images[0], ~hair) < 6


def test_details_are_the_first_variants_and_fade_with_the_style(bundled, portrait):
    picture, mask = portrait
    style = codes_alone(bundled, picture)
    first, second = bundled(mask, reference=picture, num_images=2).images
    assert second.tobytes() == bundled(mask, reference=style, num_images=2).images[1].tobytes() and first.tobytes() != second.tobytes()
    seen, layout = bundled.see_style(picture), bundled.layout_of(mask)
    whole, half = (bundled.choose_style(layout, seen, style_strength=strength).details for strength in (1.0, 0.5))
    assert torch.allclose(half, whole / 2) and bundled.choose_style(layout, seen, style_strength=0).details is None
    blend = bundled.choose_style(layout, bundled.see_style([(picture, 1), (style, 3)])).details
    assert torch.allclose(blend, whole / 16, atol=1e-6)


def test_a_region_has_the_details_of_its_reference(bundled, portrait, two_portraits):
    picture, mask = portrait
    layout = bundled.layout_of(mask)
    mixed = bundled.choose_style(layout, bundled.see_style(codes_alone(bundled, two_portraits[0]), {"hair": picture})).details
    whole = bundled.choose_style(layout, bundled.see_style(picture)).details
    hair = torch.nn.functional.adaptive_avg_pool2d(layout, whole.shape[-1])[:, HAIR : HAIR + 1]
    assert torch.allclose(mixed, whole * hair, atol=1e-6) and mixed.any()


def test_without_an_adapter_there_are_no_details(bundled, portrait):
    picture, mask = portrait
    plain = AnifacePipeline(**bundled.components | {"detail_adapter": None})
    assert not plain.encode_reference(picture).details
    assert plain(mask, reference=picture).images[0].tobytes() == bundled(mask, reference=codes_alone(bundled, picture)).images[0].tobytes()
