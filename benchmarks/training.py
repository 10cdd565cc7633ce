"""How fast the painter trains: pictures an hour, the share of a step that waits for data, and against GauGAN as published.

python -m benchmarks.training

Runs `train.train_painter` on faces drawn by code twice in turn, with the painter that ships and with GauGAN's generator (nf 64, SPADE with
128 hidden channels everywhere), at 256 px, with the same batch, losses and discriminator. Prints JSON. Some minutes and 6 GB of memory.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aniface.models.painter import CONFIGURATIONS, FacePainter
from train.toy_data import write_toy_data

# As published for 256 px: one doubling less than the configuration for 512 px.
GAUGAN_256 = CONFIGURATIONS["gaugan"] | {"channels": (1024, 1024, 512, 256, 128, 64), "rgb_size": 256}


def measure(folder: Path, painter: Path | str, name: str, steps: int, batch: int) -> dict[str, float]:
    """Median of thousand pictures an hour and mean share of loading, over all steps but the first."""
    command = [sys.executable, "-m", "train.train_painter", "--train_data_dir", str(folder / "data"), "--output_dir", str(folder / name)]
    command += ["--pretrained_model_name_or_path", str(painter), "--resolution", "256", "--train_batch_size", str(batch)]
    command += ["--max_train_steps", "100000", "--logging_steps", "1", "--checkpointing_steps", "100000", "--validation_steps", "100000"]
    process, log, rows = subprocess.Popen(command, stdout=subprocess.DEVNULL), folder / name / "log.csv", []
    try:  # ended from here: what a run does at its end is not measured
        while len(rows) < steps + 1:
            time.sleep(1)
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)}: ended with exit code {process.returncode}")
            rows = list(csv.DictReader(log.open())) if log.exists() else []
    finally:
        process.kill()
        process.wait()
    rows = rows[1:]
    return {
        "kimg_per_hour": statistics.median(float(row["kimg_per_hour"]) for row in rows),
        "loading_share": statistics.mean(float(row["loading_share"]) for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6, help="of the shipped painter")
    parser.add_argument("--gaugan_steps", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_toy_data(folder / "data", 16, size=256)
        FacePainter().save_pretrained(folder / "aniface")
        FacePainter(**GAUGAN_256).save_pretrained(folder / "gaugan")
        ours = measure(folder, folder / "aniface", "ours", args.steps, args.batch)
        theirs = measure(folder, folder / "gaugan", "theirs", args.gaugan_steps, args.batch)
    report = {"resolution": 256, "batch": args.batch, "aniface": ours, "gaugan": theirs}
    report["times_faster"] = round(ours["kimg_per_hour"] / theirs["kimg_per_hour"], 1)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
