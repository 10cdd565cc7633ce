"""How a training went: the painters of one campaign, in the order in which they were trained, on the same masks.

python -m benchmarks.campaign --train_data_dir PICTURES --masks_dir MASKS --features MOBILENET -o docs/training \\
    --stage 20 runs/painter-a/painter --stage 33 runs/painter-b/painter

Each stage is the thousand pictures that were seen by then and a painter's folder. Writes a CSV file of scores on held-out masks (see
docs/evaluate.md) and a WebP sheet: a row a stage, 16 masks of ours in fixed styles.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from aniface import AnifacePipeline, FacePainter
from aniface.evaluation import evaluate_painter
from aniface.features import PictureFeatures
from aniface.folders import find_items, split_items
from aniface.start_masks import random_face
from train.data import contact_sheet

SIDE, COLUMNS = 112, 16


def score(pipe: AnifacePipeline, items, features: PictureFeatures) -> dict[str, float]:
    """The row of the CSV file."""
    report = evaluate_painter(pipe, items, features)
    scores, noise = report["scores"], report["hair_noise"]
    return {
        "miou": scores["no_reference"]["miou"],
        "miou_of_real_pictures": scores["real"]["miou"],
        "pixel_accuracy": scores["no_reference"]["pixel_accuracy"],
        "kernel_distance": report["distances"]["no_reference"]["kernel"],
        "kernel_distance_own_reference": report["distances"]["own_reference"]["kernel"],
        "hair_noise_to_real": noise["no_reference"] / noise["real"],
        "diversity_to_real": report["diversity"] / report["diversity_of_real_pictures"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", nargs=2, action="append", required=True, metavar=("KIMG", "PAINTER"))
    parser.add_argument("--train_data_dir", required=True)
    parser.add_argument("--masks_dir", action="append", default=[])
    parser.add_argument("--features", help="safetensors of an ImageNet MobileNetV2; without, features are those of the shipped segmenter")
    parser.add_argument("--holdout", type=int, default=100)
    parser.add_argument("-o", "--output", required=True, help="path without ending: .csv and .webp are added")
    args = parser.parse_args()
    held = split_items(find_items(args.train_data_dir, args.masks_dir), args.holdout)[1]
    masks = [random_face(seed) for seed in range(COLUMNS)]
    rows, pictures = [], [[mask.to_image() for mask in masks]]
    for thousand, folder in args.stage:
        pipe = AnifacePipeline.from_pretrained(painter=FacePainter.from_pretrained(folder), detail_adapter=None)
        rows.append({"thousand_pictures": float(thousand)} | score(pipe, held, PictureFeatures.choose(pipe, args.features)))
        pictures.append([pipe(mask, seed=seed).images[0] for seed, mask in enumerate(masks)])
        print(rows[-1], flush=True)
    with Path(f"{args.output}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({key: round(value, 4) for key, value in row.items()} for row in rows)
    contact_sheet(pictures, SIDE).save(f"{args.output}.webp", quality=85, method=6)


if __name__ == "__main__":
    main()
