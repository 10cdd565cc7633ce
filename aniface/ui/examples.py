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
    Example("bob", 8, "pink"),
    Example("curls", 13, AUTO),
    Example("twin-curls", 13, "aqua"),
    Example("short", 9, "blonde"),
    Example("ribbons", 12, "purple"),
    Example("straight", 14, "black"),
    Example("hair-band", 11, "red"),
    Example("pigtails", 12, "blue"),
    Example("round-eyes", 7, "green"),
    Example("bow", 7, "white"),
)


def example_pictures() -> list[Image.Image]:
    """The painted thumbnails, cut from the sheet that docs/make_pictures.py paints."""
    with Image.open(SHEET) as sheet:
        return [sheet.crop((SIDE * i, 0, SIDE * (i + 1), SIDE)).convert("RGB") for i in range(len(EXAMPLES))]
