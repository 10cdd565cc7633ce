from __future__ import annotations

import json

import numpy as np
import pytest

from aniface import InputError
from aniface.cli import main
from aniface.features import PictureFeatures
from aniface.folders import find_items
from aniface.labels import LABELS
from aniface.mask_evaluation import draw_masks, evaluate_masks, share_kept
from aniface.mask_statistics import is_valid
from aniface.reports import markdown_table
from aniface.start_masks import start_masks


@pytest.fixture(scope="module")
def items(toy_folder):
    return find_items(toy_folder)


def test_first_tries_are_told_from_what_is_returned(drawing):
    masks, first_tries = draw_masks(drawing, range(3))
    assert masks == drawing.random_mask(seed=0, n=3)
    for mask, first in zip(masks, first_tries, strict=True):
        assert mask == first or not is_valid(first)


def test_shares_of_kept_rules(toy_mask):
    bare = type(toy_mask)(np.zeros((64, 64), np.uint8))
    shares = share_kept([*start_masks().values(), bare])
    assert shares["face"] == shares["all"] == pytest.approx(1 - 1 / (1 + len(start_masks())))


def test_the_report_and_its_markdown(drawing, items):
    report = evaluate_masks(drawing, items[:3], items[3:], PictureFeatures.choose(drawing), *draw_masks(drawing, range(3)))
    assert json.loads(json.dumps(report)) == report
    assert report["masks"] == report["different"] == 3 and report["valid"]["training"]["all"] == 1
    assert report["completed"]["gaps"]["kept"] == report["completed"]["whole face"]["kept"] == 1
    worse, chance = report["wasserstein"]["random"]["area"], report["wasserstein"]["two halves of training"]["area"]
    assert set(worse) == set(LABELS) and worse["face"] > chance["face"]
    assert report["nearest_training_iou"]["training"]["median"] > report["nearest_training_iou"]["random"]["median"]
    text = markdown_table(report)
    assert "share of 3 random masks" in text and "| area: random |" in text and "ms on" in text
    with pytest.raises(InputError, match="1 random, 3 real and 13 training masks; expected at least 2 of each"):
        evaluate_masks(drawing, items[:3], items[3:], PictureFeatures.choose(drawing), *draw_masks(drawing, range(1)))


def test_the_command(drawing, toy_folder, tmp_path, capsys):
    drawing.save_pretrained(tmp_path / "model")
    arguments = ["evaluate", "masks", "--data_dir", str(toy_folder), "-n", "2", "--model", str(tmp_path / "model")]
    assert main([*arguments, "--holdout", "3", "-o", str(tmp_path / "masks.json")]) == 0
    assert json.loads((tmp_path / "masks.json").read_text())["what"] == "masks"
    assert (tmp_path / "masks.md").read_text() in capsys.readouterr().out
    assert main(arguments) == 2
    assert "--holdout is 0" in capsys.readouterr().err
