"""What the studio's controls do: plain functions over a pipeline, without any Gradio."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from ..animation import hair_animation, save_animation
from ..labels import InputError, Mask, open_picture, printable
from ..processing import fit_picture, to_rgb_picture
from .canvas import SIZE, decode_mask, encode_mask
from .edit import Base, changed_part, keep_rest
from .session import EVERYTHING, Recipe, Reference

VARIANTS = 4
LOOSE_STYLE = 0.7  # style strength of variants of a reference, whose style would leave no room for any at 1
FRAMES_PER_COLOR = 6
VARY_AMOUNT = 0.3
MAX_REFERENCE = 1024  # longest side of a reference that is kept


class Handlers:
    """The studio's actions. User mistakes raise InputError.

    Args:
        pipe: the pipeline that paints and segments.
    """

    def __init__(self, pipe):
        self.pipe = pipe

    def paint(self, recipe: Recipe) -> Image.Image:
        """The portrait of a recipe: 512x512."""
        mask, asked = decode_mask(recipe.drawing), recipe.asked_hair
        if recipe.base is not None:
            changed = changed_part(recipe.base, mask, asked)
            if not changed.any():
                return recipe.base.picture
        picture = self.pipe(
            mask, hair_color=asked, strength=recipe.strength, seed=recipe.seed, style_strength=recipe.style_strength, **references(recipe)
        ).images[0]
        return picture if recipe.base is None else keep_rest(recipe.base.picture, picture, changed)

    def variants(self, recipe: Recipe) -> list[Recipe]:
        """Recipes to choose from: the given one, and others in styles of their own or around the references'."""
        style = min(recipe.style_strength, LOOSE_STYLE) if recipe.references else recipe.style_strength
        return [recipe, *(replace(recipe, seed=recipe.seed + number, style_strength=style) for number in range(1, VARIANTS))]

    def animate(self, recipe: Recipe, colors: list[str], progress: Callable | None = None) -> bytes:
        """The recipe's portrait with hair that turns from colour to colour, as a WebP animation; `progress` as for `hair_animation`."""
        frames = hair_animation(
            self.pipe,
            decode_mask(recipe.drawing),
            colors=colors,
            frames_per_color=FRAMES_PER_COLOR,
            seed=recipe.seed,
            style_strength=recipe.style_strength,
            progress=progress,
            **references(recipe),
        )
        with tempfile.TemporaryDirectory() as folder:
            return save_animation(frames, Path(folder) / "hair.webp").read_bytes()

    def load_mask(self, path: str | None) -> str:
        """An uploaded mask file for the canvas."""
        if not path:
            raise InputError("no file was chosen; choose a mask picture or a labelme JSON file")
        return encode_mask(without_path(path, Mask.open))

    def load_picture(self, path: str | None) -> Image.Image:
        """An uploaded picture, checked before it is decoded, at most 1024 px a side."""
        if not path:
            raise InputError("no file was chosen; choose a portrait")
        picture = to_rgb_picture(without_path(path, open_picture))
        picture.thumbnail((MAX_REFERENCE, MAX_REFERENCE))
        return picture

    def load_reference(self, path: str | None) -> Reference:
        """An uploaded picture whose style is taken."""
        return self.reference(self.load_picture(path))

    def reference(self, picture: Image.Image) -> Reference:
        return Reference(picture, self.pipe.encode_reference(picture))

    def mask_from_reference(self, reference: Reference | None) -> str:
        """The mask of a reference for the canvas."""
        if reference is None:
            raise InputError("there is no reference picture; upload a portrait first")
        return encode_mask(self.pipe.segment(reference.picture))

    def base_from_picture(self, path: str | None) -> Base:
        """An uploaded portrait to edit, as a 512x512 picture with its mask."""
        picture = fit_picture(self.load_picture(path), SIZE)
        return Base(picture, self.pipe.segment(picture))

    def random_mask(self, seed: int) -> str:
        """A random face for the canvas."""
        return encode_mask(self.pipe.random_mask(seed))

    @property
    def can_vary(self) -> bool:
        """Whether the pipeline has what `vary_mask` and `complete_mask` need."""
        return self.pipe.mask_denoiser is not None

    def vary_mask(self, drawing: str, seed: int) -> str:
        """A face like the drawn one."""
        return encode_mask(self.pipe.vary_mask(decode_mask(drawing), VARY_AMOUNT, seed))

    def complete_mask(self, drawing: str, seed: int) -> str:
        """A whole face around what is drawn; background counts as not drawn."""
        return encode_mask(self.pipe.complete_mask(decode_mask(drawing), seed))


def references(recipe: Recipe) -> dict:
    """The recipe's references as arguments of the pipeline."""
    styles = {region: reference.style for region, reference in recipe.references.items()}
    return {"reference": styles.pop(EVERYTHING, None), "region_references": styles}


def without_path(path: str, read):
    """`read(path)`; its errors name the file alone, not the server's folders."""
    try:
        return read(path)
    except InputError as error:
        name = str(path).replace("\\", "/").rsplit("/", 1)[-1]
        raise InputError(str(error).replace(printable(str(path)), name)) from None
