"""The whole chain on faces drawn by code, a few steps each: segmenter, pseudo-labels, style VAE, painter, head, hair, masks, pipeline.

python -m train.train_tiny --output_dir runs/tiny

The result paints nothing worth looking at; it shows that every script runs, and in which order.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from .common import run_script
from .toy_data import write_toy_data


def commands(folder: Path, steps: int) -> list[list[str]]:
    """The command lines of the chain, in order."""
    data = ["--train_data_dir", f"{folder}/data", "--train_batch_size", "4", "--max_train_steps", str(steps), "--resolution", "128"]
    data += [
        "--logging_steps",
        "1",
        "--checkpointing_steps",
        str(steps),
        "--validation_steps",
        str(steps),
        "--resume_from_checkpoint",
        "latest",
    ]
    segmenter, style, painter = f"{folder}/segmenter/model", f"{folder}/vae/style_encoder", f"{folder}/painter/painter"
    return [
        [
            *["train.train_segmenter", *data, "--holdout", "2", "--annotations", "4", "--self_training"],
            *["--output_dir", f"{folder}/segmenter"],
        ],
        [
            "train.label_dataset",
            "--train_data_dir",
            f"{folder}/data",
            "--pretrained_model_name_or_path",
            segmenter,
            "--output_dir",
            f"{folder}/masks",
        ],
        ["train.train_style_vae", *data, "--masks_dir", f"{folder}/masks", "--features", segmenter, "--output_dir", f"{folder}/vae"],
        [
            *["train.train_painter", *data, "--masks_dir", f"{folder}/masks", "--style_encoder", style, "--segmenter", segmenter],
            *["--pretrained_model_name_or_path", f"{folder}/vae/painter", "--output_dir", f"{folder}/painter"],
        ],
        ["train.train_head", *data, "--pretrained_model_name_or_path", painter, "--output_dir", f"{folder}/head"],
        [
            *["train.self_distill", *data, "--pretrained_model_name_or_path", f"{folder}/head/painter", "--style_encoder", style],
            *["--output_dir", f"{folder}/mended"],
        ],
        [
            *["train.train_detail_adapter", *data, "--resolution", "256", "--pretrained_model_name_or_path", f"{folder}/mended/painter"],
            *["--style_encoder", style, "--features", segmenter, "--output_dir", f"{folder}/details"],
        ],
        [
            *["train.fit_hair_colors", "--train_data_dir", f"{folder}/data", "--masks_dir", f"{folder}/masks"],
            *["--style_encoder", style, "--output_dir", f"{folder}/hair"],
        ],
        [
            *["train.train_mask_diffusion", *data, "--resolution", "64", "--masks_dir", f"{folder}/masks"],
            *["--output_dir", f"{folder}/mask_diffusion"],
        ],
        [
            *["train.assemble_pipeline", "--segmenter", segmenter, "--style_encoder", style, "--hair_vectors", f"{folder}/hair"],
            *["--painter", f"{folder}/mended/painter", "--detail_adapter", f"{folder}/details/detail_adapter"],
            *["--mask_denoiser", f"{folder}/mask_diffusion/mask_denoiser"],
            *["--output_dir", f"{folder}/pipeline"],
        ],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--steps", type=int, default=2)
    args = parser.parse_args()
    folder = Path(args.output_dir)
    write_toy_data(folder / "data", 8, size=128)
    for command in commands(folder, args.steps):
        print("*", " ".join(command), flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True)


if __name__ == "__main__":
    run_script(main)
