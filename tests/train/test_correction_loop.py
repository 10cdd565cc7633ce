"""The guide to correcting masks, end to end: segment, edit in labelme, convert, fine-tune; then the segmenter has learnt the correction."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from aniface import Mask
from aniface.cli import main
from aniface.labels import CLOTHES, HAIR
from train import assemble_pipeline, check_data
from train.toy_data import draw_mask, draw_picture

from .test_fine_tune import launch

SIZE = 128


def draw_bow(picture: Image.Image, ids: np.ndarray) -> list[list[int]]:
    """A large bow on the top of the hair, in a darker shade of it, which the segmenter takes for hair; returns its outline."""
    rows, columns = np.nonzero(ids == HAIR)
    top, middle = int(rows.min()), int(columns[rows == rows.min()].mean())
    outline = [[middle + dx, top + dy] for dx, dy in ((-26, -8), (0, 2), (26, -8), (26, 22), (0, 12), (-26, 22))]
    shade = tuple(int(0.7 * level) for level in np.asarray(picture)[ids == HAIR].mean(0))
    ImageDraw.Draw(picture).polygon([tuple(point) for point in outline], fill=shade, outline=(20, 20, 20))
    return outline


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """A folder of four toy portraits with a bow, and the outlines of the bows by name."""
    folder, bows = tmp_path_factory.mktemp("loop") / "my_drawings", {}
    folder.mkdir()
    for number in range(4):
        rng = np.random.default_rng([7, number])
        mask = draw_mask(rng, SIZE)
        picture = Image.fromarray(draw_picture(mask, rng)[0])
        bows[f"{number}"] = draw_bow(picture, mask.ids)
        picture.save(folder / f"{number}.png")
    return folder, bows


def share_of_bows(masks, bows: dict) -> float:
    """How much of the bows is clothes, as a hair accessory is."""
    right = []
    for name, outline in bows.items():
        bow = Image.new("L", (SIZE, SIZE))
        ImageDraw.Draw(bow).polygon([tuple(point) for point in outline], fill=1)
        right.append(Mask.open(masks / f"{name}.png").ids[np.asarray(bow) == 1] == CLOTHES)
    return float(np.concatenate(right).mean())


def test_a_correction_is_learnt(drawings, tmp_path, monkeypatch, capsys):
    folder, bows = drawings
    masks = tmp_path / "masks"
    assert main(["segment", str(folder), "-o", str(masks), "--labelme", "--no-crop"]) == 0
    before = share_of_bows(masks, bows)
    capsys.readouterr()

    for name, outline in bows.items():  # in labelme: a polygon more, in the 15 labels of the annotation scheme
        annotation = json.loads((masks / f"{name}.json").read_text())
        assert (masks / annotation["imagePath"]).resolve() == (folder / f"{name}.png").resolve()
        annotation["shapes"].append({"label": "hair_accessory", "points": outline, "shape_type": "polygon", "group_id": None, "flags": {}})
        (masks / f"{name}.json").write_text(json.dumps(annotation))
    assert main(["convert", "labelme", str(masks), str(masks)]) == 0
    captured = capsys.readouterr()
    assert "4 masks in" in captured.out and "hair_accessory -> clothes           4 polygons" in captured.err
    assert share_of_bows(masks, bows) > 0.99 > 0.7 > before

    monkeypatch.setattr(sys, "argv", ["check_data", str(folder), "--masks_dir", str(masks)])
    with pytest.raises(SystemExit) as stopped:
        check_data.main()
    assert stopped.value.code == 0, capsys.readouterr().out

    command = ["train.train_segmenter", "--pretrained_model_name_or_path", "aniface-512", "--train_data_dir", str(folder)]
    command += ["--masks_dir", str(masks), "--output_dir", str(tmp_path / "run"), "--resolution", str(SIZE), "--train_batch_size", "4"]
    done = launch(*command, "--max_train_steps", "30", "--lr_warmup_steps", "1", "--ema_decay", "0.9", "--learning_rate", "1e-3")
    assert done.returncode == 0, done.stderr[-2000:]
    arguments = ["--segmenter", str(tmp_path / "run" / "model"), "--output_dir", str(tmp_path / "my-aniface")]
    monkeypatch.setattr(sys, "argv", ["assemble_pipeline", *arguments])
    assemble_pipeline.main()
    assert main(["segment", str(folder), "-o", str(tmp_path / "again"), "--no-crop", "--model", str(tmp_path / "my-aniface")]) == 0
    after = share_of_bows(tmp_path / "again", bows)
    print(f"bows: {before:.2f} before, {after:.2f} after")
    assert after > before + 0.2
