"""Examples that load in one click: a start mask, a style seed and a hair colour each, and their painted thumbnails."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from ..labels import Mask
from ..start_masks import start_masks
from .parts import ASSETS, AUTO

SHEET = ASSETS / "examples.png"
SIDE = 128


class Example(NamedTuple):
    start: str
    seed: int
    hair_color: str

    @property
    def mask(self) -> Mask:
        return start_masks()[self.start]


EXAMPLES = (
    Example("curls", 4, "pink"),
    Example("bob", 0, AUTO),
    Example("twin-curls", 5, "aqua"),
    Example("short", 3, "blonde"),
    Example("ribbons", 7, "purple"),
    Example("straight", 1, "black"),
    Example("hair-band", 4, "red"),
    Example("pigtails", 6, "blue"),
    Example("round-eyes", 8, "green"),
    Example("bow", 9, "white"),
)


def example_pictures() -> list[Image.Image]:
    """The painted thumbnails, cut from the sheet that docs/make_pictures.py paints."""
    with Image.open(SHEET) as sheet:
        return [sheet.crop((SIDE * i, 0, SIDE * (i + 1), SIDE)).convert("RGB") for i in range(len(EXAMPLES))]
