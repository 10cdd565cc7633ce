"""Flat faces drawn by code, with exact masks: enough to run every script and test in seconds.

python -m train.toy_data --output_dir runs/toy --count 32
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from aniface.hair import HAIR_COLORS
from aniface.labels import BACKGROUND, CLOTHES, EYE, FACE, HAIR, MOUTH, NUM_LABELS, SKIN, Mask, mask_to_labelme

from .common import run_script


def draw_mask(rng: np.random.Generator, size: int = 512) -> Mask:
    """A random face from ellipses: hair behind, clothes, neck, face, fringe, two eyes and a mouth."""
    y, x = np.mgrid[0:size, 0:size] * (512 / size)
    cx, cy = rng.uniform(236, 276), rng.uniform(230, 290)
    width, height = rng.uniform(90, 125), rng.uniform(110, 140)
    ids = np.full((size, size), BACKGROUND, np.uint8)

    def ellipse(dx: float, dy: float, rx: float, ry: float) -> np.ndarray:
        return ((x - cx - dx) / rx) ** 2 + ((y - cy - dy) / ry) ** 2 <= 1

    ids[ellipse(0, -20, width * 1.4, height * 1.35)] = HAIR
    length = rng.uniform(0, 220)
    ids[(abs(x - cx) < width * 1.25) & (y > cy) & (y < cy + length)] = HAIR
    ids[ellipse(0, 290, 200, 130)] = CLOTHES
    ids[(abs(x - cx) < width * 0.35) & (y > cy) & (y < cy + height + 50)] = SKIN
    ids[ellipse(0, 0, width, height)] = FACE
    fringe = cy - height * rng.uniform(0.35, 0.6) + 14 * np.sin(x / rng.uniform(9, 20))
    ids[ellipse(0, -20, width * 1.3, height * 1.2) & (y < fringe)] = HAIR
    for side in (-1, 1):
        ids[ellipse(side * width * 0.45, height * 0.05, width * 0.25, height * 0.2)] = EYE
    ids[ellipse(0, height * 0.6, width * 0.22, rng.uniform(4, 12))] = MOUTH
    return Mask(ids)


def draw_picture(mask: Mask, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Paint a mask flat, with outlines, shaded hair and pupils; returns the (H, W, 3) uint8 picture and its hair colour's name."""
    name = str(rng.choice(list(HAIR_COLORS)))
    colours = np.zeros((NUM_LABELS, 3))
    colours[[BACKGROUND, CLOTHES]] = rng.uniform(60, 240, (2, 3))
    colours[[SKIN, FACE]] = (250, 220, 200)
    colours[[EYE, MOUTH, HAIR]] = rng.uniform(30, 200, 3), (200, 90, 90), HAIR_COLORS[name]
    picture = colours[mask.ids]
    y, x = np.mgrid[0 : mask.height, 0 : mask.width]
    picture[mask.ids == HAIR] *= (1 + 0.08 * np.sin(x / 9 + y / 31))[mask.ids == HAIR, None]
    edge = np.zeros(mask.ids.shape, bool)
    edge[1:] |= mask.ids[1:] != mask.ids[:-1]
    edge[:, 1:] |= mask.ids[:, 1:] != mask.ids[:, :-1]
    picture[edge] *= 0.35
    return picture.clip(0, 255).astype(np.uint8), name


def write_toy_data(folder: Path, count: int, seed: int = 0, size: int = 256) -> None:
    """Write NAME.png and NAME.json (labelme) for `count` faces."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        mask = draw_mask(rng, size)
        picture, _ = draw_picture(mask, rng)
        Image.fromarray(picture).save(folder / f"toy-{number:03d}.png")
        (folder / f"toy-{number:03d}.json").write_text(json.dumps(mask_to_labelme(mask, f"toy-{number:03d}.png")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_toy_data(Path(args.output_dir), args.count, args.seed)


if __name__ == "__main__":
    run_script(main)
