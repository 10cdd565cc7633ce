"""The studio: draw on the left, see the portrait beside it. This file is the layout; `wiring.py` connects it."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..hair import HAIR_COLORS
from .api import add_endpoints
from .canvas import mask_canvas
from .examples import EXAMPLES, example_pictures
from .handlers import Handlers
from .limits import MAX_UPLOAD, MAX_WAITING, LimitedBodies
from .pages import NOTICE, about_page, colours_page, styles_page
from .parts import AUTO, hair_swatches, strip
from .session import EVERYTHING, REFERRED, Session
from .theme import CSS, theme
from .wiring import MODEL, wire

FIRST_COLORS = ["pink", "purple", "aqua", "blonde"]
TITLE = "# aniface\nDraw a face in seven colours, get an anime portrait that follows it."


def build_studio(pipe) -> gr.Blocks:
    """The studio as Gradio Blocks over a pipeline."""
    do = Handlers(pipe)
    with gr.Blocks(title="aniface", analytics_enabled=False, delete_cache=(3600, 86400)) as studio:
        gr.Markdown(TITLE, elem_id="title")
        with gr.Tabs(elem_id="pages"):
            with gr.Tab("Studio"):
                ui = SimpleNamespace(session=gr.State(Session()), parcel=gr.JSON(visible=False))
                with gr.Row(equal_height=False):
                    with gr.Column(min_width=320, scale=5):
                        lay_out_map(ui, do.can_vary)
                    with gr.Column(min_width=320, scale=5):
                        lay_out_portrait(ui)
                    with gr.Column(min_width=250, scale=3):
                        lay_out_controls(ui)
                with gr.Row(equal_height=False):
                    titles = [f"{example.start}, {example.hair_color} hair" for example in EXAMPLES]
                    items = zip(example_pictures(), titles, strict=True)
                    ui.examples = strip("Start from one of these", items=items, elem_id="examples", scale=1, min_width=320)
                    ui.history = strip("Painted so far", "What you paint is kept here.", elem_id="history", scale=1, min_width=320)
                gr.Markdown(NOTICE, elem_id="notice")
            with gr.Tab("The seven colours"):
                colours_page()
            with gr.Tab("Styles"):
                styles_page()
            with gr.Tab("About"):
                about_page(pipe)
        add_endpoints(do, **MODEL)  # first: names are given in this order, and the endpoints' must be plain
        wire(studio, ui, do)
    return studio


def lay_out_map(ui, can_vary: bool) -> None:
    """The map and what makes one."""
    ui.canvas = mask_canvas(EXAMPLES[0].mask, elem_id="canvas", label="Face map")
    with gr.Row(elem_id="dicing"):
        ui.random = gr.Button("Random face", elem_id="random", size="sm", min_width=90)
        ui.vary = gr.Button("Vary this", elem_id="vary", size="sm", min_width=90, visible=can_vary)
        ui.finish = gr.Button("Finish my drawing", elem_id="finish", size="sm", min_width=120, visible=can_vary)


def lay_out_portrait(ui) -> None:
    """What was painted, in its three views."""
    picture: dict[str, Any] = {"interactive": False, "show_label": False}
    with gr.Tabs(elem_id="views") as ui.views:
        with gr.Tab("Portrait", id="portrait"):
            ui.portrait = gr.Image(label="Portrait", elem_id="portrait", format="png", buttons=["download", "fullscreen"], **picture)
            ui.compare = gr.ImageSlider(label="Before and after", elem_id="compare", format="png", visible=False, **picture)
            with gr.Row(elem_id="below"):
                ui.paint = gr.Button("Paint", variant="primary", elem_id="paint", size="sm", min_width=60)
                ui.live = gr.Checkbox(True, label="Live", elem_id="live")
                ui.keep = gr.Checkbox(False, label="Keep the rest", elem_id="keep")
                ui.comparing = gr.Checkbox(False, label="Before | after", elem_id="comparing")
        with gr.Tab("4 variants", id="variants") as ui.variants_tab:
            ui.variants = gr.Gallery(
                label="Variants", columns=2, elem_id="variants", format="png", allow_preview=False, buttons=[], **picture
            )
            gr.Markdown("Click the one to go on with.", elem_classes="hint")
        with gr.Tab("Hair animation", id="animation"):
            ui.animation = gr.Image(label="Hair animation", elem_id="animation", type="filepath", buttons=["download"], **picture)
            ui.colors = gr.Dropdown(
                list(HAIR_COLORS), value=FIRST_COLORS, multiselect=True, label="From colour to colour", elem_id="colors"
            )
            ui.animate = gr.Button("Animate", variant="primary", elem_id="animate", size="sm")


def lay_out_controls(ui) -> None:
    """Hair, style, pictures and files."""
    first = EXAMPLES[0]
    with gr.Tabs():
        with gr.Tab("Look"):
            ui.swatches = hair_swatches(first.hair_color, elem_id="swatches", label="Hair colour")
            ui.hair = gr.Dropdown(
                [AUTO, *HAIR_COLORS],
                value=first.hair_color,
                label="Hair colour",
                elem_id="hair",
                allow_custom_value=True,
                info="or #rrggbb",
            )
            ui.strength = gr.Slider(0, 1.5, 1.0, step=0.05, label="Hair strength", elem_id="strength")
            ui.seed = gr.Number(first.seed, label="Style number", precision=0, minimum=0, elem_id="seed")
            ui.dice = gr.Button("Another style", elem_id="dice", size="sm")
        with gr.Tab("Pictures"):
            ui.region = gr.Dropdown(list(REFERRED), value=EVERYTHING, label="Take the style of", elem_id="region")
            ui.add_reference = gr.UploadButton("from a picture…", file_types=["image"], elem_id="reference", size="sm")
            ui.references = strip("References (click one to remove it)", "None: the style is drawn by its number.", elem_id="references")
            ui.style_strength = gr.Slider(0, 1, 1.0, step=0.05, label="Style strength", elem_id="style_strength")
            ui.segment = gr.Button("Map from the reference", elem_id="segment", size="sm")
            ui.edit = gr.UploadButton("Edit a picture…", file_types=["image"], elem_id="edit", size="sm")
            gr.Markdown("Its map appears; change a part and all the rest stays.", elem_classes="hint")
        with gr.Tab("Files"):
            ui.load_mask = gr.UploadButton("Load a map…", file_types=["image", ".json"], elem_id="upload", size="sm")
            gr.Markdown("A picture in the seven colours, an indexed PNG of class ids, or labelme JSON.", elem_classes="hint")
            ui.save_png = gr.Button("Save the map (PNG)", elem_id="save_png", size="sm")
            ui.save_json = gr.Button("Save the map (labelme JSON)", elem_id="save_json", size="sm")


def launch_studio(studio: gr.Blocks, host: str | None = None, port: int | None = None, **kwargs):
    """Queue and launch; blocks until stopped unless `prevent_thread_lock=True` is given."""
    gc.enable()  # commands that soon end run without it
    studio.queue(max_size=MAX_WAITING)
    settings: dict[str, Any] = {"ssr_mode": False, "max_file_size": MAX_UPLOAD, "theme": theme(), "css": CSS, "footer_links": ["api"]}
    settings["app_kwargs"] = {"middleware": [Middleware(LimitedBodies)]}
    return studio.launch(server_name=host, server_port=port, **settings | kwargs)
