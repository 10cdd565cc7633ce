"""What happens when a control of the studio is used: events in, `Handlers` called, components updated."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping, Sequence

import gradio as gr

from ..labels import InputError, mask_to_labelme
from .canvas import decode_mask, encode_mask
from .examples import EXAMPLES
from .friendly import cached_file, friendly, png_bytes
from .handlers import Handlers
from .parts import AUTO, strip_items, thumbnail
from .session import EVERYTHING, Recipe, Reference, Session, check_referred

MODEL = {"concurrency_id": "model", "concurrency_limit": 1}  # one portrait at a time: more would share the same cores
PRIVATE = {"api_visibility": "private"}
SEEDS = 1_000_000
PROGRESS = gr.Progress()  # as a default: Gradio puts one that reports in its place

# Hands a file to the browser's downloads.
DOWNLOAD = """(file) => {
  const link = document.createElement("a");
  link.href = file.src;
  link.download = file.name;
  link.click();
}"""


def wire(studio: gr.Blocks, ui, do: Handlers) -> None:
    """Connect the layout's components (attributes of `ui`, see `studio.py`) with the handlers."""
    controls = [ui.canvas, ui.hair, ui.strength, ui.seed, ui.style_strength]
    after_change = wire_painting(studio, ui, do, controls)
    wire_look(ui, after_change)
    wire_map(ui, do, after_change)
    wire_pictures(ui, do, after_change)
    wire_history(ui, controls, after_change)
    wire_variants(ui, do, controls, after_change)
    wire_animation(ui, do, controls)


def wire_painting(studio, ui, do, controls):
    """Paint on load, on request, and live; returns what other events chain to themselves: `after_change(event)`."""
    screen = [ui.portrait, ui.compare, ui.session, ui.history]

    def show(session: Session, comparing: bool):
        history = strip_items((thumb, title_of(recipe)) for recipe, thumb in session.history)
        if comparing:
            return gr.skip(), before_and_after(session), session, history
        return session.picture, gr.skip(), session, history

    @friendly
    def paint(session: Session, comparing: bool, *values):
        recipe = session.recipe(*values)
        picture = do.paint(recipe)
        session.add(recipe, picture, thumbnail(picture), keep_before=comparing)
        return show(session, comparing)

    @friendly
    def paint_if_live(live: bool, *args):
        return paint(*args) if live else [gr.skip()] * len(screen)

    @friendly
    def compare(session: Session, comparing: bool):
        if session.picture is None:
            return gr.skip(), gr.skip()
        pair = before_and_after(session) if comparing else None
        return gr.Image(session.picture, visible=not comparing), gr.ImageSlider(pair, visible=comparing)

    inputs = [ui.session, ui.comparing, *controls]
    always = {"fn": paint, "inputs": inputs, "outputs": screen, "show_progress": "minimal", **MODEL, **PRIVATE}
    live = always | {"fn": paint_if_live, "inputs": [ui.live, *inputs], "show_progress": "hidden", "trigger_mode": "always_last"}
    studio.load(**always)
    ui.paint.click(**always)
    gr.on([ui.canvas.input, ui.hair.input, ui.strength.release, ui.style_strength.release, ui.seed.input, ui.live.input], **live)
    ui.comparing.input(compare, [ui.session, ui.comparing], [ui.portrait, ui.compare], show_progress="hidden", **PRIVATE)
    return lambda event: event.success(**live)


def picked(items: Sequence, event: gr.EventData):
    """The item that was clicked.

    Raises:
        InputError: there is none such, as after a restart of the server.
    """
    try:
        index = event.index
    except (AttributeError, TypeError):
        index = None
    if type(index) is not int or not 0 <= index < len(items):
        raise InputError("there is nothing at that place any more; reload the page")
    return items[index]


def title_of(recipe: Recipe) -> str:
    return f"style {recipe.seed}, hair {recipe.hair_color}"


def before_and_after(session: Session):
    """The two pictures of the slider: the edited picture, or the last one, or at first the map itself; and the portrait."""
    before = session.base.picture if session.base else session.before
    return decode_mask(session.history[0][0].drawing).to_rgb() if before is None else before, session.picture


def wire_look(ui, after_change) -> None:
    """Swatches and dropdown show one hair colour; the dice draw a style."""
    after_change(ui.swatches.input(None, ui.swatches, ui.hair, js="(colour) => colour", **PRIVATE))
    ui.hair.change(None, ui.hair, ui.swatches, js="(colour) => colour", **PRIVATE)
    after_change(ui.dice.click(lambda: random.randrange(SEEDS), None, ui.seed, **PRIVATE))


