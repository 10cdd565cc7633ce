"""What one browser tab has: what is painted now, and the recipes of what was painted before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from ..labels import STYLE_REGIONS, InputError
from ..pipeline import check_number, check_seed, told
from ..styles import SeenStyle
from .canvas import decode_mask
from .edit import Base
from .parts import AUTO

HISTORY = 24  # recipes that a session remembers
EVERYTHING = "everything"
REFERRED = (EVERYTHING, *STYLE_REGIONS)  # what a reference may be for


def check_referred(region) -> str:
    """What a reference is for; raises InputError if it is none of `REFERRED`."""
    if region not in REFERRED:
        raise InputError(f"a reference is for {told(region)}; expected one of {', '.join(REFERRED)}")
    return region


@dataclass(frozen=True)
class Reference:
    """A picture whose style is taken, and that style as `AnifacePipeline.encode_reference` sees it: once, not at every stroke."""

    picture: Image.Image
    style: SeenStyle = field(compare=False)


@dataclass(frozen=True)
class Recipe:
    """All that a portrait is made from; painted twice it gives the same picture.

    Attributes:
        drawing: the canvas's text (see `canvas.py`).
        hair_color: `AUTO`, a name or "#rrggbb".
        references: by style region, or `EVERYTHING`.
        base: the picture that is edited, if one is.
    """

    drawing: str
    hair_color: str = AUTO
    strength: float = 1.0
    seed: int = 0
    style_strength: float = 1.0
    references: Mapping[str, Reference] = field(default_factory=dict)
    base: Base | None = None

    @property
    def asked_hair(self) -> str | None:
        return None if self.hair_color == AUTO else self.hair_color


class Session:
    """The state of one browser tab. Old pictures are kept as recipes and thumbnails, so that it stays small.

    Attributes:
        picture: the portrait that is on screen.
        before: the one before it.
        references, base: as in `Recipe`, for the next one.
        history: (recipe, thumbnail), newest first.
        offered: the recipes of the variants to choose from.
    """

    def __init__(self):
        self.picture: Image.Image | None = None
        self.before: Image.Image | None = None
        self.references: dict[str, Reference] = {}
        self.base: Base | None = None
        self.history: list[tuple[Recipe, str]] = []
        self.offered: list[Recipe] = []

    def recipe(self, drawing, hair_color, strength, seed, style_strength) -> Recipe:
        """The controls' values, as a browser sends them, with this session's pictures; raises InputError if one is out of range."""
        strength = check_number(strength, "the hair's strength", 1.5)
        style_strength = check_number(style_strength, "the style's strength", 1.0)
        return Recipe(drawing, str(hair_color or AUTO), strength, check_seed(seed or 0), style_strength, dict(self.references), self.base)

    def add(self, recipe: Recipe, picture: Image.Image, thumbnail: str, keep_before: bool = False) -> None:
        """Remember what was painted; `keep_before` leaves `before` as it is."""
        if not keep_before or self.before is None:
            self.before = self.picture
        self.picture = picture
        others = [entry for entry in self.history if entry[0] != recipe]
        if others[:1] and others[0][1] == thumbnail:  # another way to the same picture
            del others[0]
        self.history = [(recipe, thumbnail), *others][:HISTORY]

    def last_base(self) -> Base | None:
        """The portrait on screen as the picture to edit, with the map and the hair that it was painted with."""
        if self.picture is None:
            return None
        recipe, _ = self.history[0]
        return Base(self.picture, decode_mask(recipe.drawing), recipe.asked_hair)
