"""A collection is labelled by one process, by two, and by two after one was killed: the same files come out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aniface import FaceSegmenter
from aniface.cli import main
from train.toy_data import draw_mask, draw_picture

from .test_processes import free_port


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    """80 toy portraits of which one is broken, and a tiny untrained segmenter."""
    folder = tmp_path_factory.mktemp("collection")
    torch.manual_seed(0)
    FaceSegmenter(image_size=64, decoder_channels=(8, 8, 8, 8, 8)).save_pretrained(folder / "segmenter")
    (folder / "pictures").mkdir()
    for number in range(80):
        rng = np.random.default_rng(number)
        Image.fromarray(draw_picture(draw_mask(rng, 96), rng)[0]).save(folder / "pictures" / f"{number:03d}.png")
    (folder / "pictures" / "041.png").write_bytes(b"broken")
    return folder


def command(collection: Path, output: Path, processes: int) -> dict:
    launcher = (
        ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", str(free_port())] if processes > 1 else []
    )
    flags = ["--train_data_dir", str(collection / "pictures"), "--output_dir", str(output)]
    flags += ["--pretrained_model_name_or_path", str(collection / "segmenter")]
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    return {"args": [sys.executable, *launcher, "-m", "train.label_dataset", *flags], "env": settings}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_one_process_two_and_a_killed_one(collection, tmp_path):
    done = subprocess.run(**command(collection, tmp_path / "one", 1), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "79 of 80 labelled, 1 failed" in done.stdout and "041.png: is not a picture" in done.stdout
    whole = contents(tmp_path / "one")
    assert len(whole) == 79 + 2
    assert whole["failed.txt"].startswith(b"041.png\t") and whole["failed.txt"].count(b"\n") == 1
    assert whole["confidence.csv"].count(b"\n") == 79 + 1

    process = subprocess.Popen(**command(collection, tmp_path / "two", 1), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while len(list((tmp_path / "two").glob("*.png"))) < 20:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (tmp_path / "two" / "confidence.csv").exists()
    (tmp_path / "two" / ".aniface-half.png").write_bytes(b"written when it was killed")
    done = subprocess.run(**command(collection, tmp_path / "two", 2), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("of 40 labelled, ") == 2
    assert contents(tmp_path / "two") == whole


def test_the_command_line_writes_the_same(collection, tiny, tmp_path, capsys):
    tiny.register_modules(segmenter=FaceSegmenter.from_pretrained(collection / "segmenter"))
    tiny.save_pretrained(tmp_path / "pipeline")
    few = tmp_path / "few"
    few.mkdir()
    for name in ("000.png", "041.png", "077.png"):
        (few / name).write_bytes((collection / "pictures" / name).read_bytes())
    assert main(["segment", str(few), "-o", str(tmp_path / "masks"), "--no-crop", "--model", str(tmp_path / "pipeline")]) == 1
    few_collection = {"pictures": few, "segmenter": collection / "segmenter"}
    (tmp_path / "collection").mkdir()
    for name, path in few_collection.items():
        (tmp_path / "collection" / name).symlink_to(path)
    done = subprocess.run(**command(tmp_path / "collection", tmp_path / "again", 1), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    mine, theirs = contents(tmp_path / "masks"), contents(tmp_path / "again")
    assert {name: data for name, data in mine.items() if name != "failed.txt"} == {n: d for n, d in theirs.items() if n != "failed.txt"}
    assert len(mine) == 4
