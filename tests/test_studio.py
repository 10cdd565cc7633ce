"""Painting in the studio, in a real headless Chromium."""

from __future__ import annotations

import json
import re

import numpy as np
from PIL import Image, ImageFilter
from playwright.sync_api import expect

from aniface import Mask
from aniface.hair import measure_hair_color
from aniface.labels import mask_from_labelme
from aniface.ui.edit import FEATHER, REACH
from aniface.ui.examples import EXAMPLES, SIDE, example_pictures
from train.toy_data import draw_mask, draw_picture

from .studio_pages import (
    DRAWN,
    REQUESTS,
    address,
    choose,
    choose_option,
    chromium,
    drag,
    fetch_picture,
    open_studio,
    open_tab,
    page,
    portrait,
    portrait_pixels,
    remembering,
    repainted,
    serve,
    upload,
)
from .test_cli import write_bad_inputs

__all__ = ["address", "chromium", "page"]


def hair_name(page) -> str:
    return measure_hair_color(portrait_pixels(page), DRAWN[-1].ids)[1]


def test_hair_colour_by_dropdown_swatch_and_picker(page):
    assert portrait_pixels(page).shape == (512, 512, 3)
    assert hair_name(page) == EXAMPLES[0].hair_color == page.locator("#hair input").input_value()
    repainted(page, lambda: choose_option(page, "#hair", "blue"))
    assert hair_name(page) == "blue"
    assert page.locator("#swatches [data-colour=blue]").get_attribute("aria-checked") == "true"
    repainted(page, lambda: page.locator("#swatches [data-colour=blonde]").click())
    assert hair_name(page) == "blonde" and page.locator("#hair input").input_value() == "blonde"
    pick = "picker => { picker.value = '#58a058'; picker.dispatchEvent(new Event('change')) }"
    repainted(page, lambda: page.locator("#swatches input[type=color]").evaluate(pick))
    assert hair_name(page) == "green" and page.locator("#hair input").input_value() == "#58a058"


def test_live_can_be_turned_off(page):
    page.locator("#live input").uncheck()
    before, count = portrait(page), len(DRAWN)
    choose(page, "clothes")
    drag(page, (100, 60), (200, 60))
    page.wait_for_timeout(1200)
    assert portrait(page) == before and len(DRAWN) == count
    mask = repainted(page, lambda: page.locator("#paint").click())
    assert mask.ids[60, 150] == 6


def test_another_style(page):
    before = portrait_pixels(page)
    number = page.locator("#seed input").input_value()
    mask = repainted(page, lambda: page.locator("#dice").click())
    assert page.locator("#seed input").input_value() != number
    assert mask == DRAWN[-2] and abs(portrait_pixels(page).astype(float) - before).mean() > 5


def test_references_give_their_style_by_region(page, tmp_path, toy_mask):
    toy_mask.save(tmp_path / "mask.png")
    open_tab(page, "Files")
    assert repainted(page, lambda: upload(page, "#upload", tmp_path / "mask.png")) == toy_mask
    open_tab(page, "Look")
    repainted(page, lambda: choose_option(page, "#hair", "auto"))
    drawn = portrait_pixels(page).astype(float)
    shown = draw_mask(np.random.default_rng(3))  # a face drawn by code whose parts the segmenter tells apart
    picture = draw_picture(shown, np.random.default_rng(3))[0]
    Image.fromarray(picture).save(tmp_path / "picture.png")
    hair, clothes = toy_mask.ids == 5, toy_mask.ids == 6
    hair_colour, clothes_colour = (picture[shown.ids == region].mean(0) for region in (5, 6))
    open_tab(page, "Pictures")
    choose_option(page, "#region", "hair")
    repainted(page, lambda: upload(page, "#reference", tmp_path / "picture.png"))
    one = portrait_pixels(page).astype(float)
    assert abs(one[hair].mean(0) - hair_colour).mean() < 30
    assert abs(one[clothes].mean(0) - drawn[clothes].mean(0)).mean() < 12  # the other regions keep their style
    choose_option(page, "#region", "everything")
    repainted(page, lambda: upload(page, "#reference", tmp_path / "picture.png"))
    both = portrait_pixels(page).astype(float)
    assert abs(both[clothes].mean(0) - clothes_colour).mean() < 40
    expect(page.locator("#references button")).to_have_count(2)
    number = page.locator("#style_strength input[type=number]")
    repainted(page, lambda: (number.fill("0"), number.press("Tab")))
    assert abs(portrait_pixels(page) - drawn).mean() < 1  # no style of theirs is left
    segmented = repainted(page, lambda: page.locator("#segment").click())
    assert (segmented.ids == shown.ids).mean() > 0.9
    page.locator("#references button").first.click()
    expect(page.locator("#references button")).to_have_count(1)


