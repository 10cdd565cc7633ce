from __future__ import annotations

import numpy as np
import pytest
import torch

from aniface import AnifacePipeline, InputError, Mask
from aniface.cli import main
from aniface.labels import BACKGROUND, CLOTHES, EYE, FACE, HAIR, MOUTH, SKIN, regions
from aniface.mask_statistics import is_valid
from aniface.metrics import confusion, segmentation_scores
from aniface.processing import mask_one_hot
from aniface.random_masks import CLEANING_SIZE, class_shares, first_valid, has_gaps_in_face, ids_of_shares, make_scheduler, without_specks
from aniface.start_masks import start_masks


def agreement(first: Mask, second: Mask) -> float:
    return segmentation_scores(confusion(first.ids, second.ids))["miou"]


def test_shares_of_cells_give_the_mask_back():
    for name, mask in start_masks().items():
        shares = class_shares(mask, 64)
        assert shares.shape == (1, 7, 64, 64) and torch.allclose(shares.sum(1), torch.ones(1, 64, 64))
        again = Mask(ids_of_shares(shares[0].numpy(), 512, 512))
        assert agreement(mask, again) > 0.85 and is_valid(again), name


def test_specks_and_loose_pieces_vanish(toy_mask):
    ids = toy_mask.fit(CLEANING_SIZE).ids.copy()
    face = np.argwhere(ids == FACE)
    row, column = face[len(face) // 2]
    dirty = ids.copy()
    dirty[row : row + 2, column : column + 2] = CLOTHES
    dirty[2:12, 2:12] = HAIR  # larger than a speck, but far off the head
    clean = without_specks(mask_one_hot(Mask(dirty), CLEANING_SIZE)[0].numpy()).argmax(0)
    assert clean[row, column] == FACE and (clean[2:12, 2:12] == BACKGROUND).all()
    untouched = without_specks(mask_one_hot(Mask(ids), CLEANING_SIZE)[0].numpy()).argmax(0)
    assert (clean != untouched).mean() < 0.002 and (untouched != ids).mean() < 0.002


def test_random_masks_have_no_stumps_and_splinters(toy_mask):
    """Small skin off the face and small clothes in the hair are left out of masks that nobody drew, and stay in all others."""
    ids = toy_mask.fit(CLEANING_SIZE).ids.copy()
    hair = np.argwhere(ids == HAIR)
    row, column = hair[len(hair) // 4]
    ids[row : row + 8, column : column + 8] = CLOTHES
    ids[-12:, 2:14] = SKIN
    shares = mask_one_hot(Mask(ids), CLEANING_SIZE)[0].numpy()
    kept, tidy = (without_specks(shares, tidy).argmax(0) for tidy in (False, True))
    for place, what in ((np.s_[row + 2 : row + 6, column + 2 : column + 6], CLOTHES), (np.s_[-10:, 4:12], SKIN)):
        assert (kept[place] == what).all() and not (tidy[place] == what).any()
    assert (tidy[ids == FACE] == FACE).all()  # nothing else goes
    assert (tidy == SKIN).any() == (toy_mask.ids == SKIN).any()


def test_the_scheduler_ends_in_pure_noise_and_trusts_the_guess():
    scheduler = make_scheduler()
    scheduler.set_timesteps(4)
    assert scheduler.alphas_cumprod[scheduler.timesteps[0]] == 0
    clean, noisy = torch.ones(1, 7, 2, 2), torch.randn(1, 7, 2, 2)
    for timestep in scheduler.timesteps:
        noisy = scheduler.step(clean, timestep, noisy).prev_sample
    assert torch.allclose(noisy, clean)


def test_gaps_for_eyes_are_seen(toy_mask):
    hair_and_face = np.where(np.isin(toy_mask.ids, (HAIR, FACE)), toy_mask.ids, BACKGROUND)
    assert has_gaps_in_face(Mask(hair_and_face))
    assert not has_gaps_in_face(Mask(np.where(np.isin(toy_mask.ids, (EYE, MOUTH)), FACE, hair_and_face)))
    assert not has_gaps_in_face(Mask(np.where(toy_mask.ids == HAIR, HAIR, BACKGROUND)))


def test_invalid_masks_are_drawn_anew(toy_mask):
    bare = np.zeros((64, 64), np.uint8)
    tries = [bare, bare, toy_mask.ids, bare]
    assert first_valid(tries.__getitem__) == toy_mask
    assert first_valid(tries.__getitem__, attempts=2) == Mask(bare)
    assert first_valid(lambda attempt: [bare, bare + 1][attempt], attempts=2) == Mask(bare)


def test_masks_repeat_by_seed_and_come_alone_or_as_a_list(drawing):
    alone = [drawing.random_mask(seed=seed) for seed in (4, 5, 6)]
    assert drawing.random_mask(seed=4, n=3) == alone and len(set(alone)) == 3
    assert (alone[0].width, alone[0].height) == (512, 512)
    assert drawing.random_mask(n=1) == [drawing.random_mask()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda pipe, mask: pipe.random_mask(seed=-1), "seed is -1"),
        (lambda pipe, mask: pipe.random_mask(n=0), "n is 0; expected a whole number from 1 to 10000"),
        (lambda pipe, mask: pipe.vary_mask(mask, amount=1.5), "amount is 1.5; expected a number from 0 to 1"),
        (lambda pipe, mask: pipe.vary_mask(mask, amount=float("nan")), "amount is nan"),
        (lambda pipe, mask: pipe.vary_mask("nowhere.png"), "nowhere.png: no such file"),
        (lambda pipe, mask: pipe.complete_mask(np.full((9, 9), 8)), "ids from 8 to 8; expected 0..6"),
    ],
)
def test_wrong_arguments(drawing, toy_mask, call, message):
    with pytest.raises(InputError) as caught:
        call(drawing, toy_mask)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(40, 40), (300, 200), (120, 700)])
