"""How far the segmenter's scores hang on which portraits were held out: trained and measured on several divisions of the annotations.

python -m benchmarks.divisions --divisions 5 --train_data_dir PICTURES --masks_dir ANNOTATIONS --masks_dir MASKS \\
    --config flags.yaml --work_dir runs/divisions -o model_cards/results/divisions.json

For each division `train.train_segmenter` learns from all masks but those of `--holdout` annotated portraits, drawn by its own seed, and is
measured on these. Its other flags stand in the configuration; a segmenter to start from must have seen no annotation that is held out.
What the output file holds already is not trained again, and a training that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from aniface import AnifacePipeline, FaceSegmenter
from aniface.folders import find_items, split_items
from aniface.reports import markdown_table, threads, write_report
from aniface.segmentation_evaluation import evaluate_segmenter


def train(division: int, args, folder: Path) -> Path:
    """Train the segmenter of one division; returns its folder."""
    command = [sys.executable, "-m", "train.train_segmenter", "--train_data_dir", args.train_data_dir, "--output_dir", str(folder)]
    command += [part for masks in args.masks_dir for part in ("--masks_dir", masks)]
    command += ["--holdout", str(args.holdout), "--holdout_seed", str(division), "--resume_from_checkpoint", "latest"]
    command += ["--config", args.config] if args.config else []
    subprocess.run(command, check=True, stdout=sys.stderr)
    return folder / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_data_dir", required=True)
    parser.add_argument("--masks_dir", action="append", default=[])
    parser.add_argument("--divisions", type=int, default=5)
    parser.add_argument("--holdout", type=int, default=40, help="annotated portraits that a division measures on")
    parser.add_argument("--config", help="YAML or JSON file of train.train_segmenter's flags")
    parser.add_argument("--work_dir", required=True, help="where the trainings and their checkpoints go")
    parser.add_argument("-o", "--output", required=True, help="JSON file; a Markdown table goes beside it")
    args = parser.parse_args()
    items, output = find_items(args.train_data_dir, args.masks_dir), Path(args.output)
    report = {"what": "divisions", "pictures": args.holdout, "machine": threads(torch.get_num_threads()), "runs": {}}
    if output.exists():
        report = json.loads(output.read_text(encoding="utf-8"))
    for division in range(args.divisions):
        if str(division) in report["runs"]:
            continue
        segmenter = FaceSegmenter.from_pretrained(train(division, args, Path(args.work_dir, str(division))))
        held = split_items(items, args.holdout, division)[1]
        report["runs"][str(division)] = evaluate_segmenter(AnifacePipeline.from_pretrained(segmenter=segmenter), held)["scores"]
        write_report(report, output)
        print(markdown_table(report), flush=True)


if __name__ == "__main__":
    main()
