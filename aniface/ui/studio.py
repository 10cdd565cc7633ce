"""The studio: draw on the left, see the portrait on the right."""

from __future__ import annotations

import functools
import random
import tempfile
from pathlib import Path

import gradio as gr

from ..hair import HAIR_COLORS
from ..labels import InputError
from ..start_masks import start_masks
from .canvas import decode_mask, encode_mask, mask_canvas
from .handlers import AUTO, Handlers

NOTICE = (
    "aniface paints what the map says, in styles learnt from anime portraits. The weights are for research and non-commercial use; "
    "the pictures show nobody who exists."
)
MAX_UPLOAD = "40mb"


def friendly(function):
    """Turn a user's mistake into a toast."""

    @functools.wraps(function)
    def call(*args):
        try:
            return function(*args)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return call


def save_palette_png(drawing: str) -> str:
    """The drawing as a palette PNG in a new temporary folder."""
    return str(decode_mask(drawing).save(Path(tempfile.mkdtemp(prefix="aniface-")) / "mask.png"))


def build_studio(pipe) -> gr.Blocks:
    """The studio as Gradio Blocks over a pipeline."""
    do = Handlers(pipe)
    starts = start_masks()
    with gr.Blocks(title="aniface", analytics_enabled=False, delete_cache=(3600, 86400)) as studio:
        gr.Markdown("## aniface\nDraw a face in seven colours, get an anime portrait that follows it.", elem_id="title")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                canvas = mask_canvas(starts["bob"], elem_id="canvas", label="Face map")
            with gr.Column(min_width=320):
                result = gr.Image(
                    label="Portrait",
                    elem_id="portrait",
                    format="png",
                    interactive=False,
                    show_label=False,
                    buttons=["download", "fullscreen"],
                )
                with gr.Row():
                    paint_button = gr.Button("Paint", variant="primary", elem_id="paint", min_width=80)
                    variants_button = gr.Button("4 variants", elem_id="variants", min_width=80)
                    live = gr.Checkbox(True, label="Live", info="repaint after each stroke", elem_id="live", min_width=120)
            with gr.Column(min_width=260, scale=0):
                hair = gr.Dropdown(
                    [AUTO, *HAIR_COLORS], value=AUTO, label="Hair colour", elem_id="hair", allow_custom_value=True, info="or #rrggbb"
                )
                strength = gr.Slider(0, 1.5, 1.0, step=0.05, label="Strength", elem_id="strength")
                with gr.Row():
                    seed = gr.Number(0, label="Style seed", precision=0, minimum=0, elem_id="seed", min_width=120)
                    dice = gr.Button("Random style", elem_id="dice", size="sm", min_width=60)
                with gr.Row():
                    reference_button = gr.UploadButton("Reference…", file_types=["image"], elem_id="reference", size="sm", min_width=110)
                    forget_button = gr.Button("No reference", elem_id="forget", size="sm", min_width=90)
                preview = gr.Image(
                    label="Style of", elem_id="preview", interactive=False, visible=False, height=110, format="png", buttons=[]
                )
                with gr.Row():
                    segment_button = gr.Button("Mask from reference", elem_id="segment", size="sm", min_width=110)
                    random_button = gr.Button("Random face", elem_id="random", size="sm", min_width=90)
                with gr.Row():
                    mask_button = gr.UploadButton("Load a mask", file_types=["image", ".json"], elem_id="upload", size="sm", min_width=90)
                    download = gr.DownloadButton("Save the mask", elem_id="download", size="sm", min_width=90)
        variants = gr.Gallery(label="Variants", columns=4, elem_id="gallery", visible=False, format="png", height=240)
        gallery = gr.Gallery(
            [(mask.to_rgb(), name) for name, mask in starts.items()],
            label="Start from one of these",
            columns=10,
            height=150,
            allow_preview=False,
            elem_id="starts",
            format="png",
        )
        gr.Markdown(NOTICE)
        reference = gr.State(None)

        shared = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "minimal"}
        style = [canvas, reference, hair, strength, seed]
        paint = friendly(lambda *args: do.paint(*args)[0])
        paint_args = {"fn": paint, "inputs": style, "outputs": result, **shared, "api_visibility": "private"}

        @friendly
        def paint_if_live(is_live, *args):
            return do.paint(*args)[0] if is_live else gr.skip()

        live_args = {"fn": paint_if_live, "inputs": [live, *style], "outputs": result, "trigger_mode": "always_last"}
        live_args |= shared | {"api_visibility": "private", "show_progress": "hidden"}
        studio.load(**paint_args)
        paint_button.click(**paint_args)
        gr.on([canvas.input, hair.input, strength.release, seed.change, live.input], **live_args)

        @friendly
        def paint_variants(*args):
            return gr.Gallery(do.paint(*args, 4), visible=True)

        variants_button.click(paint_variants, style, variants, api_visibility="private", **shared)
        dice.click(lambda: random.randrange(1_000_000), None, seed, api_visibility="private")
        private = {"api_visibility": "private"}

        @friendly
        def take_reference(path):
            picture = do.load_picture(path)
            return picture, gr.Image(picture, visible=True)

        loaded = reference_button.upload(take_reference, reference_button, [reference, preview], **private)
        loaded.success(**live_args)
        forgotten = forget_button.click(lambda: (None, gr.Image(visible=False)), None, [reference, preview], **private)
        forgotten.success(**live_args)
        masked = segment_button.click(friendly(do.mask_from_picture), reference, canvas, **shared, **private)
        masked.success(**live_args)
        drawn = random_button.click(lambda: do.random_mask(random.randrange(2**31)), None, canvas, **private)
        drawn.success(**live_args)
        uploaded = mask_button.upload(friendly(do.load_mask), mask_button, canvas, **private)
        uploaded.success(**live_args)
        download.click(friendly(save_palette_png), canvas, download, **private)

        def load_start(event: gr.SelectData):
            return encode_mask(list(starts.values())[event.index])

        gallery.select(load_start, None, canvas, **private).success(**live_args)
    return studio


def theme() -> gr.themes.Base:
    return gr.themes.Soft(primary_hue="violet", secondary_hue="pink", neutral_hue="slate", font=["system-ui", "sans-serif"])


CSS = """
#title { margin-bottom: -8px; }
#portrait img { width: 100%; aspect-ratio: 1; object-fit: contain; }
footer { display: none !important; }
"""


def launch_studio(studio: gr.Blocks, host: str | None = None, port: int | None = None, **kwargs):
    """Queue and launch; blocks until stopped unless `prevent_thread_lock=True` is given."""
    studio.queue(max_size=64)
    kwargs = {"ssr_mode": False, "max_file_size": MAX_UPLOAD, "theme": theme(), "css": CSS, "footer_links": []} | kwargs
    return studio.launch(server_name=host, server_port=port, **kwargs)
