from __future__ import annotations

import io

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from aniface.folders import Item, find_items, load_all, split_items
from aniface.labels import MOUTH
from aniface.models.mobilenet_v2 import FEATURE_CHANNELS, MobileNetV2Features
from aniface.models.segmenter import FaceSegmenter
from aniface.processing import pixels_from_uint8
from train.augment import augment_pair, gradient, jpeg, random_grid, replace_background, shift_region_colours, warp_pair
from train.data import SampleStream, stack_samples
from train.portraits import PortraitStream, sloppy_ids
from train.train_painter import augment_alike
from train.train_segmenter import SegmenterStream, augment_batch, change_free, drawing_order, label, logits_of, warp_free


def test_holdouts_are_nested_and_stable(toy_folder):
    items = find_items(toy_folder)
    _, few = split_items(items, 3)
    train, many = split_items(items, 6)
    assert [i.name for i in many[:3]] == [i.name for i in few]
    assert not {i.name for i in train} & {i.name for i in many} and len(train) == 10


def test_a_stream_visits_every_item_once_an_epoch_whoever_asks():
    def stream():
        return SampleStream(7, lambda index, rng: (index, rng.random()), seed=3)

    first, second = stream(), stream()
    samples = [first[n] for n in range(21)]
    assert [second[n] for n in reversed(range(21))] == samples[::-1]
    for epoch in range(3):
        assert sorted(index for index, _ in samples[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert len({number for _, number in samples}) == 21


def test_picture_and_mask_stay_aligned_under_augmentation():
    """The mask painted as a picture must come out as the mask does."""
    ids = torch.zeros(96, 96, dtype=torch.long)
    ids[30:70, 20:60] = 6
    picture = (ids[None].float() / 3 - 1).expand(3, -1, -1).contiguous()
    for seed in range(20):
        warped, mask = warp_pair(picture, ids, random_grid(np.random.default_rng(seed), 96))
        assert abs((warped[0] + 1) * 3 - mask).gt(3).float().mean() < 0.005


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@example(383, 383)
def test_any_warp_keeps_picture_and_mask_aligned(drawn, warped):
    """Away from borders, where colours mix, the warped picture of a mask in seven far colours shows the warped mask."""
    rng = np.random.default_rng(drawn)
    ids = torch.from_numpy(rng.integers(0, 7, (4, 4)).repeat(24, 0).repeat(24, 1))
    colours = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])[:7]
    picture, mask = warp_pair(colours[ids].movedim(-1, 0).contiguous(), ids, random_grid(np.random.default_rng(warped), 96))
    assert mask.dtype == ids.dtype and set(mask.unique().tolist()) <= set(ids.unique().tolist())
    distances = (picture[None] - colours[:, :, None, None]).square().sum(1)
    # The nearest pixel weighs a quarter at least, so what is of another colour than its mask is (2 / 4)^2 off that colour at least.
    pure = distances.amin(0) < 0.24
    assert (distances.argmin(0) == mask)[pure].all() and pure.float().mean() > 0.6


def test_augmentation_is_reproducible_and_keeps_shapes_and_ranges(toy_folder):
    pictures, masks = load_all(find_items(toy_folder)[:2], 64)
    pixels, other = pixels_from_uint8(pictures)
    ids = torch.from_numpy(masks[0]).long()
    for seed in range(12):
        first, second = (augment_pair(pixels, ids, np.random.default_rng(seed), other) for _ in range(2))
        assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
        assert first[0].shape == (3, 64, 64) and first[0].abs().max() <= 1 and first[1].max() <= 6


def test_another_background_leaves_people_alone(toy_folder):
    pictures, masks = load_all(find_items(toy_folder)[:1], 64)
    pixels, ids = pixels_from_uint8(pictures[0]), torch.from_numpy(masks[0])
    behind = gradient(64, np.random.default_rng(0))
    changed = replace_background(pixels, ids, behind)
    inside = torch.nn.functional.max_pool2d((ids == 0).float()[None], 3, stride=1, padding=1)[0] == 0
    outside = torch.nn.functional.max_pool2d((ids != 0).float()[None], 3, stride=1, padding=1)[0] == 0
    assert inside.sum() > 400 and torch.equal(changed[:, inside], pixels[:, inside])
    assert outside.sum() > 400 and torch.allclose(changed[:, outside], behind[:, outside], atol=1e-6)


def test_pictures_without_a_mask_are_changed_as_their_seeds_say(toy_folder):
    pictures, masks = load_all(find_items(toy_folder), 64)
    batch = stack_samples(SegmenterStream(pictures[:4], masks[:4], pictures[4:], seed=0, order=np.arange(4)), 7, 2)
    batch = {name: torch.stack([values[0], values[0]]) for name, values in batch.items()}
    generators = [np.random.default_rng(3) for _ in range(2)]
    free = warp_free(batch, generators)
    assert free.shape == (2, 3, 64, 64) and torch.equal(free[0], free[1])
    teacher = torch.zeros(2, 7, 64, 64)
    teacher[:, 5] = 1
    changed = change_free(batch, generators, free, teacher)
    assert torch.equal(changed[0], changed[1]) and not torch.equal(changed[0], free[0])
    pixels, ids = augment_batch(batch, [4, 4])
    assert pixels.shape == (2, 3, 64, 64) and torch.equal(pixels[0], pixels[1]) and torch.equal(ids[0], ids[1])
    assert "free" not in SegmenterStream(pictures, masks, pictures[:0], seed=0, order=np.arange(len(pictures)))[7]


