from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from aniface.folders import find_items, load_item
from aniface.labels import InputError
from train.augment_dataset import main
from train.toy_data import write_toy_data


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "data"
    write_toy_data(folder, 2, size=64)
    return folder


def augment(monkeypatch, folder, output, *flags: str) -> dict[str, bytes]:
    monkeypatch.setattr(
        sys, "argv", ["augment_dataset", "--train_data_dir", str(folder), "--output_dir", str(output), "--resolution", "64", *flags]
    )
    main()
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def test_pairs_are_written_by_seed(pairs, tmp_path, monkeypatch, capsys):
    first = augment(monkeypatch, pairs, tmp_path / "a", "--copies", "4")
    assert sorted(first) == [f"toy-00{i}-0{c}{end}" for i in range(2) for c in range(4) for end in (".mask.png", ".png")]
    assert "8 pairs of 2" in capsys.readouterr().out
    assert augment(monkeypatch, pairs, tmp_path / "b", "--copies", "4") == first
    other = augment(monkeypatch, pairs, tmp_path / "c", "--copies", "4", "--seed", "1")
    assert {name for name in first if other[name] == first[name]} == {name for name in first if "-00." in name}
    assert len(set(first.values())) == len(first)


def test_the_pairs_train_and_picture_and_mask_move_together(pairs, tmp_path, monkeypatch):
    """Pictures whose colour is their class: wherever a pixel comes from, its mask came from there too."""
    for item in find_items(pairs):
        (tmp_path / "flat").mkdir(exist_ok=True)
        picture, ids = load_item(item, 64)
        Image.fromarray(np.repeat(ids[..., None] * 40, 3, -1)).save(tmp_path / "flat" / f"{item.name}.png")
        (tmp_path / "flat" / f"{item.name}.json").write_bytes(item.mask.read_bytes())
    augment(monkeypatch, tmp_path / "flat", tmp_path / "out", "--copies", "3", "--rotate", "90", "--warp", "0.1")
    items = find_items(tmp_path / "out")
    assert len(items) == 6
    for item in items:
        picture, ids = load_item(item, 64)
        sure = np.ones_like(ids, bool)  # bilinear pictures and nearest masks differ at borders only
        for axis in (0, 1):
            for step in (1, -1):
                sure &= ids == np.roll(ids, step, axis)
        assert (picture[..., 0] // 40 == ids)[sure].mean() > 0.97 and sure.mean() > 0.5
    assert not np.array_equal(load_item(items[0], 64)[1], load_item(items[1], 64)[1])


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--copies", "0"], "--copies is 0"), (["--resolution", "9"], "--resolution is 9"), (["--warp", "2"], "--warp from 0 to 0.5")],
)
def test_wrong_flags(pairs, tmp_path, monkeypatch, flags, message):
    with pytest.raises(InputError, match=message):
        augment(monkeypatch, pairs, tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


def test_the_pictures_are_not_written_over(pairs, monkeypatch):
    before = {path: path.read_bytes() for path in pairs.iterdir()}
    with pytest.raises(InputError, match="holds the pictures themselves"):
        augment(monkeypatch, pairs, pairs)
    assert {path: path.read_bytes() for path in pairs.iterdir()} == before
