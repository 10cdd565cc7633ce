"""How far some minutes of fine-tuning on 50 drawings of another style move the painter, and whether it still follows its masks.

python -m benchmarks.fine_tune --minutes 10

The drawings are faces drawn by code: flat, with dark outlines. Only the pictures are given: masks are made by the shipped segmenter.
Before and after, the painter paints the same held-out masks in the same random styles (SPADE's protocol). Prints JSON:

- kernel_distance: to held-out drawings, in features of the shipped segmenter (`aniface.metrics.kernel_distance`);
- miou: of the painted pictures, segmented by the shipped segmenter, with the masks of held-out drawings and with random start masks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from aniface import AnifacePipeline, Mask
from aniface.features import PictureFeatures
from aniface.metrics import confusion, kernel_distance, segmentation_scores
from train.toy_data import draw_mask, draw_picture, write_toy_data


def held_out(count: int) -> tuple[list[Mask], list[np.ndarray]]:
    """Masks and drawings of 512 px that training does not see."""
    generators = [np.random.default_rng([1, number]) for number in range(count)]
    masks = [draw_mask(rng) for rng in generators]
    return masks, [draw_picture(mask, rng)[0] for mask, rng in zip(masks, generators, strict=True)]


def measure(pipe: AnifacePipeline, judge: AnifacePipeline, masks: dict[str, list[Mask]], drawings: list[np.ndarray]) -> dict:
    """Kernel distance of the pictures painted for the drawings' masks, and the mIoU for each list of masks."""
    features = PictureFeatures.choose(judge)
    painted = {name: [pipe(mask, seed=n).images[0] for n, mask in enumerate(some)] for name, some in masks.items()}
    scores = {
        name: segmentation_scores(sum(confusion(m.ids, judge.segment(p).ids) for m, p in zip(masks[name], pictures, strict=True)))["miou"]
        for name, pictures in painted.items()
    }
    distance = kernel_distance(features.pooled(drawings), features.pooled(painted["drawings"]))
    return {"kernel_distance": round(distance, 4), "miou": {name: round(value, 4) for name, value in scores.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--drawings", type=int, default=50)
    parser.add_argument("--held_out", type=int, default=40)
    parser.add_argument("train_flags", nargs="*", help="more flags for train.train_painter, after --")
    args = parser.parse_args()
    shipped = AnifacePipeline.from_pretrained()
    masks, drawings = held_out(args.held_out)
    masks = {"drawings": masks, "start_masks": [shipped.random_mask(seed=n).fit(512) for n in range(args.held_out // 2)]}
    report = {"minutes": args.minutes, "drawings": args.drawings, "before": measure(shipped, shipped, masks, drawings)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_toy_data(folder / "drawings", args.drawings, size=512)
        for path in (folder / "drawings").glob("*.json"):
            path.unlink()
        command = [sys.executable, "-m", "train.train_painter", "--pretrained_model_name_or_path", "aniface-512"]
        command += ["--train_data_dir", str(folder / "drawings"), "--output_dir", str(folder / "run"), "--max_train_steps", "100000"]
        command += ["--max_train_minutes", str(args.minutes), "--validation_steps", "100000", *args.train_flags]
        subprocess.run(command, check=True, stdout=sys.stderr)
        tuned = AnifacePipeline.from_pretrained(folder / "run" / "pipeline")
    report["after"] = measure(tuned, shipped, masks, drawings)
    report["distance_left"] = round(report["after"]["kernel_distance"] / report["before"]["kernel_distance"], 3)
    report["miou_lost"] = {name: round(value - report["after"]["miou"][name], 4) for name, value in report["before"]["miou"].items()}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
