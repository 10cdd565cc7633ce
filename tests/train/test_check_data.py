"""Bad training data is found, and named, before training."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from aniface import Mask
from train import check_data


def check(folder, capsys, monkeypatch, *arguments: str) -> tuple[int, list[str]]:
    monkeypatch.setattr(sys, "argv", ["check_data", str(folder), *arguments])
    with pytest.raises(SystemExit) as exit_:
        check_data.main()
    return exit_.value.code, capsys.readouterr().out.splitlines()


def test_good_data_passes(toy_folder, capsys, monkeypatch):
    code, lines = check(toy_folder, capsys, monkeypatch)
    assert code == 0 and lines[0] == "16 pictures: 16 with a mask, 16 of them annotated in labelme"
    assert lines[1].startswith("classes: background ") and lines[-1] == "no problems"


def test_each_bad_file_is_named(toy_folder, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(toy_folder, folder)
    (folder / "toy-000.png").write_bytes(b"no picture")
    (folder / "toy-001.json").write_text("{")
    Image.new("RGB", (30, 30)).save(folder / "toy-002.png")
    (folder / "toy-003.png").unlink()
    Image.new("RGB", (128, 128)).save(folder / "toy-004.jpg")
    Image.new("RGB", (90, 120)).save(folder / "extra.png")
    Mask(np.full((120, 160), 2, np.uint8)).save(folder / "extra.mask.png")
    Image.new("RGB", (128, 128)).save(folder / "empty.png")
    Mask(np.zeros((128, 128), np.uint8)).save(folder / "empty.mask.png")
    code, lines = check(folder, capsys, monkeypatch)
    expected = {
        "toy-000.png": "is not a picture",
        "toy-001.json": "JSON",
        "toy-002.png": "is 30x30; expected at least 64x64",
        "toy-003.json": "there is no picture toy-003.png",
        "toy-004.png": "has the name of toy-004.jpg",
        "extra.mask.png": "is 160x120, of another shape than its picture of 90x120",
        "empty.mask.png": "shows no face",
    }
    for name, message in expected.items():
        assert any(line.startswith(f"{folder / name}") and message in line for line in lines), (name, lines)
    assert code == 1 and lines[-1] == f"{len(expected)} problems"


def test_a_missing_folder_is_a_mistake_in_the_arguments():
    done = subprocess.run([sys.executable, "-m", "train.check_data", "nowhere"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.startswith("error: nowhere: no such folder")
