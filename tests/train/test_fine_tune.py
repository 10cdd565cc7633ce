"""Somebody's own drawings, without masks, and one command: a pipeline in their style. And what training leaves on the hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aniface import AnifacePipeline, FacePainter, Mask

from ..fake_hub import FakeHub

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drawings(toy_folder, tmp_path_factory) -> Path:
    """Four toy portraits, only one of them with a mask."""
    folder = tmp_path_factory.mktemp("fine_tune") / "my_drawings"
    folder.mkdir()
    for path in [*sorted(toy_folder.glob("*.png"))[:4], sorted(toy_folder.glob("*.json"))[0]]:
        shutil.copy(path, folder)
    return folder


def launch(*arguments: str, **settings: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(ROOT / "train" / "configs" / "cpu.yaml"), "-m"]
    return subprocess.run([*command, *arguments], env=os.environ | settings, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_fine_tuning_the_shipped_pipeline_gives_a_pipeline(drawings, tmp_path, toy_mask):
    flags = tmp_path / "flags.yaml"
    flags.write_text(
        "resolution: 64\ntrain_batch_size: 2\nmax_train_steps: 2\nvalidation_steps: 2\nlogging_steps: 1\nreport_to: tensorboard\n"
    )
    command = ["train.train_painter", "--pretrained_model_name_or_path", "aniface-512", "--train_data_dir", str(drawings)]
    done = launch(*command, "--config", str(flags), "--output_dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "3 of 4 pictures have no mask" in done.stdout
    masks = [Mask.open(path) for path in sorted((tmp_path / "run" / "masks").glob("*.png"))]
    assert len(masks) == 3 and all(np.isin(2, mask.ids) for mask in masks)
    mine, shipped = AnifacePipeline.from_pretrained(tmp_path / "run" / "pipeline"), AnifacePipeline.from_pretrained()
    for name, part in shipped.networks.items():
        same = all(torch.equal(a, b) for a, b in zip(part.state_dict().values(), mine.networks[name].state_dict().values(), strict=True))
        assert same == (name != "painter"), name
    assert FacePainter.from_pretrained(tmp_path / "run" / "painter").config.latent_dim == 16
    assert mine(toy_mask).images[0].size == (512, 512)
    logs = [EventAccumulator(str(path)).Reload().Tags() for path in (tmp_path / "run").rglob("events.out.tfevents.*")]
    assert any("sheets" in tags["images"] for tags in logs)
    assert {"kimg_per_hour", "loading_share", "adversarial"} <= {name for tags in logs for name in tags["scalars"]}
    again = launch(*command, "--config", str(flags), "--output_dir", str(tmp_path / "run"))
    assert again.returncode != 0 and "holds checkpoints; --resume_from_checkpoint latest goes on" in again.stderr


def test_a_dry_run_takes_one_step_and_keeps_nothing(toy_folder, tmp_path):
    command = ["train.train_head", "--pretrained_model_name_or_path", "aniface-512", "--train_data_dir", str(toy_folder)]
    done = launch(*command, "--resolution", "64", "--output_dir", str(tmp_path / "run"), "--dry_run", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "step 1 " in done.stdout and "step 2 " not in done.stdout and "nothing was kept" in done.stdout
    assert not (tmp_path / "run").exists() and not list(tmp_path.glob("aniface-dry-run-*"))


def test_a_dataset_comes_from_the_hub_and_the_model_goes_there(toy_folder, tmp_path):
    hub = FakeHub()
    hub.repos["datasets/me/drawings"] = {path.name: path.read_bytes() for path in sorted(toy_folder.iterdir())[:4]}
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_TOKEN": "hf_fake", "HF_HUB_DISABLE_XET": "1"}
    command = ["train.train_head", "--pretrained_model_name_or_path", "aniface-512", "--dataset_name", "me/drawings", "--resolution", "64"]
    command += ["--max_train_steps", "1", "--train_batch_size", "2", "--output_dir", str(tmp_path / "run"), "--push_to_hub"]
    done = launch(*command, "--hub_model_id", "me/my-painter", HF_HUB_OFFLINE="0", **settings)
    hub.shutdown()
    assert done.returncode == 0, done.stderr[-2000:]
    files = hub.repos["me/my-painter"]
    assert {"README.md", "config.json", "diffusion_pytorch_model.safetensors"} == set(files)
    assert 'painter = FacePainter.from_pretrained("me/my-painter")' in files["README.md"].decode()
    assert f"{hub.url}/me/my-painter/commit/" in done.stdout


def test_masks_cannot_be_made_of_what_is_no_picture(drawings, tmp_path):
    shutil.copytree(drawings, tmp_path / "data")
    (tmp_path / "data" / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (64, 64)).save(tmp_path / "data" / "fine.png")
    done = launch("train.train_head", "--train_data_dir", str(tmp_path / "data"), "--pretrained_model_name_or_path", "aniface-512")
    assert done.returncode != 0 and "broken.png: is not a picture" in done.stderr