def test_annotations_are_drawn_oftener_than_mask_pictures_if_asked(tmp_path):
    items = [Item(str(k), tmp_path / f"{k}.png", tmp_path / f"{k}{'.json' if k % 10 == 3 else '.mask.png'}") for k in range(40)]
    assert drawing_order(items, 0).tolist() == list(range(40))
    order = drawing_order(items, 0.5)
    assert set(order) == set(range(40)) and np.mean(order % 10 == 3) == 0.5
    assert drawing_order(items[:3], 0.5).tolist() == [0, 1, 2]  # nothing is annotated
    pictures = np.zeros((40, 8, 8, 3), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None, None]
    stream = SegmenterStream(pictures, pictures[..., 0], pictures[:0], seed=0, order=order)
    drawn = [int(stream[n]["pixels"][0, 0, 0]) for n in range(len(order))]
    assert sorted(drawn) == sorted(order) and all(stream[n]["ids"][0, 0] == drawn[n] for n in range(5))


def test_a_network_learns_borders_between_its_own_pixels():
    torch.manual_seed(0)
    model = FaceSegmenter(image_size=64).eval()
    small, large = torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 128, 128) * 2 - 1
    assert torch.allclose(logits_of(model, small, 64), model(small), atol=1e-5)
    assert torch.allclose(logits_of(model, large, 64).softmax(1), model.predict(large), atol=1e-5)


def test_teachers_label_a_picture_and_its_mirror_image_alike():
    torch.manual_seed(0)
    teachers = [FaceSegmenter(image_size=64).eval() for _ in range(2)]
    pixels = torch.rand(2, 3, 96, 96) * 2 - 1
    labelled = label(teachers, pixels)
    assert labelled.shape == (2, 7, 96, 96) and torch.allclose(labelled.sum(1), torch.ones(2, 96, 96), atol=1e-5)
    assert torch.allclose(label(teachers, pixels.flip(-1)).flip(-1), labelled, atol=1e-4)


def test_jpeg_is_what_pillow_makes_of_it(toy_folder):
    picture = load_all(find_items(toy_folder)[:1], 64)[0][0]
    pixels = pixels_from_uint8(picture)
    for quality in (30, 75):
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "jpeg", quality=quality)
        wanted = pixels_from_uint8(np.array(Image.open(data)))
        ours = jpeg(pixels, quality)
        assert (ours - wanted).square().mean() < 0.2 * (pixels - wanted).square().mean()


def test_regions_change_their_colours_one_by_one():
    ids = torch.arange(7).repeat_interleave(64).view(56, 8)
    pixels = (torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.6).expand(3, 56, 8)
    changed = shift_region_colours(pixels, ids, np.random.default_rng(1))
    rows = changed.reshape(3, 7, 64)
    assert torch.allclose(rows, rows[..., :1].expand_as(rows), atol=1e-6)  # one colour a region
    assert 3 <= len({tuple(np.round(rows[:, index, 0].tolist(), 3)) for index in range(7)}) <= 7
    assert changed.abs().max() <= 1


def test_sloppy_masks_stay_near_their_masks(toy_mask):
    ids = toy_mask.fit(128).ids
    without_mouth = 0
    for seed in range(40):
        drawn = sloppy_ids(ids, np.random.default_rng(seed))
        assert drawn.dtype == np.uint8 and (drawn == ids).mean() > 0.93
        without_mouth += not (drawn == MOUTH).any()
    assert 0 < without_mouth < 20


def test_portrait_samples(toy_folder):
    pictures, masks = load_all(find_items(toy_folder), 128)
    sample = PortraitStream(pictures, masks, style_size=64, latent_dim=4, seed=0)[5]
    shapes = {name: value.shape for name, value in sample.items()}
    assert shapes["pixels"] == (128, 128, 3) and shapes["style_pixels"] == (64, 64, 3) and shapes["noise"] == (5, 4 + 3)


def test_discriminator_augmentation_moves_picture_and_mask_alike():
    layout = torch.zeros(4, 7, 64, 64)
    layout[:, 5, 20:40, 20:40] = 1
    moved, masks = augment_alike(layout[:, 5:6].repeat(1, 3, 1, 1), layout, torch.rand(4, 4))
    assert torch.equal(moved[:, 0], masks[:, 5])
    assert not torch.equal(masks, layout)


def test_the_encoder_has_the_pretrained_layout():
    """Names and shapes of transformers' MobileNetV2Model 1.0, without its last 1x1 convolution."""
    state = MobileNetV2Features().state_dict()
    assert state["conv_stem.first_conv.convolution.weight"].shape == (32, 3, 3, 3)
    assert state["layer.15.reduce_1x1.convolution.weight"].shape == (320, 960, 1, 1)
    assert len(state) == 306
    maps = MobileNetV2Features().eval()(torch.zeros(1, 3, 64, 64))
    assert [(m.shape[1], m.shape[2]) for m in maps] == list(zip(FEATURE_CHANNELS, (32, 16, 8, 4, 2), strict=True))
