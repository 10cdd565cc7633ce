"""Drawing in a real headless Chromium: what the pointer does is what the painter gets."""

from __future__ import annotations

import time

import numpy as np
import pytest

from aniface import InputError, Mask
from aniface.labels import PALETTE
from aniface.ui.canvas import decode_mask, encode_mask

from .studio_pages import DRAWN, address, choose, chromium, drag, open_studio, page, places, portrait, repainted, wait_for_repaint

__all__ = ["address", "chromium", "page"]


def drawn_box(act, page, label: int):
    """Do `act`; the corners (top, left), (bottom, right) of what became `label`, and nothing else may have changed."""
    before = DRAWN[-1].ids
    ids = repainted(page, act).ids
    assert (ids[ids != before] == label).all()
    changed = np.argwhere(ids != before)
    return changed.min(0), changed.max(0)


@pytest.mark.parametrize("ratio", [1, 1.5, 2])
def test_a_stroke_arrives_exactly_zoomed_or_not(chromium, address, ratio):
    page = open_studio(chromium, address, device_scale_factor=ratio)
    choose(page, "clothes", size=5)
    low, high = drawn_box(lambda: drag(page, (100, 20), (400, 20)), page, 6)
    assert abs(low - (15, 95)).max() <= 1 and abs(high - (25, 405)).max() <= 1
    for _ in range(3):
        page.locator("#canvas [data-do=closer]").click()
    box, sheet = page.locator("#canvas canvas").bounding_box(), page.locator("#canvas .sheet").bounding_box()
    assert box["width"] / sheet["width"] == pytest.approx(1.5**3, rel=0.02)
    low, high = drawn_box(lambda: drag(page, (215, 280), (290, 280)), page, 6)
    assert abs(low - (275, 210)).max() <= 1 and abs(high - (285, 295)).max() <= 1
    page.context.close()


def test_stroke_to_picture_time(page):
    choose(page, "clothes", size=6)
    times = []
    for number in range(20):
        before = portrait(page)
        started = time.perf_counter()
        drag(page, (40 + 60 * (number % 2), 30 + 12 * (number // 2)), (70 + 60 * (number % 2), 30 + 12 * (number // 2)))
        wait_for_repaint(page, before)
        times.append(time.perf_counter() - started)
    print(f"stroke to picture, with drawing the stroke: median {np.median(times):.2f} s, longest {max(times):.2f} s")
    assert np.median(times) < 3  # 1 s is promised for two free cores; the suite may share them


def test_every_tool_changes_the_mask(page):
    start = DRAWN[-1]
    choose(page, "background", "fill")
    filled = repainted(page, lambda: drag(page, (256, 500)))
    assert (filled.ids == 0).sum() > (start.ids == 0).sum() + 1000
    choose(page, "eye", "ellipse")
    ellipse = repainted(page, lambda: drag(page, (20, 20), (80, 60))).ids
    assert ellipse[40, 50] == 3 and ellipse[22, 22] == 0
    assert abs((ellipse[:70, :90] == 3).sum() - np.pi * 30 * 20) < 150
    choose(page, "mouth", "line", size=2)
    line = repainted(page, lambda: drag(page, (10, 400), (60, 300), (90, 480))).ids
    assert line[440, 50] == 4 and line[300, 60] != 4  # straight from the first point to the last
    page.locator("#canvas [data-do=mirror]").click()
    choose(page, "clothes", size=4)
    mirrored = repainted(page, lambda: drag(page, (30, 200), (30, 240))).ids
    assert mirrored[220, 30] == 6 and mirrored[220, 511 - 30] == 6
    page.locator("#canvas [data-tool=eraser]").click()
    erased = repainted(page, lambda: drag(page, (20, 220), (40, 220))).ids
    assert erased[220, 30] == 0 and erased[220, 511 - 30] == 0
    page.keyboard.down("Alt")
    drag(page, (50, 40))
    page.keyboard.up("Alt")
    assert page.locator("#canvas [data-label=eye]").get_attribute("aria-checked") == "true"
    cleared = repainted(page, lambda: page.locator("#canvas [data-do=clear]").click())
    assert not cleared.ids.any()


def test_keyboard_shortcuts(page):
    pressed = {
        "3": "[data-label=face]",
        "x": "[data-tool=eraser]",
        "f": "[data-tool=fill]",
        "l": "[data-tool=line]",
        "e": "[data-tool=ellipse]",
    }
    for key, button in (pressed | {"b": "[data-tool=brush]"}).items():
        page.keyboard.press(key)
        assert page.locator(f"#canvas {button}").get_attribute("aria-checked") == "true", key
    page.keyboard.press("+")
    assert page.locator("#canvas [data-do=farther]").is_enabled()
    page.keyboard.press("-")
    assert page.locator("#canvas [data-do=farther]").is_disabled()
    page.keyboard.press("m")
    assert page.locator("#canvas [data-do=mirror]").get_attribute("aria-pressed") == "true"


def test_undo_and_redo_give_the_same_masks(page):
    choose(page, "clothes", size=8)
    seen = [DRAWN[-1]]
    for number in range(5):
        seen.append(repainted(page, lambda number=number: drag(page, (20 + 30 * number, 20), (20 + 30 * number, 60))))
    assert len({mask.ids.tobytes() for mask in seen}) == 6
    for mask in reversed(seen[:-1]):
        assert repainted(page, lambda: page.keyboard.press("Control+z")) == mask
    for mask in seen[1:]:
        assert repainted(page, lambda: page.keyboard.press("Control+Shift+Z")) == mask


def test_touch_draws_with_one_finger_and_zooms_with_two(chromium, address):
    page = open_studio(chromium, address, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page.locator("#canvas [data-label=clothes]").tap()
    tapped = repainted(page, lambda: page.touchscreen.tap(*places(page, (60, 60))[0]))
    assert tapped.ids[60, 60] == 6
    fingers = page.context.new_cdp_session(page)
    count = len(DRAWN)

    middle = page.locator("#canvas .sheet").bounding_box()["width"]
    start, apart = places(page, (200, 256), (312, 256)), places(page, (100, 256), (412, 256))
    for kind, points in (("touchStart", start[:1]), ("touchStart", start), ("touchMove", apart), ("touchEnd", [])):
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    page.wait_for_timeout(700)
    assert page.locator("#canvas canvas").bounding_box()["width"] > 2 * middle
    assert len(DRAWN) == count  # the first finger's dot was taken back
    page.context.close()


def test_the_canvas_text_form(toy_mask):
    assert decode_mask(encode_mask(toy_mask)) == toy_mask
    flat = Mask(np.full((512, 512), 3))
    assert decode_mask(encode_mask(flat)) == flat
    for wrong in (None, "", "####", "AAAA", encode_mask(flat)[:-4], "CQAA" * 5):
        with pytest.raises(InputError, match="reload the page"):
            decode_mask(wrong)


def test_the_legend_has_the_palettes_colours(page):
    colours = page.locator("#canvas [data-label] i").evaluate_all("all => all.map(i => getComputedStyle(i).backgroundColor)")
    assert colours == ["rgb({}, {}, {})".format(*c) for c in PALETTE.tolist()]
