"""A studio on a real server and pages of a real headless Chromium, for the tests of the studio."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from aniface import Mask
from aniface.ui.studio import build_studio, launch_studio

from .browser import FLAGS, find_chromium

WIDE = {"viewport": {"width": 1280, "height": 800}}
DRAWN: list[Mask] = []  # every mask that reached the painter
REQUESTS: list[str] = []  # every address that any page asked for


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def remembering(pipe):
    """The pipeline, but it remembers the masks it was given."""

    class Remembering(type(pipe)):
        def __call__(self, mask, **kwargs):
            DRAWN.append(Mask.of(mask))
            return super().__call__(mask, **kwargs)

    return Remembering(**pipe.components)


def serve(pipe):
    """(studio, address) of a server that runs."""
    studio = build_studio(pipe)
    _, url, _ = launch_studio(studio, host="127.0.0.1", port=free_port(), prevent_thread_lock=True, quiet=True)
    return studio, url


@pytest.fixture(scope="module")
def address(bundled):
    studio, url = serve(remembering(bundled))
    yield url
    studio.close()


@pytest.fixture(scope="module")
def chromium():
    path = find_chromium()
    assert path, "no Chromium found; install one, or name it in CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def open_studio(chromium, address, **context) -> Page:
    page = chromium.new_context(**(WIDE | context)).new_page()
    page.set_default_timeout(10_000)
    page.on("request", lambda request: REQUESTS.append(request.url))
    page.goto(address)
    expect(page.locator("#portrait img")).to_be_visible(timeout=30_000)
    return page


@pytest.fixture()
def page(chromium, address):
    page = open_studio(chromium, address)
    yield page
    page.context.close()


def portrait(page: Page) -> str:
    return page.locator("#portrait img").get_attribute("src")


def fetch_picture(page: Page, address: str) -> Image.Image:
    return Image.open(io.BytesIO(page.request.get(address).body()))


def portrait_pixels(page: Page) -> np.ndarray:
    return np.asarray(fetch_picture(page, portrait(page)).convert("RGB"))


def wait_for_repaint(page: Page, before: str) -> None:
    page.wait_for_function("before => document.querySelector('#portrait img')?.src !== before", arg=before, timeout=20_000)


def places(page: Page, *points: tuple[float, float]) -> list[tuple[float, float]]:
    """Where pixels of the mask are on the page."""
    box = page.locator("#canvas canvas").bounding_box()
    return [(box["x"] + (x + 0.5) / 512 * box["width"], box["y"] + (y + 0.5) / 512 * box["height"]) for x, y in points]


def drag(page: Page, *points: tuple[float, float]) -> None:
    """Press at the first point, move through the others, release; points in mask pixels."""
    first, *others = places(page, *points)
    page.mouse.move(*first)
    page.mouse.down()
    for place in others:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def upload(page: Page, button: str, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(button).click()
    chooser.value.set_files(path)


def choose(page: Page, label: str, tool: str = "brush", size: int = 12) -> None:
    page.locator(f"#canvas [data-label={label}]").click()
    page.locator(f"#canvas [data-tool={tool}]").click()
    page.locator("#canvas .size input").evaluate("(slider, size) => { slider.value = size }", size)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def choose_option(page: Page, dropdown: str, option: str) -> None:
    page.locator(f"{dropdown} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def repainted(page: Page, act) -> Mask:
    """Do something that repaints; the mask the painter then got."""
    before, count = portrait(page), len(DRAWN)
    act()
    wait_for_repaint(page, before)
    assert len(DRAWN) > count
    return DRAWN[-1]
