"""Two processes (DDP, gloo) train as one with the doubled batch does."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import torch
from safetensors.torch import load_file

from aniface import FaceSegmenter
from train.sync_batch_norm import SyncedBatchNorm2d, synchronise_batch_norm


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def train(script: str, folder, processes: int, batch: int, *flags: str):
    """Three steps; returns the rows of the log without those of speed."""
    launcher = (
        ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", str(free_port())] if processes > 1 else []
    )
    command = [sys.executable, *launcher, "-m", script, *flags, "--output_dir", str(folder), "--train_batch_size", str(batch)]
    command += ["--max_train_steps", "3", "--logging_steps", "1", "--resolution", "64", "--lr_warmup_steps", "1", "--learning_rate", "3e-5"]
    settings = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    with (folder / "log.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if k not in ("kimg_per_hour", "loading_share")} for row in csv.DictReader(file)]


def test_two_processes_give_the_losses_and_weights_of_one_with_the_doubled_batch(toy_folder, tmp_path):
    """The style VAE, whose painter has batch norm: losses agree within 1e-4. The perceptual one within a hundredth: it is relative to the
    mean over the process's own samples, so two halves of a batch differ a little from the whole."""
    flags = ["--train_data_dir", str(toy_folder)]
    one = train("train.train_style_vae", tmp_path / "one", 1, 4, *flags)
    two = train("train.train_style_vae", tmp_path / "two", 2, 2, *flags)
    assert len(one) == len(two) == 3
    for mine, theirs in zip(one, two, strict=True):
        for name in mine:
            assert np.isclose(mine[name], theirs[name], rtol=1e-2 if name == "perceptual" else 1e-4, atol=2e-5), (name, mine, theirs)
    first, second = (load_file(tmp_path / run / "checkpoint-3" / "decoder.safetensors") for run in ("one", "two"))
    # Adam's step is at most the learning rate, whatever the gradient; where gradients are noise, rounding may turn it round.
    assert max((first[key].float() - second[key].float()).abs().max() for key in first if "running" not in key) <= 2 * 3 * 3e-5 + 1e-6
    assert all(torch.allclose(first[key], second[key], rtol=1e-2, atol=1e-3) for key in first if "running" in key)


def test_the_painter_trains_on_two_processes(toy_folder, tmp_path):
    """And each of them makes some of the masks that are missing."""
    shutil.copytree(toy_folder, tmp_path / "data")
    for number in range(3):
        (tmp_path / "data" / f"toy-{number:03d}.json").unlink()
    rows = train("train.train_painter", tmp_path / "run", 2, 2, "--train_data_dir", str(tmp_path / "data"))
    masks = [f"toy-{number:03d}.png" for number in range(3)]
    assert sorted(path.name for path in (tmp_path / "run" / "masks").iterdir()) == ["confidence.csv", *masks]
    assert len(rows) == 3 and all(np.isfinite(value) for row in rows for value in row.values())
    assert (tmp_path / "run" / "painter" / "config.json").exists()


def test_batch_norm_over_one_process_is_batch_norm(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        plain = FaceSegmenter(image_size=64, decoder_channels=(8, 8, 8, 8, 8)).train()
        synced = FaceSegmenter(image_size=64, decoder_channels=(8, 8, 8, 8, 8)).train()
        synced.load_state_dict(plain.state_dict())
        parameters = {id(p) for p in synced.parameters()}
        synchronise_batch_norm(synced)
        assert {id(p) for p in synced.parameters()} == parameters
        assert sum(isinstance(m, SyncedBatchNorm2d) for m in synced.modules()) == sum(
            isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules()
        )
        pixels = torch.randn(3, 3, 64, 64)
        for network in (plain, synced):
            network(pixels).square().mean().backward()
        for (name, a), b in zip(plain.named_parameters(), synced.parameters(), strict=True):
            assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-4 * a.grad.abs().max().item() + 1e-7), name
        for (name, a), b in zip(plain.state_dict().items(), synced.state_dict().values(), strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-5), name
    finally:
        torch.distributed.destroy_process_group()
