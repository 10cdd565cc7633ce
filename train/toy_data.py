"""Flat faces drawn by code, with exact masks: enough to run every script and test in seconds.

python -m train.toy_data --output_dir runs/toy --count 32
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

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


def scribble_mask(rng: np.random.Generator, size: int = 512) -> Mask:
    """A face as a hurried hand with a thick brush draws it: blobs and strokes, often without mouth, eye, neck, clothes or face, of any size
    and at any place, now and then hair alone."""
    sheet = Image.new("L", (size, size), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    scale = size / 512 * rng.choice([0.45, 0.75, 1.0, 1.0, 1.0, 1.5])
    cx, cy = size * rng.uniform(0.3, 0.7), size * rng.uniform(0.35, 0.65)

    def blob(label: int, dx: float, dy: float, rx: float, ry: float, points: int = 9) -> None:
        angles = np.linspace(0, 2 * np.pi, points, endpoint=False) + rng.uniform(0, 1)
        radii = rng.uniform(0.8, 1.15, points)
        x, y = cx + scale * (dx + rx * radii * np.cos(angles)), cy + scale * (dy + ry * radii * np.sin(angles))
        draw.polygon(list(zip(x, y, strict=True)), fill=label)

    def stroke(label: int, width: float, *places: tuple[float, float]) -> None:
        points = [(cx + scale * (x + rng.normal(0, 8)), cy + scale * (y + rng.normal(0, 8))) for x, y in places]
        draw.line(points, fill=label, width=max(1, round(scale * width)), joint="curve")

    parts = rng.random(7)
    blob(HAIR, 0, -30, 150, 160)
    if parts[0] < 0.6:
        stroke(HAIR, 70, (-120, -20), (-130, 90), (-110, 200))
        stroke(HAIR, 70, (120, -20), (130, 90), (110, 200))
    if parts[1] < 0.1:  # hair alone
        return Mask(np.array(sheet))
    if parts[2] < 0.8:
        blob(CLOTHES, 0, 290, 210, 130)
    if parts[3] < 0.8:
        stroke(SKIN, 70, (0, 60), (0, 170))
    blob(FACE, 0, 20, 100, 115)
    stroke(HAIR, 50, (-95, -40), (-30, -75), (40, -70), (95, -40))
    if parts[4] < 0.9:
        blob(EYE, -45, 20, 24, 26)
    if parts[5] < 0.85:
        blob(EYE, 45, 20, 24, 26)
    if parts[6] < 0.75:
        stroke(MOUTH, 9, (-18, 88), (18, 88))
    return Mask(np.array(sheet))


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