def test_examples_variants_and_history(page):
    first, first_mask = portrait_pixels(page), DRAWN[-1]
    mask = repainted(page, lambda: page.locator("#examples button").nth(3).click())
    assert mask == EXAMPLES[3].mask and page.locator("#seed input").input_value() == str(EXAMPLES[3].seed)
    small = np.asarray(Image.fromarray(portrait_pixels(page)).resize((SIDE, SIDE), Image.Resampling.LANCZOS), float)
    assert abs(small - example_pictures()[3]).mean() < 2  # the thumbnail shows what comes; if not: python docs/make_pictures.py
    open_tab(page, "4 variants")
    expect(page.locator("#variants img")).to_have_count(4, timeout=20_000)
    offered = np.asarray(fetch_picture(page, page.locator("#variants img").nth(2).get_attribute("src")).convert("RGB"))
    repainted(page, lambda: page.locator("#variants button.thumbnail-item").nth(2).click())
    assert np.array_equal(portrait_pixels(page), offered)
    assert page.locator("#seed input").input_value() == str(EXAMPLES[3].seed + 2)
    expect(page.locator("#history button")).to_have_count(3)
    assert repainted(page, lambda: page.locator("#history button").nth(2).click()) == first_mask
    assert np.array_equal(portrait_pixels(page), first)
    expect(page.locator("#history button")).to_have_count(3)


def test_a_random_face(page):
    before = DRAWN[-1]
    assert repainted(page, lambda: page.locator("#random").click()) != before


def test_vary_and_finish(chromium, drawing):
    """With a small untrained denoiser: the buttons are there, and what they draw reaches the painter."""
    studio, url = serve(remembering(drawing))
    page = open_studio(chromium, url)
    assert repainted(page, lambda: page.locator("#vary").click()) != DRAWN[-2]
    repainted(page, lambda: page.locator("#canvas [data-do=clear]").click())
    choose(page, "hair", "ellipse")
    drawn = repainted(page, lambda: drag(page, (150, 60), (350, 300)))
    finished = repainted(page, lambda: page.locator("#finish").click())
    own = drawn.ids == 5
    assert finished != drawn and (finished.ids[own] == 5).all()
    page.context.close()
    studio.close()


def test_before_and_after(page):
    before = portrait_pixels(page)
    repainted(page, lambda: page.locator("#swatches [data-colour=aqua]").click())
    after = portrait_pixels(page)
    page.locator("#comparing input").check()
    pair = page.locator("#compare img")
    expect(pair).to_have_count(2, timeout=10_000)
    shown = [np.asarray(fetch_picture(page, pair.nth(i).get_attribute("src")).convert("RGB")) for i in range(2)]
    assert all(any(np.array_equal(picture, side) for side in shown) for picture in (before, after))
    page.locator("#comparing input").uncheck()
    expect(page.locator("#portrait img")).to_be_visible()
    assert np.array_equal(portrait_pixels(page), after)


def far_from(changed: np.ndarray) -> np.ndarray:
    """Pixels that editing must not touch."""
    reach = 2 * (REACH + 2 * FEATHER) + 1
    return np.asarray(Image.fromarray(changed.astype(np.uint8)).filter(ImageFilter.MaxFilter(reach))) == 0


