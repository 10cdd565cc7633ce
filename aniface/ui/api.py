"""The studio for programs: named endpoints that take and give plain files."""

from __future__ import annotations

import gradio as gr

from ..labels import InputError, Mask
from .canvas import encode_mask
from .friendly import cached_file, friendly, png_bytes
from .handlers import Handlers, without_path
from .parts import AUTO
from .session import EVERYTHING, Recipe


def add_endpoints(do: Handlers, **shared) -> None:
    """Add /paint, /segment and /random_mask to the Blocks around; `shared` goes to each event."""
    with gr.Row(visible=False):
        mask = gr.File(label="mask")
        reference = gr.File(label="reference")
        picture = gr.File(label="picture")
        hair_color = gr.Textbox(AUTO, label="hair_color")
        strength = gr.Number(1.0, label="strength")
        seed = gr.Number(0, label="seed", precision=0)
        result = gr.File(label="result")
        call = gr.Button()

    @friendly
    def paint(mask: str, reference: str | None, hair_color: str, strength: float, seed: int) -> str:
        if not mask:
            raise InputError("no mask was given; give a mask picture or a labelme JSON file")
        references = {EVERYTHING: do.load_reference(reference)} if reference else {}
        drawing = encode_mask(without_path(mask, Mask.open))
        portrait = do.paint(Recipe(drawing, hair_color or AUTO, strength, seed, references=references))
        return cached_file(result, "portrait.png", png_bytes(portrait))

    @friendly
    def segment(picture: str) -> str:
        return cached_file(result, "mask.png", png_bytes(do.pipe.segment(do.load_picture(picture)).to_image()))

    @friendly
    def random_mask(seed: int) -> str:
        return cached_file(result, "mask.png", png_bytes(do.pipe.random_mask(seed).to_image()))

    about = "Paint a portrait (PNG file) of a mask (mask picture or labelme JSON file); hair_color is auto, a name or #rrggbb."
    call.click(paint, [mask, reference, hair_color, strength, seed], result, api_name="paint", api_description=about, **shared)
    about = "The mask (indexed PNG file, values are class ids) of a portrait."
    call.click(segment, picture, result, api_name="segment", api_description=about, **shared)
    about = "A random face to start from, as an indexed PNG file."
    call.click(random_mask, seed, result, api_name="random_mask", api_description=about, **shared)
