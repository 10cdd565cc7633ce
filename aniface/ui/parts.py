"""The studio's own small components: `gr.HTML`s with plain JavaScript, each a template, a style and a script in assets/."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

import gradio as gr
from PIL import Image

from ..hair import HAIR_COLORS

ASSETS = Path(__file__).parent / "assets"
AUTO = "auto"


def own_part(name: str, value, fill: dict[str, str], **kwargs) -> gr.HTML:
    """The component of assets/NAME.html, .css and .js; `fill` gives what stands for each __KEY__ in them."""
    texts = []
    for ending in ("html", "css", "js"):
        text = (ASSETS / f"{name}.{ending}").read_text(encoding="utf-8")
        for key, replacement in fill.items():
            text = text.replace(f"__{key}__", replacement)
        texts.append(text)
    html, css, script = texts
    return gr.HTML(value=value, html_template=html, css_template=css, js_on_load=script, apply_default_css=False, **kwargs)


def strip(caption: str, empty: str = "", items: Iterable[tuple[Image.Image, str]] = (), **kwargs) -> gr.HTML:
    """A row of thumbnails that are buttons: its value is `strip_items`'s text; `.pick` fires with the event's `index`."""
    return own_part("strip", strip_items(items), {"CAPTION": escape(caption), "EMPTY": escape(empty)}, **kwargs)


def strip_items(items: Iterable[tuple[Image.Image | str, str]]) -> str:
    """(picture or `thumbnail`, title) pairs as the strip's value."""
    return json.dumps([{"src": item if isinstance(item, str) else thumbnail(item), "title": title} for item, title in items])


def thumbnail(picture: Image.Image, side: int = 128) -> str:
    """A small picture as a data address, some 4 kB."""
    small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=80, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def hair_swatches(chosen: str = AUTO, **kwargs) -> gr.HTML:
    """The hair colours as buttons and a free colour picker: its value is `AUTO`, a name or "#rrggbb"; `.input` fires on a choice."""
    colours = {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in HAIR_COLORS.items()}
    return own_part("swatches", chosen, {"COLOURS": json.dumps(colours), "AUTO": AUTO}, **kwargs)