def test_edit_keeps_every_untouched_pixel(page, tmp_path, toy_picture):
    before, mask = portrait_pixels(page), DRAWN[-1]
    page.locator("#keep input").check()
    choose(page, "hair", size=10)
    edited = repainted(page, lambda: drag(page, (60, 400), (140, 400)))
    changed, after = edited.ids != mask.ids, portrait_pixels(page)
    assert np.array_equal(after[far_from(changed)], before[far_from(changed)])
    assert abs(after[changed].astype(float) - before[changed]).mean() > 10

    Image.fromarray(toy_picture).resize((512, 512)).save(tmp_path / "picture.png")
    open_tab(page, "Pictures")
    upload(page, "#edit", tmp_path / "picture.png")
    picture = np.asarray(Image.open(tmp_path / "picture.png"))
    expect(page.locator("#history button")).to_have_count(3, timeout=15_000)
    assert np.array_equal(portrait_pixels(page), picture)  # nothing is changed yet
    choose(page, "clothes", size=10)
    edited = repainted(page, lambda: drag(page, (20, 30), (60, 30)))
    assert edited.ids[30, 40] == 6
    after = portrait_pixels(page)
    assert np.array_equal(after[100:], picture[100:]) and not np.array_equal(after[20:40, 20:60], picture[20:40, 20:60])


def test_hair_animation(page):
    open_tab(page, "Hair animation")
    page.locator("#colors input").click()
    for key in ("Backspace", "Backspace", "Escape"):  # two colours are left
        page.keyboard.press(key)
    page.locator("#animate").click()
    expect(page.locator("#animation .progress-text, #animation .progress-level").first).to_be_visible(timeout=10_000)
    expect(page.locator("#animation img")).to_be_visible(timeout=60_000)
    animation = fetch_picture(page, page.locator("#animation img").get_attribute("src"))
    assert animation.format == "WEBP" and animation.n_frames == 12


def test_maps_are_saved_and_loaded(page, tmp_path):
    mask = DRAWN[-1]
    open_tab(page, "Files")
    for button, name in (("#save_png", "mask.png"), ("#save_json", "mask.json")):
        with page.expect_download() as download:
            page.locator(button).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    assert Mask.open(tmp_path / "mask.png") == mask
    assert mask_from_labelme(json.loads((tmp_path / "mask.json").read_text())) == mask


def test_hostile_uploads_are_told_and_lose_nothing(page, tmp_path):
    bad = write_bad_inputs(tmp_path)
    before = portrait(page)
    for tab, button, names in (
        ("Files", "#upload", ("text", "empty", "truncated", "huge", "id 9", "unknown label", "zip")),
        ("Pictures", "#reference", ("huge", "svg", "zip", "truncated")),
        ("Pictures", "#edit", ("svg",)),
    ):
        open_tab(page, tab)
        for name in names:
            path, message = bad[name]
            upload(page, button, path)
            toast = page.locator(".toast-body")
            expect(toast).to_contain_text(message, timeout=15_000)
            assert str(path.parent) not in toast.inner_text() and "/tmp" not in toast.inner_text()
            page.locator(".toast-close").click()
            expect(toast).to_have_count(0)
    assert portrait(page) == before
    choose(page, "clothes")
    assert repainted(page, lambda: drag(page, (100, 60), (200, 60))).ids[60, 150] == 6  # and goes on


def test_a_second_tab_and_a_reload_start_afresh(chromium, address, page):
    first = portrait_pixels(page)
    repainted(page, lambda: page.locator("#swatches [data-colour=green]").click())
    other = open_studio(chromium, address)
    assert np.array_equal(portrait_pixels(other), first)
    expect(other.locator("#history button")).to_have_count(1)
    other.context.close()
    page.reload()
    expect(page.locator("#history button")).to_have_count(1, timeout=20_000)
    assert np.array_equal(portrait_pixels(page), first)


def test_nothing_left_the_machine():
    """Runs after the others: the addresses that all their pages asked for."""
    hosts = {re.match(r"\w+://([^/:]+)", url).group(1) for url in REQUESTS if url.startswith(("http", "ws"))}
    assert len(REQUESTS) > 50 and hosts == {"127.0.0.1"}
