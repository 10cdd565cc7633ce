"""The segmenter's scores on several divisions of the annotations: trained, measured, and not trained again."""

from __future__ import annotations

import json
import sys

from aniface.folders import find_items, split_items
from aniface.models.segmenter import FaceSegmenter
from benchmarks import divisions


def test_each_division_is_trained_on_the_others_and_measured_on_its_own(toy_folder, tmp_path, monkeypatch):
    FaceSegmenter(image_size=32, decoder_channels=(8, 8, 8, 8, 8)).save_pretrained(tmp_path / "start")
    output, flags = tmp_path / "divisions.json", tmp_path / "flags.yaml"
    flags.write_text(f"pretrained_model_name_or_path: {tmp_path / 'start'}\nresolution: 32\nmax_train_steps: 1\ntrain_batch_size: 2\n")
    command = ["divisions", "--train_data_dir", str(toy_folder), "--divisions", "2", "--holdout", "2", "--work_dir", str(tmp_path / "work")]
    command += ["-o", str(output), "--config", str(flags)]
    monkeypatch.setattr(sys, "argv", command)
    divisions.main()
    report = json.loads(output.read_text())
    assert list(report["runs"]) == ["0", "1"] and all(0 <= run["miou"] < 0.6 for run in report["runs"].values())
    seeds = [json.loads((tmp_path / "work" / name / "args.json").read_text())["holdout_seed"] for name in report["runs"]]
    assert seeds == [0, 1] and "| seed 1 |" in output.with_suffix(".md").read_text()
    held = [{item.name for item in split_items(find_items(toy_folder), 2, seed)[1]} for seed in seeds]
    assert held[0] != held[1]
    changed = report | {"runs": {name: run | {"miou": 0.5} for name, run in report["runs"].items()}}
    output.write_text(json.dumps(changed))
    divisions.main()
    assert json.loads(output.read_text()) == changed  # what is measured is not measured again