def wire_map(ui, do, after_change) -> None:
    """New maps from dice, files and examples end an edit: they have nothing to keep."""
    fresh = [ui.canvas, ui.session, ui.keep]

    def start(drawing: str, session: Session):
        session.base = None
        return drawing, session, False

    @friendly
    def load(path, session):
        return start(do.load_mask(path), session)

    @friendly
    def dice(drawing, session):
        return start(do.random_mask(random.randrange(2**31)), session)

    @friendly
    def vary(drawing, session):
        return start(do.vary_mask(drawing, random.randrange(2**31)), session)

    @friendly
    def finish(drawing, session):
        return start(do.complete_mask(drawing, random.randrange(2**31)), session)

    @friendly
    def example(session, event: gr.EventData):
        chosen = picked(EXAMPLES, event)
        session.references = {}
        return *start(encode_mask(chosen.mask), session), chosen.hair_color, chosen.seed, 1.0, strip_items([])

    after_change(ui.load_mask.upload(load, [ui.load_mask, ui.session], fresh, **PRIVATE))
    for button, draw in ((ui.random, dice), (ui.vary, vary), (ui.finish, finish)):
        after_change(button.click(draw, [ui.canvas, ui.session], fresh, **MODEL, **PRIVATE))
    more = [ui.hair, ui.seed, ui.strength, ui.references]
    after_change(ui.examples.pick(example, ui.session, [*fresh, *more], **PRIVATE))

    def palette_png(drawing):
        return parcel("mask.png", "image/png", png_bytes(decode_mask(drawing).to_image()))

    def labelme_json(drawing):
        return parcel("mask.json", "application/json", json.dumps(mask_to_labelme(decode_mask(drawing))).encode())

    for button, pack in ((ui.save_png, palette_png), (ui.save_json, labelme_json)):
        button.click(friendly(pack), ui.canvas, ui.parcel, **PRIVATE).success(None, ui.parcel, None, js=DOWNLOAD, **PRIVATE)


def parcel(name: str, kind: str, data: bytes) -> dict:
    """A file for `DOWNLOAD`."""
    return {"name": name, "src": f"data:{kind};base64,{base64.b64encode(data).decode()}"}


def wire_pictures(ui, do, after_change) -> None:
    """Uploaded pictures give their style, their map, or are edited."""
    references = [ui.session, ui.references]

    def show(session: Session):
        return session, reference_items(session.references)

    @friendly
    def add(path, region, session):
        session.references = session.references | {check_referred(region): do.load_reference(path)}
        return show(session)

    @friendly
    def remove(session, event: gr.EventData):
        removed = picked(list(session.references), event)
        session.references = {region: reference for region, reference in session.references.items() if region != removed}
        return show(session)

    @friendly
    def segment(session):
        session.base = None
        return do.mask_from_reference(next(iter(session.references.values()), None)), session, False

    @friendly
    def edit(path, session):
        session.base = do.base_from_picture(path)
        session.references = {EVERYTHING: do.reference(session.base.picture)}
        return *show(session), encode_mask(session.base.mask), AUTO, True

    @friendly
    def keep_rest(keep, session):
        session.base = session.last_base() if keep else None
        return session

    after_change(ui.add_reference.upload(add, [ui.add_reference, ui.region, ui.session], references, **MODEL, **PRIVATE))
    after_change(ui.references.pick(remove, ui.session, references, **PRIVATE))
    after_change(ui.segment.click(segment, ui.session, [ui.canvas, ui.session, ui.keep], **MODEL, **PRIVATE))
    after_change(ui.edit.upload(edit, [ui.edit, ui.session], [*references, ui.canvas, ui.hair, ui.keep], **MODEL, **PRIVATE))
    after_change(ui.keep.input(keep_rest, [ui.keep, ui.session], ui.session, **PRIVATE))


def reference_items(references: Mapping[str, Reference]) -> str:
    """The references for their strip."""
    return strip_items((reference.picture, f"style of {region}") for region, reference in references.items())


def set_controls(session: Session, recipe: Recipe):
    """The session and values for the controls that paint the recipe."""
    session.references, session.base = dict(recipe.references), recipe.base
    return session, recipe.drawing, recipe.hair_color, recipe.strength, recipe.seed, recipe.style_strength


def wire_history(ui, controls, after_change) -> None:
    """A click on an old portrait brings back all that it was made from."""

    @friendly
    def restore(session, event: gr.EventData):
        recipe, _ = picked(session.history, event)
        return *set_controls(session, recipe), reference_items(recipe.references), recipe.base is not None

    after_change(ui.history.pick(restore, ui.session, [ui.session, *controls, ui.references, ui.keep], **PRIVATE))


def wire_variants(ui, do, controls, after_change) -> None:
    """The tab paints them when it is opened; a click takes one's style."""

    @friendly
    def paint(session, progress=PROGRESS, *values):
        recipes = do.variants(session.recipe(*values))
        pictures = [do.paint(recipe) for recipe in progress.tqdm(recipes, desc="painting")]
        session.offered = recipes
        return pictures, session

    @friendly
    def choose(session, event: gr.SelectData):
        return *set_controls(session, picked(session.offered, event)), gr.Tabs(selected="portrait")

    ui.variants_tab.select(paint, [ui.session, *controls], [ui.variants, ui.session], **MODEL, **PRIVATE)
    after_change(ui.variants.select(choose, ui.session, [ui.session, *controls, ui.views], **PRIVATE))


def wire_animation(ui, do, controls) -> None:
    """Hair from colour to colour, with progress."""

    @friendly
    def animate(session, colors, progress=PROGRESS, *values):
        def count(frames, total):
            return progress.tqdm(frames, total=total, desc="painting frames")

        return cached_file(ui.animation, "hair.webp", do.animate(session.recipe(*values), colors, count))

    ui.animate.click(animate, [ui.session, ui.colors, *controls], ui.animation, **MODEL, **PRIVATE)
