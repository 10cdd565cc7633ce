"""The map of styles: t-SNE of style codes, each shown as a portrait painted in that style with its hair's measured colour as border."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from .hair import measure_hair_color
from .labels import HAIR, STYLE_REGIONS, InputError, Mask, write_atomically
from .processing import to_pil
from .start_masks import start_masks
from .styles import Style

THUMBNAIL = 72
SIDE = 1600


@dataclass(frozen=True)
class Dot:
    """One style of the map: a painted thumbnail, the sRGB (0..255) and the name of its hair's colour, and its code (K,) or (5 * K,)."""

    thumbnail: Image.Image
    colour: tuple[int, int, int]
    name: str
    code: np.ndarray


def make_dots(pipe, pictures: Iterable | None, count: int = 300, region: str = "hair", mask: Mask | None = None) -> Iterable[Dot]:
    """Paint one portrait for each style.

    Args:
        pipe: an `AnifacePipeline`.
        pictures: portraits whose styles are shown (they themselves are not); None for random styles.
        count: how many random styles.
        region: the style region whose code is mapped, or "all".
        mask: what is painted; by default a start mask.

    Raises:
        InputError: no such region.
    """
    if region not in (*STYLE_REGIONS, "all"):
        raise InputError(f"region is {region!r}; expected all, {', '.join(STYLE_REGIONS)}")
    mask = (mask or start_masks()["bob"]).fit(pipe.painter.sizes[-1])
    layout = pipe.layout_of(mask)
    styles = (pipe.choose_style(layout, seed=seed) for seed in range(count))
    if pictures is not None:
        styles = (pipe.choose_style(layout, pipe.see_style(picture)) for picture in pictures)
    for style in styles:
        yield make_dot(pipe, layout, mask, style, region)


def make_dot(pipe, layout: torch.Tensor, mask: Mask, style: Style, region: str) -> Dot:
    picture = to_pil(pipe.paint_style(layout, style))[0]
    measured = measure_hair_color(np.asarray(picture), mask.ids)
    if measured is None:
        raise InputError("the mask shows no hair; expected one whose hair can be painted")
    red, green, blue = (int(v) for v in np.median(np.asarray(picture)[mask.ids == HAIR], axis=0))
    codes = style.codes[0].cpu().numpy()
    code = codes.ravel() if region == "all" else codes[STYLE_REGIONS.index(region)]
    thumbnail = picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return Dot(thumbnail, (red, green, blue), measured[1], code)


def place(dots: list[Dot], seed: int = 0) -> np.ndarray:
    """(N, 2) places in 0..1 by t-SNE (van der Maaten & Hinton 2008); needs the `analysis` extra.

    Raises:
        InputError: fewer than ten dots, or scikit-learn is not installed.
    """
    if len(dots) < 10:
        raise InputError(f"a map of {len(dots)} styles; expected at least 10")
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError:
        raise InputError("the style map needs scikit-learn; install it with pip install 'aniface[analysis]'") from None
    perplexity = min(30.0, (len(dots) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(np.stack([dot.code for dot in dots]))
    low, high = places.min(0), places.max(0)
    return (places - low) / (high - low).clip(1e-6)


def draw_map(dots: list[Dot], places: np.ndarray, side: int = SIDE) -> Image.Image:
    """The map as one picture: round thumbnails, each with its hair's colour as border."""
    sheet = Image.new("RGB", (side, side), "#f7f6fb")
    round_mask = Image.new("L", (THUMBNAIL * 4, THUMBNAIL * 4), 0)
    ImageDraw.Draw(round_mask).ellipse((0, 0, THUMBNAIL * 4 - 1, THUMBNAIL * 4 - 1), fill=255)
    round_mask = round_mask.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    draw, border = ImageDraw.Draw(sheet), 5
    for dot, (x, y) in zip(dots, places, strict=True):
        left, top = (round(border + v * (side - THUMBNAIL - 2 * border)) for v in (x, y))
        draw.ellipse((left - border, top - border, left + THUMBNAIL + border - 1, top + THUMBNAIL + border - 1), fill=dot.colour)
        sheet.paste(dot.thumbnail, (left, top), round_mask)
    return sheet


def map_page(dots: list[Dot], places: np.ndarray, title: str) -> str:
    """The map as one HTML file without outside parts: wheel zooms, dragging moves, a dot tells its hair's colour."""
    entries = []
    for dot, (x, y) in zip(dots, places, strict=True):
        data = io.BytesIO()
        dot.thumbnail.save(data, "WEBP", quality=85)
        picture = base64.b64encode(data.getvalue()).decode()
        colour = "#{:02x}{:02x}{:02x}".format(*dot.colour)
        entries.append({"x": round(float(x), 4), "y": round(float(y), 4), "c": colour, "n": dot.name, "p": picture})
    template = (Path(__file__).parent / "style_map.html").read_text(encoding="utf-8")
    return template.replace("__TITLE__", html.escape(title)).replace("__DOTS__", json.dumps(entries))


def save_map(dots: list[Dot], path, title: str = "Styles") -> Path:
    """Write the map as a .png picture or an interactive .html page.

    Raises:
        InputError: another ending, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in (".png", ".html"):
        raise InputError(f"{target}: ends in {target.suffix or 'nothing'}; expected .png or .html")
    places = place(dots)
    if target.suffix.lower() == ".png":
        return write_atomically(target, lambda temporary: draw_map(dots, places).save(temporary, format="PNG"))
    page = map_page(dots, places, title)
    return write_atomically(target, lambda temporary: Path(temporary).write_text(page, encoding="utf-8"))
