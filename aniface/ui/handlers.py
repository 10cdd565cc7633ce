"""What the studio's buttons do: plain functions over a pipeline, without any Gradio."""

from __future__ import annotations

from PIL import Image

from ..labels import InputError, Mask, open_picture
from ..processing import to_rgb_picture
from .canvas import decode_mask, encode_mask

AUTO = "auto"


class Handlers:
    """The studio's actions. Masks are the canvas's text (see `canvas.py`); user mistakes raise InputError.

    Args:
        pipe: the pipeline that paints and segments.
    """

    def __init__(self, pipe):
        self.pipe = pipe

    def paint(self, drawing: str, reference, hair_color: str, strength: float, seed: float, num_images: float = 1) -> list[Image.Image]:
        """Paint the canvas's drawing."""
        return self.pipe(
            decode_mask(drawing),
            reference=reference,
            hair_color=None if hair_color in (None, "", AUTO) else hair_color,
            strength=float(strength),
            seed=int(seed or 0),
            num_images=int(num_images),
        ).images

    def load_mask(self, path: str | None) -> str:
        """An uploaded mask file for the canvas."""
        if not path:
            raise InputError("no file was chosen; choose a mask picture or a labelme JSON file")
        return encode_mask(without_path(path, Mask.open))

    def mask_from_picture(self, picture) -> str:
        """The mask of an uploaded portrait for the canvas."""
        if picture is None:
            raise InputError("there is no reference picture; upload a portrait first")
        return encode_mask(self.pipe.segment(picture))

    def random_mask(self, seed: int) -> str:
        """A random face for the canvas."""
        return encode_mask(self.pipe.random_mask(seed))

    def load_picture(self, path: str | None) -> Image.Image:
        """An uploaded reference picture, checked before it is decoded, at most 1024 px a side."""
        if not path:
            raise InputError("no file was chosen; choose a portrait")
        picture = to_rgb_picture(without_path(path, open_picture))
        picture.thumbnail((1024, 1024))
        return picture


def without_path(path: str, read):
    """`read(path)`; its errors name the file alone, not the server's folders."""
    try:
        return read(path)
    except InputError as error:
        name = str(path).replace("\\", "/").rsplit("/", 1)[-1]
        raise InputError(str(error).replace(str(path), name)) from None
