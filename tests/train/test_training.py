"""The real scripts on toy data: the whole chain, and a run that is killed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from aniface import AnifacePipeline, FacePainter, FaceSegmenter, Mask, StyleEncoder
from aniface.labels import BACKGROUND, CLOTHES, EYE, FACE, HAIR, STYLE_REGIONS
from aniface.processing import one_hot
from train.self_distill import eye_zones, eyes_of_sides, mended_pictures, plain_zones
from train.train_detail_adapter import BLOB, shown_details, shown_share
from train.train_tiny import commands


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A folder in which every script of the chain has run for two steps."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, "-m", "train.train_tiny", "--output_dir", str(folder)], check=True, timeout=900)
    return folder


def test_the_chain_ends_in_a_pipeline_that_paints(chain):
    pipe = AnifacePipeline.from_pretrained(chain / "pipeline")
    mask = Mask.open(sorted((chain / "data").glob("*.json"))[0])
    assert np.isfinite(np.asarray(pipe(mask).images[0], float)).all()
    assert len(list((chain / "masks").glob("*.png"))) == 8
    with (chain / "painter" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and float(rows[0]["kimg_per_hour"]) > 0 and "adversarial" in rows[0]
    assert (chain / "painter" / "sheets" / "0000002.png").exists()


def painter_command(chain, folder, steps: int) -> list[str]:
    command = next(c for c in commands(chain, steps) if c[0] == "train.train_painter")
    command = [str(folder) if c == f"{chain}/painter" else c for c in command]
    every = command.index("--checkpointing_steps") + 1
    command[every] = "1"
    return [sys.executable, "-m", *command]


def test_the_head_learns_at_its_own_resolution_alone(chain, tmp_path):
    painter = FacePainter(channels=(16, 16, 16, 16), rgb_size=16, head_channels=4)  # paints at 64 px, its head at 128
    painter.save_pretrained(tmp_path / "start")
    start = painter.state_dict()
    for size in ("64", "128"):
        changes = ["--pretrained_model_name_or_path", str(tmp_path / "start"), "--resolution", size, "--dataloader_num_workers", "1"]
        subprocess.run([*painter_command(chain, tmp_path / size, 1), *changes], check=True, timeout=300)
        trained = load_file(tmp_path / size / "checkpoint-1" / "painter.safetensors")
        same = [torch.equal(trained[key], start[key]) for key in start if key.startswith("head.")]
        assert same and (all(same) if size == "64" else not any(same))


def test_eyes_are_told_apart_by_the_side_of_the_face_they_are_on():
    ids = np.full((64, 64), HAIR, np.uint8)
    ids[20:50, 8:40] = FACE  # its middle is at column 24, left of the mask's
    ids[28:34, 10:18] = ids[28:34, 26:34] = EYE
    left, right = eyes_of_sides(ids)
    assert left[28:34, 10:18].all() and right[28:34, 26:34].all() and (left | right).sum() == (ids == EYE).sum()
    assert not np.stack(eyes_of_sides(np.zeros((64, 64), np.uint8))).any()  # no face at all
    both = eye_zones(torch.from_numpy(np.stack([ids, ids[:, ::-1]])), 32)
    assert both.shape == (2, 2, 32, 32) and torch.equal(both[0, 0], both[1, 1].flip(-1)) and float(both.max()) == 1


def toy_painter() -> FacePainter:
    torch.manual_seed(0)
    painter = FacePainter(channels=(16, 16, 16), rgb_size=16, head_channels=0, latent_dim=4, style_channels=8).eval()
    for rgb in painter.to_rgb.values():
        torch.nn.init.normal_(rgb.weight, std=0.3)  # a new painter would paint flat colours, which match
    return painter


def test_right_eyes_are_to_look_as_left_ones_do():
    painter = toy_painter()
    ids = torch.full((1, 32, 32), FACE)
    ids[:, 10:16, 4:12] = ids[:, 10:16, 20:28] = EYE
    layout, style = one_hot(ids), (torch.randn(1, 5, 4), torch.rand(1, 5, 3), torch.ones(1, 5, 1))
    zones = eye_zones(ids, 32)
    target = mended_pictures(painter, layout, style, zones, {}, 32)
    painted = painter(layout, *style).detach()
    left, right = zones[:, :1] == 1, zones[:, 1:] == 1
    assert torch.equal(target[:, :, :, :16], painted[:, :, :, :16])  # the left half is as it was
    assert torch.allclose(target * right, painter(layout.flip(-1), *style).flip(-1) * right, atol=1e-5)
    assert left.any() and (target - painted)[right.expand_as(target)].abs().max() > 1e-3


def test_clothes_and_background_are_to_look_as_they_do_alone_in_the_colours_asked_for():
    painter = toy_painter()
    ids = torch.full((2, 32, 32), BACKGROUND)
    ids[:, 8:20, 8:24] = FACE
    ids[:, 20:, 4:28] = CLOTHES
    ids[:, 2, 10:14] = HAIR  # a strand that is mostly surrounded by background
    layout, style = one_hot(ids), (torch.randn(2, 5, 4), torch.rand(2, 5, 3), torch.ones(2, 5, 1))
    zones = plain_zones(layout, 32)
    assert torch.equal(zones[CLOTHES][:, 0] == 1, ids == CLOTHES) and zones[BACKGROUND][:, 0, 0, 0].min() == 1
    assert not (zones[BACKGROUND][:, 0] * (ids != BACKGROUND)).any() and (zones[BACKGROUND][:, 0, 7, 8:24] < 1).all()
    target = mended_pictures(painter, layout, style, eye_zones(ids, 32), zones, 32)
    painted = painter(layout, *style).detach()
    assert torch.equal(target[:, :, 8:20, 8:24], painted[:, :, 8:20, 8:24])
    for label, seen in ((CLOTHES, torch.where(ids == CLOTHES, ids, BACKGROUND)), (BACKGROUND, torch.full_like(ids, BACKGROUND))):
        inside = (zones[label] == 1).expand_as(target)
        for sample, old, where in zip(target - painter(one_hot(seen), *style), target - painted, inside, strict=True):
            assert sample[where].view(3, -1).std(1).max() < 1e-5  # another colour, the same strokes
            assert old[where].abs().max() > 1e-3
        colours = [(picture * zones[label]).mean((2, 3)) for picture in (target, painted)]
        assert torch.allclose(*colours, atol=0.02)


def test_details_are_withheld_in_blobs_and_by_class():
    layout = one_hot(torch.randint(0, 7, (2, 64, 64), generator=torch.Generator().manual_seed(0)))
    noise = torch.randn(2, BLOB * BLOB, generator=torch.Generator().manual_seed(1))
    uniforms = torch.zeros(2, 8)  # both shown whole
    assert torch.equal(shown_share(layout, noise, uniforms), torch.ones(2, 1, 64, 64))
    uniforms[1, 7] = 1  # the second in parts
    uniforms[1, HAIR] = 1  # and without hair
    share = shown_share(layout, noise, uniforms)
    assert share[0].min() == 1 and not (share[1] * layout[1, HAIR]).any()
    rest = share[1, 0][layout[1, HAIR] == 0]
    assert rest.min() == 0 and rest.max() == 1 and ((rest > 0) & (rest < 1)).any()


def test_shown_details_lose_their_hues_where_a_region_gets_another_colour():
    layout = torch.zeros(1, 7, 16, 16)
    layout[:, HAIR, :, :8] = layout[:, FACE, :, 8:] = 1
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    share = torch.full((1, 1, 16, 16), 0.5)
    hues, grey = (shown_details(pixels, layout, share, torch.eye(5)[index][None]) for index in (0, STYLE_REGIONS.index("hair")))
    assert torch.equal(hues[:, 3:], share) and torch.equal(grey[..., 8:], hues[..., 8:])
    assert torch.allclose(grey[:, :3, :, :8], hues[:, :3, :, :8].mean(1, keepdim=True).expand(1, 3, 16, 8), atol=1e-6)
    assert torch.allclose(hues[:, :3, :, :8].mean((2, 3)), torch.zeros(1, 3), atol=1e-5)  # of each region its mean is gone


def test_an_adapter_learns_beside_a_frozen_painter(chain):
    log = list(csv.DictReader((chain / "details" / "log.csv").open()))
    assert {"picture", "edges", "perceptual"} <= set(log[0])
    adapter = load_file(chain / "details" / "detail_adapter" / "diffusion_pytorch_model.safetensors")
    assert all(weights.any() for weights in adapter.values())
    before, after = (load_file(chain / part / "diffusion_pytorch_model.safetensors") for part in ("mended/painter", "pipeline/painter"))
    assert all(torch.allclose(before[key].float(), after[key].float(), atol=1e-2, rtol=1e-2) for key in before)


def test_teachers_label_what_nobody_annotated(chain, tmp_path):
    command = next(c for c in commands(chain, 1) if c[0] == "train.train_segmenter")
    command = [sys.executable, "-m", *(str(tmp_path) if c == f"{chain}/segmenter" else c for c in command), "--train_batch_size", "2"]
    teacher = ["--teacher", f"{chain}/segmenter/model", "--version", "teacher", "--image_size", "64", "--resolution", "64"]
    subprocess.run([*command, *teacher], check=True, timeout=300)
    model = FaceSegmenter.from_pretrained(tmp_path / "model")
    assert model.config.image_size == 64 and len(model.context.layers) == 4
    alone = subprocess.run([*(c for c in command if c != "--self_training"), *teacher], capture_output=True, text=True, timeout=120)
    assert alone.returncode == 2 and "--teacher labels pictures without a mask" in alone.stderr.splitlines()[-1]


def test_a_killed_run_resumes_and_ends_where_an_undisturbed_one_does(chain, tmp_path):
    steps = 5
    subprocess.run(painter_command(chain, tmp_path / "whole", steps), check=True, timeout=600)
    process = subprocess.Popen(painter_command(chain, tmp_path / "killed", steps))
    deadline = time.monotonic() + 300
    while not (tmp_path / "killed" / "checkpoint-2").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / f"checkpoint-{steps}").exists()
    done = subprocess.run(painter_command(chain, tmp_path / "killed", steps), check=True, timeout=600, capture_output=True, text=True)
    assert "resumed from" in done.stdout
    for name in ("painter", "discriminator", "feature_discriminator", "painter_ema"):
        whole = load_file(tmp_path / "whole" / f"checkpoint-{steps}" / f"{name}.safetensors")
        resumed = load_file(tmp_path / "killed" / f"checkpoint-{steps}" / f"{name}.safetensors")
        for key in whole:
            assert torch.allclose(whole[key].float(), resumed[key].float(), atol=1e-5), (name, key)


@pytest.mark.slow
def test_killed_twenty_times_it_ends_where_an_undisturbed_run_does(chain, tmp_path):
    """Kills at random moments: while it starts, steps or saves."""
    steps, kills, moments = 90, 0, random.Random(0)
    started = time.monotonic()
    process = subprocess.Popen(painter_command(chain, tmp_path / "whole", steps))
    while not (tmp_path / "whole" / "log.csv").exists():
        assert process.poll() is None
        time.sleep(0.1)
    first = time.monotonic() - started
    assert process.wait(timeout=3600) == 0
    longest = first + 4 * (time.monotonic() - started - first) / steps  # at most 4 steps a life, so that 20 lives do not end the run
    while kills < 20:
        process = subprocess.Popen(painter_command(chain, tmp_path / "killed", steps))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(1, longest))
        assert process.returncode is None, f"ended after {kills} kills with code {process.returncode}"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    subprocess.run(painter_command(chain, tmp_path / "killed", steps), check=True, timeout=1800)
    for name in ("painter", "discriminator", "feature_discriminator", "painter_ema"):
        whole = load_file(tmp_path / "whole" / f"checkpoint-{steps}" / f"{name}.safetensors")
        resumed = load_file(tmp_path / "killed" / f"checkpoint-{steps}" / f"{name}.safetensors")
        for key in whole:
            assert torch.allclose(whole[key].float(), resumed[key].float(), atol=1e-5), (name, key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--train_data_dir", "nowhere"], "nowhere: no such folder"),
        (["--holdout", "99"], "--holdout 99 leaves nothing of 8 annotated pictures"),
        (["--resume_from_checkpoint", "nowhere"], "nowhere: no such checkpoint folder"),
    ],
)
def test_mistakes_are_told_in_one_line(chain, tmp_path, change, message):
    done = subprocess.run([*painter_command(chain, tmp_path, 1), *change], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert message in done.stderr.strip().splitlines()[-1] and "Traceback" not in done.stderr


def test_a_broken_picture_is_named(chain, tmp_path):
    (tmp_path / "data").mkdir()
    for path in (chain / "data").iterdir():
        (tmp_path / "data" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "data" / "toy-003.png").write_bytes(b"no picture")
    done = subprocess.run(
        [*painter_command(chain, tmp_path / "run", 1), "--train_data_dir", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "toy-003.png: is not a picture" in done.stderr


def test_trained_networks_load_by_their_class(chain):
    assert FaceSegmenter.from_pretrained(chain / "segmenter" / "model").config.image_size == 256
    assert StyleEncoder.from_pretrained(chain / "vae" / "style_encoder").config.latent_dim == 16
    assert FacePainter.from_pretrained(chain / "head" / "painter").sizes == (64, 128, 256, 512)
    assert json.loads((chain / "painter" / "args.json").read_text())["max_train_steps"] == 2
