"""The article's U-Nets against ours on one data set and time, and how many annotations it takes.

python -m benchmarks.segmenters --train_data_dir PICTURES --masks_dir ANNOTATIONS --encoder_weights MOBILENET --minutes 10 \\
    -o model_cards/results/segmenters.json

Trains v1, v2, v3 and v4, each for `--minutes`, from ImageNet weights on the same annotated portraits, and measures them on the held-out
ones; then v4 on 25, 50, 100 and all annotations, with and without self-training on the pictures that have no mask. What the output file
holds already is not trained again, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from aniface import AnifacePipeline, FaceSegmenter
from aniface.folders import find_items, split_items
from aniface.models.segmenter import VERSIONS
from aniface.reports import markdown_table, threads, write_report
from aniface.segmentation_evaluation import evaluate_segmenter

BATCHES = {"v1": 6, "v2": 3, "v3": 3, "v4": 4}  # small ones: within minutes, rare classes are learnt by many steps
ANNOTATIONS = (25, 50, 100)


def plan(trained: int) -> dict[str, dict]:
    """The runs by name: version, number of annotations, and whether it also learns from pictures without a mask."""
    runs = {version: {"version": version, "annotations": trained, "self_training": False} for version in VERSIONS}
    runs["v4, self-training"] = {"version": "v4", "annotations": trained, "self_training": True}
    for count in ANNOTATIONS:
        if count < trained:
            runs[f"v4, {count} annotations"] = {"version": "v4", "annotations": count, "self_training": False}
            runs[f"v4, {count} annotations, self-training"] = {"version": "v4", "annotations": count, "self_training": True}
    return runs


def train(run: dict, args, folder: Path) -> Path:
    """Train one segmenter; returns its folder."""
    command = [sys.executable, "-m", "train.train_segmenter", "--train_data_dir", args.train_data_dir, "--output_dir", str(folder)]
    command += [part for masks in args.masks_dir for part in ("--masks_dir", masks)]
    command += ["--holdout", str(args.holdout), "--version", run["version"], "--resolution", str(VERSIONS[run["version"]]["image_size"])]
    command += ["--annotations", str(run["annotations"]), "--seed", str(args.seed)]
    command += ["--train_batch_size", str(args.train_batch_size or BATCHES[run["version"]])]
    command += ["--max_train_minutes", str(args.minutes), "--max_train_steps", "1000000", "--lr_decay_share", "0.4"]
    command += [
        "--validation_steps",
        "1000000",
        "--checkpointing_steps",
        "1000000",
        "--ema_decay",
        "0.99",
        "--mixed_precision",
        args.mixed_precision,
    ]
    command += ["--encoder_weights", args.encoder_weights] if args.encoder_weights else []
    command += ["--self_training"] if run["self_training"] else []
    subprocess.run(command, check=True, stdout=sys.stderr)
    return folder / "model"


def pictures_seen(folder: Path) -> int:
    """Annotated pictures that a run took, by its log."""
    with (folder / "log.csv").open() as file:
        return int(list(csv.DictReader(file))[-1]["step"]) * json.loads((folder / "args.json").read_text())["train_batch_size"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_data_dir", required=True)
    parser.add_argument("--masks_dir", action="append", default=[])
    parser.add_argument("--encoder_weights", help="safetensors of an ImageNet MobileNetV2; without, the encoder starts anew")
    parser.add_argument("--holdout", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=10, help="of each training")
    parser.add_argument("--train_batch_size", type=int, help="of every run; by default small ones, for minutes on a CPU")
    parser.add_argument("--mixed_precision", default="no")
    parser.add_argument("--machine", help="what they train on, for the table, such as 'an H100'; by default the threads of this CPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="names of runs, such as v4; all by default")
    parser.add_argument("-o", "--output", required=True, help="JSON file; a Markdown table goes beside it")
    args = parser.parse_args()
    items, held = split_items(find_items(args.train_data_dir, args.masks_dir), args.holdout)
    output = Path(args.output)
    count = torch.get_num_threads()
    report = {"what": "segmenters", "pictures": args.holdout, "minutes": args.minutes, "threads": count, "runs": {}}
    report["machine"] = args.machine or threads(count)
    if output.exists():
        report = json.loads(output.read_text(encoding="utf-8"))
    for name, run in plan(len(items)).items():
        if name in report["runs"] or (args.only and name not in args.only):
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            segmenter = FaceSegmenter.from_pretrained(train(run, args, folder))
            measured = evaluate_segmenter(AnifacePipeline.from_pretrained(segmenter=segmenter), held)
            kept = {key: measured[key] for key in ("scores", "specks", "blockiness", "milliseconds")}
            report["runs"][name] = run | {"thousand_pictures": pictures_seen(folder) / 1000} | kept
        write_report(report, output)
        print(markdown_table(report), flush=True)


if __name__ == "__main__":
    main()
