"""Paint the pictures of the README and of the studio with the shipped weights, from masks of ours alone.

python -m docs.make_pictures
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from aniface import AnifacePipeline, Mask
from aniface.labels import LABELS, PALETTE
from aniface.style_map import draw_map, make_dots, place
from aniface.ui import examples
from aniface.ui.pages import COLOURS_PICTURE, MEANINGS, STYLES_PICTURE
from aniface.ui.parts import AUTO
from train.toy_data import scribble_mask

HERE = Path(__file__).parent
SIDE = 224
COLUMNS = [{"hair_color": None}, {"hair_color": "pink"}, {"hair_color": "blue"}, {"hair_color": "blonde"}]


def paint_readme(pipe: AnifacePipeline) -> Image.Image:
    """Rows of mask, portrait, and the same with other hair."""
    starts = HERE.parent / "aniface" / "start_masks"
    masks = [HERE.parent / "examples" / "mask.png", starts / "straight.png", starts / "curls.png"]
    sheet = Image.new("RGB", (SIDE * (1 + len(COLUMNS)), SIDE * len(masks)), "white")
    for row, path in enumerate(masks):
        mask = Mask.open(path)
        pictures = [mask.to_image().convert("RGB"), *(pipe(mask, seed=row, **column).images[0] for column in COLUMNS)]
        for column, picture in enumerate(pictures):
            sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (column * SIDE, row * SIDE))
    return sheet


def paint_sheet(pipe: AnifacePipeline, count: int = 24, columns: int = 8) -> Image.Image:
    """Random masks painted in random styles, hair colours in turn."""
    colours = ["auto", *pipe.hair_colors]
    sheet = Image.new("RGB", (SIDE * columns, SIDE * -(-count // columns)))
    for number in range(count):
        colour = colours[number % len(colours)]
        picture = pipe(pipe.random_mask(seed=number), seed=number, hair_color=None if colour == AUTO else colour).images[0]
        place = (number % columns * SIDE, number // columns * SIDE)
        sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), place)
    return sheet


def paint_scribbles(pipe: AnifacePipeline, count: int = 16, columns: int = 8) -> Image.Image:
    """Maps as a hurried hand draws them, each above what is painted of it."""
    sheet = Image.new("RGB", (SIDE * columns, 2 * SIDE * -(-count // columns)))
    for number in range(count):
        mask = scribble_mask(np.random.default_rng(number))
        x, y = number % columns * SIDE, number // columns * 2 * SIDE
        sheet.paste(mask.to_image().convert("RGB").resize((SIDE, SIDE)), (x, y))
        sheet.paste(pipe(mask, seed=number).images[0].resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, y + SIDE))
    return sheet


def paint_example(pipe: AnifacePipeline, example: examples.Example) -> Image.Image:
    return pipe(example.mask, seed=example.seed, hair_color=None if example.hair_color == AUTO else example.hair_color).images[0]


def paint_examples(pipe: AnifacePipeline) -> Image.Image:
    """The studio's examples side by side."""
    side = examples.SIDE
    sheet = Image.new("RGB", (side * len(examples.EXAMPLES), side))
    for number, example in enumerate(examples.EXAMPLES):
        sheet.paste(paint_example(pipe, example).resize((side, side), Image.Resampling.LANCZOS), (number * side, 0))
    return sheet


def innermost(region: np.ndarray) -> tuple[int, int]:
    """(x, y) of a pixel as far from the region's border as any."""
    image = Image.fromarray(np.pad(region, 1).astype(np.uint8))
    while (smaller := image.filter(ImageFilter.MinFilter(3))).getbbox():
        image = smaller
    rows, columns = np.nonzero(np.asarray(image)[1:-1, 1:-1])
    return int(columns[len(columns) // 2]), int(rows[len(rows) // 2])


def explain_colours(pipe: AnifacePipeline) -> Image.Image:
    """A map with its seven colours named, and the portrait painted from it."""
    example = examples.EXAMPLES[0]
    text, side, top = 290, 512, 24
    sheet = Image.new("RGB", (2 * text + 2 * side + 40, side + 2 * top), "white")
    sheet.paste(example.mask.to_image().convert("RGB"), (text, top))
    sheet.paste(paint_example(pipe, example), (2 * text + side + 20, top))
    draw = ImageDraw.Draw(sheet)
    left, right = ("background", "hair", "face", "skin"), ("eye", "mouth", "clothes")
    for names, x, edge in ((left, 16, text - 30), (right, text + side + 38, text + side + 30)):
        for number, name in enumerate(names):
            label, y = LABELS.index(name), top + 20 + number * side // len(names)
            anchor = innermost(example.mask.ids == label)
            anchor = (text + anchor[0], top + anchor[1])
            draw.line([(edge, y + 14), anchor], fill="white", width=7)
            draw.line([(edge, y + 14), anchor], fill=(60, 50, 80), width=2)
            draw.circle(anchor, 6, fill=tuple(PALETTE[label].tolist()), outline="white", width=2)
            draw.rounded_rectangle([x, y, x + 28, y + 28], 7, fill=tuple(PALETTE[label].tolist()), outline=(120, 110, 140))
            draw.text((x + 38, y + 1), name, fill=(42, 36, 56), font=ImageFont.load_default(23))
            lines = "\n".join(textwrap.wrap(MEANINGS[name], 29))
            draw.text((x, y + 36), lines, fill=(75, 68, 92), font=ImageFont.load_default(17), spacing=5)
    return sheet


def main() -> None:
    pipe = AnifacePipeline.from_pretrained()
    paint_readme(pipe).save(HERE / "portraits.png", optimize=True)
    paint_sheet(pipe).save(HERE / "sheet.webp", quality=88, method=6)
    paint_scribbles(pipe).save(HERE / "scribbles.webp", quality=85, method=6)
    paint_examples(pipe).save(examples.SHEET, optimize=True)
    explain_colours(pipe).save(COLOURS_PICTURE, optimize=True)
    dots = list(make_dots(pipe, None, 200))
    draw_map(dots, place(dots), 1200).save(STYLES_PICTURE, quality=82, method=6)


if __name__ == "__main__":
    main()
