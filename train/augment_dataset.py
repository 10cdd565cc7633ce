"""Write the article's augmentation out: each picture and its mask, rotated, mirrored and warped at random (200 pairs -> 3,200).

python -m train.augment_dataset --train_data_dir PICTURES --masks_dir ANNOTATIONS --output_dir runs/augmented --copies 16

Training augments on the fly (`augment.py`) and does not need this; it is for looking at, and for programs that cannot. The pairs are
NAME-00.png and NAME-00.mask.png, which is each pair as it was, then NAME-01 and so on. The same seed writes the same files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from aniface.folders import find_items, load_item
from aniface.labels import InputError, Mask, write_atomically
from aniface.processing import pixels_from_uint8, uint8_from_pixels

from .augment import random_grid, warp_pair
from .common import run_script


def augmented(picture: np.ndarray, ids: np.ndarray, rng: np.random.Generator, rotate: float, warp: float) -> tuple[np.ndarray, np.ndarray]:
    """(R, R, 3) uint8 picture and (R, R) uint8 mask, turned, mirrored and bent alike; what comes in from outside is mirrored."""
    grid = random_grid(rng, len(ids), rotate=rotate, scale=(1.0, 1.0), shift=0.0, warp=warp)
    pixels, mask = warp_pair(pixels_from_uint8(picture), torch.from_numpy(ids.copy()), grid)
    return uint8_from_pixels(pixels), mask.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_data_dir", required=True, help="folder of pictures, with their masks beside them or in a --masks_dir")
    parser.add_argument("--masks_dir", action="append", default=[], help="folder with NAME.json or NAME.png masks")
    parser.add_argument("--output_dir", required=True, help="where the pairs go")
    parser.add_argument("--copies", type=int, default=16, help="pairs made of each pair, itself included (default 16)")
    parser.add_argument("--resolution", type=int, default=512, help="side of the pictures in pixels (default 512)")
    parser.add_argument("--rotate", type=float, default=25, help="at most so many degrees to either side (default 25)")
    parser.add_argument(
        "--warp", type=float, default=0.05, help="strength of the warp: deviation of its knots, of half a side (default 0.05)"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not 1 <= args.copies <= 1000:
        raise InputError(f"--copies is {args.copies}; expected 1 to 1000")
    if not 32 <= args.resolution <= 2048:
        raise InputError(f"--resolution is {args.resolution}; expected 32 to 2048")
    if not 0 <= args.rotate <= 180 or not 0 <= args.warp <= 0.5 or args.seed < 0:
        raise InputError("expected --rotate from 0 to 180, --warp from 0 to 0.5 and --seed from 0")
    items, output = find_items(args.train_data_dir, args.masks_dir), Path(args.output_dir)
    pairs = {f"{item.name}-{copy:02d}": (number, copy) for number, item in enumerate(items) for copy in range(args.copies)}
    if len(pairs) < len(items) * args.copies:
        raise InputError(f"{args.train_data_dir}: pictures of the same name would become the same files; rename them")
    output.mkdir(parents=True, exist_ok=True)
    if output.samefile(args.train_data_dir):
        raise InputError(f"{output}: holds the pictures themselves; choose another folder")
    for name, (number, copy) in tqdm(pairs.items(), unit="pair"):
        if copy == 0:
            picture, ids = original = load_item(items[number], args.resolution)
        else:
            rng = np.random.default_rng([args.seed, number, copy])
            picture, ids = augmented(*original, rng, args.rotate, args.warp)
        image = Image.fromarray(picture)
        write_atomically(output / f"{name}.png", lambda temporary, image=image: image.save(temporary, format="PNG"))
        Mask(ids).save(output / f"{name}.mask.png")
    print(f"{len(pairs)} pairs of {len(items)} in {output}")


if __name__ == "__main__":
    run_script(main)
