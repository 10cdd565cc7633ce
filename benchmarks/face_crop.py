"""How well `aniface segment` finds the face in a full picture, and what that costs.

python -m benchmarks.face_crop --data_dir PICTURES --masks_dir ANNOTATIONS --holdout 40 --count 100

Held-out portraits are pasted at 15 to 60 % of the longer side, anywhere, on canvases of many sizes and shapes: gradients, drawn shapes,
blurred parts of other portraits. Nothing is written but the report. Prints JSON:

- found: share of the pictures in which a face was found;
- iou_0.5, iou_0.7: share of the pictures whose crop overlaps the pasted portrait (intersection over union) by so much;
- miou: of the crops' masks with the annotated ones, against that of the same pictures segmented without looking for the face;
- portraits_cropped: share of the portraits themselves, which should be none;
- seconds: median time for a portrait, without and with looking for the face, and for a full picture.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from aniface import FaceSegmenter
from aniface.face_crop import overlap
from aniface.folders import Item, find_items, split_items
from aniface.labels import Mask, open_picture
from aniface.metrics import confusion, segmentation_scores
from aniface.pipeline import lay_out_weights
from aniface.processing import to_rgb_picture
from aniface.segmentation import segment_picture

CANVASES = ("gradient", "shapes", "picture")


def draw_canvas(kind: str, width: int, height: int, rng: np.random.Generator, picture: Image.Image | None = None) -> Image.Image:
    """A background without a face: a gradient of two colours, 30 ellipses and rectangles, or a blurred part of `picture`."""
    colours = rng.integers(0, 256, (31, 3))
    if kind == "gradient":
        y, x = np.mgrid[0:height, 0:width]
        share = np.clip(x / width * rng.uniform(-1, 1) + y / height, 0, 1)[..., None]
        return Image.fromarray((colours[0] + (colours[1] - colours[0]) * share).astype(np.uint8))
    if kind == "shapes":
        canvas = Image.new("RGB", (width, height), tuple(colours[30].tolist()))
        draw = ImageDraw.Draw(canvas)
        for colour in colours[:30].tolist():
            x, y, size = rng.integers(0, width), rng.integers(0, height), rng.integers(10, max(width, height) // 4)
            shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
            shape((x, y, x + size, y + int(size * rng.uniform(0.3, 1.5))), fill=tuple(colour))
        return canvas
    part = picture.width // 4
    x, y = rng.integers(0, picture.width - part + 1), rng.integers(0, picture.height - part + 1)
    zoomed = picture.crop((x, y, x + part, y + part)).resize((width, height), Image.Resampling.BICUBIC)
    return zoomed.filter(ImageFilter.GaussianBlur(max(width, height) / 40))


def paste_portrait(portrait: Image.Image, mask: Mask | None, canvas: Image.Image, rng: np.random.Generator, least=0.15, most=0.6):
    """Put a portrait anywhere on a canvas, scaled to a random share of its longer side.

    Returns:
        the picture, its mask (None without `mask`), and left, top, right, bottom of the portrait in it.
    """
    side = min(int(max(canvas.size) * rng.uniform(least, most)), *canvas.size)
    left, top = (int(rng.integers(0, length - side + 1)) for length in canvas.size)
    canvas = canvas.copy()
    canvas.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    box = (left, top, left + side, top + side)
    if mask is None:
        return canvas, None, box
    ids = np.zeros(canvas.size[::-1], np.uint8)
    ids[top : top + side, left : left + side] = mask.fit(side).ids
    return canvas, Mask(ids), box


def open_portrait(item: Item) -> Image.Image:
    return to_rgb_picture(open_picture(item.picture))


def timed(segmenter: FaceSegmenter, picture: Image.Image, crop: bool):
    started = time.perf_counter()
    return segment_picture(segmenter, picture, crop), time.perf_counter() - started


def measure(segmenter: FaceSegmenter, items: list[Item], others: list[Item], count: int, seed: int = 0) -> dict:
    """The report; `others` lend their pictures to canvases."""
    overlaps, found, seconds = [], [], {"portrait": [], "portrait_looked_at": [], "full_picture": []}
    tables = {"cropped": 0, "as_it_is": 0}
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        item = items[number % len(items)]
        longer = int(rng.integers(700, 1600))
        width, height = sorted((longer, int(longer * rng.uniform(0.55, 1))), reverse=rng.random() < 0.5)
        canvas = draw_canvas(CANVASES[number % 3], width, height, rng, open_portrait(others[rng.integers(len(others))]))
        picture, truth, box = paste_portrait(open_portrait(item), Mask.open(item.mask), canvas, rng)
        result, took = timed(segmenter, picture, crop=True)
        seconds["full_picture"].append(took)
        left, top, right, bottom = crop = result.crop or (0, 0, width, height)
        overlaps.append(overlap(crop, box))
        found.append(result.crop is not None)
        tables["cropped"] += confusion(truth.ids[top:bottom, left:right], result.mask.ids)
        tables["as_it_is"] += confusion(
            truth.ids[top:bottom, left:right], segment_picture(segmenter, picture).mask.ids[top:bottom, left:right]
        )
    cropped = []
    for item in items:
        portrait = open_portrait(item)
        seconds["portrait"].append(timed(segmenter, portrait, crop=False)[1])
        result, took = timed(segmenter, portrait, crop=True)
        seconds["portrait_looked_at"].append(took)
        cropped.append(result.crop is not None)
    overlaps = np.array(overlaps)
    return {
        "pictures": count,
        "found": round(float(np.mean(found)), 4),
        "iou_0.5": round(float((overlaps >= 0.5).mean()), 4),
        "iou_0.7": round(float((overlaps >= 0.7).mean()), 4),
        "iou_median": round(float(np.median(overlaps)), 4),
        "miou": {name: round(segmentation_scores(table)["miou"], 4) for name, table in tables.items()},
        "portraits": len(items),
        "portraits_cropped": round(float(np.mean(cropped)), 4),
        "seconds": {name: round(float(np.median(times)), 3) for name, times in seconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True, help="folder of portraits")
    parser.add_argument("--masks_dir", action="append", default=[], help="folder with NAME.json masks")
    parser.add_argument("--holdout", type=int, default=40, help="use these held-out annotated portraits")
    parser.add_argument("--count", type=int, default=100, help="pictures to make")
    parser.add_argument("--model", help="segmenter or pipeline, folder or hub id (default: the weights inside the package)")
    args = parser.parse_args()
    segmenter = FaceSegmenter.from_pretrained(args.model).eval()
    lay_out_weights(segmenter)
    others, items = split_items(find_items(args.data_dir, args.masks_dir), args.holdout)
    print(json.dumps(measure(segmenter, items, others, args.count), indent=1))


if __name__ == "__main__":
    main()
