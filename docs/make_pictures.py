"""Paint the README's picture with the shipped weights, from masks of ours alone.

python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from aniface import AnifacePipeline, Mask

HERE = Path(__file__).parent
SIDE = 224
COLUMNS = [{"hair_color": None}, {"hair_color": "pink"}, {"hair_color": "blue"}, {"hair_color": "blonde"}]


def main() -> None:
    pipe = AnifacePipeline.from_pretrained()
    starts = HERE.parent / "aniface" / "start_masks"
    masks = [HERE.parent / "examples" / "mask.png", starts / "straight.png", starts / "curls.png"]
    sheet = Image.new("RGB", (SIDE * (1 + len(COLUMNS)), SIDE * len(masks)), "white")
    for row, path in enumerate(masks):
        mask = Mask.open(path)
        pictures = [mask.to_image().convert("RGB"), *(pipe(mask, seed=row, **column).images[0] for column in COLUMNS)]
        for column, picture in enumerate(pictures):
            sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (column * SIDE, row * SIDE))
    sheet.save(HERE / "portraits.png", optimize=True)


if __name__ == "__main__":
    main()