def test_every_size_is_kept(drawing, size):
    mask = Mask(np.random.default_rng(0).integers(0, 7, (size[1], size[0])))
    for other in (drawing.vary_mask(mask, 0.7), drawing.vary_mask(mask, 1), drawing.complete_mask(mask)):
        assert (other.width, other.height) == size


def test_drawn_pixels_stay_whatever_the_network_says(drawing, toy_mask):
    partial = Mask(np.where(np.isin(toy_mask.ids, (HAIR, EYE, MOUTH, FACE)), toy_mask.ids, BACKGROUND))
    done = drawing.complete_mask(partial, seed=1)
    drawn = partial.ids != BACKGROUND
    assert (done.ids[drawn] == partial.ids[drawn]).all()
    assert done == drawing.complete_mask(partial, seed=1) != drawing.complete_mask(partial, seed=2)


def test_a_pipeline_without_a_denoiser_loads_and_bends_start_masks(tiny, drawing, toy_mask, tmp_path):
    tiny.save_pretrained(tmp_path / "without")
    loaded = AnifacePipeline.from_pretrained(tmp_path / "without")
    assert loaded.mask_denoiser is None and is_valid(loaded.random_mask(seed=3))
    with pytest.raises(InputError, match="this pipeline has no mask_denoiser"):
        loaded.vary_mask(toy_mask)
    drawing.save_pretrained(tmp_path / "with")
    loaded = AnifacePipeline.from_pretrained(tmp_path / "with")
    assert loaded.random_mask(seed=3) == drawing.random_mask(seed=3)
    assert loaded.mask_scheduler.config.prediction_type == "sample"


def test_the_command_varies_and_completes(drawing, toy_mask, tmp_path, capsys):
    drawing.save_pretrained(tmp_path / "model")
    toy_mask.save(tmp_path / "mask.png")
    common = ["random-mask", "--seed", "2", "--model", str(tmp_path / "model"), "-o"]
    assert main([*common, str(tmp_path / "v.png"), "-n", "2", "--vary", str(tmp_path / "mask.png"), "--amount", "0.6"]) == 0
    assert Mask.open(tmp_path / "v-2.png") == drawing.vary_mask(toy_mask, 0.6, seed=3) != Mask.open(tmp_path / "v-1.png")
    assert main([*common, str(tmp_path / "c.png"), "--complete", str(tmp_path / "mask.png")]) == 0
    assert Mask.open(tmp_path / "c.png") == drawing.complete_mask(toy_mask, seed=2)
    assert main([*common, str(tmp_path / "v.png"), "--vary", str(tmp_path / "mask.png"), "--amount", "2"]) == 2
    assert "amount is 2.0; expected a number from 0 to 1" in capsys.readouterr().err


def test_the_shipped_denoiser_draws_different_valid_faces(bundled):
    masks = bundled.random_mask(seed=0, n=12)
    assert sum(is_valid(mask) for mask in masks) >= 11
    assert max(agreement(masks[i], masks[j]) for i in range(12) for j in range(i)) < 0.8
    for mask in masks:
        _, count = regions(mask.ids)
        assert count < 60  # no specks


def test_the_shipped_denoiser_varies_from_a_little_to_wholly(bundled):
    mask = start_masks()["bob"]
    assert bundled.vary_mask(mask, 0) == mask
    varied = {amount: [bundled.vary_mask(mask, amount, seed=seed) for seed in range(3)] for amount in (0.1, 0.6, 1)}
    near, far, other = (np.mean([agreement(mask, one) for one in masks]) for masks in varied.values())
    assert 0.99 > near > far > other
    assert sum(is_valid(one) for masks in varied.values() for one in masks) >= 8


@pytest.mark.parametrize("whole", [False, True])
def test_the_shipped_denoiser_adds_what_is_missing(bundled, whole):
    mask = start_masks()["bob"]
    partial = np.where(np.isin(mask.ids, (HAIR, FACE)), mask.ids, BACKGROUND)
    if whole:
        partial = np.where(np.isin(mask.ids, (EYE, MOUTH)), FACE, partial)
    done = bundled.complete_mask(partial, seed=4)
    added = done.ids != partial
    assert (done.ids == EYE).mean() > 0.003 and (done.ids == MOUTH).any() and (done.ids == CLOTHES).mean() > 0.01
    assert set(np.unique(partial[added])) <= ({BACKGROUND, FACE} if whole else {BACKGROUND})
    assert set(np.unique(done.ids[added & (partial == FACE)])) <= {EYE, MOUTH}
