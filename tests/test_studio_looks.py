"""How the studio looks: screenshots to look at, one screen, readable texts, a name for every control."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from aniface.ui.pages import MEANINGS

from .studio_pages import address, chromium, open_studio, open_tab, page

__all__ = ["address", "chromium", "page"]

LOOKS = Path(__file__).parents[1] / "test-output"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}

# Every visible text: [contrast to the flat colour behind it (WCAG 2.2), text]. What is disabled is exempt, as there.
CONTRASTS = """() => {
  const parse = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
  const over = (top, rgb) => rgb.map((v, i) => top.rgb[i] * top.a + v * (1 - top.a));
  const behind = (node) => {
    const layers = [];
    for (let n = node; n; n = n.parentElement) layers.push(parse(getComputedStyle(n).backgroundColor));
    return layers.reverse().reduce((rgb, layer) => over(layer, rgb), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
    const seen = node.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    if (!seen || !own.length || node.closest("button:disabled, script, style")) continue;
    const back = behind(node), text = over(parse(getComputedStyle(node).color), back);
    const [a, b] = [light(back), light(text)].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), own[0].textContent.trim().slice(0, 40)]);
  }
  return found;
}"""

NAMELESS = """() => [...document.querySelectorAll("button, input, select, textarea")]
  .filter((n) => n.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((n) => !(n.innerText?.trim() || n.title || n.ariaLabel || n.labels?.length || n.querySelector?.("img[alt]")))
  .map((n) => n.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize(
    ("name", "context"), [("wide", {}), ("phone", PHONE), ("dark", {"color_scheme": "dark"})], ids=["wide", "phone", "dark"]
)
def test_screens(chromium, address, name, context):
    page = open_studio(chromium, address, **context)
    LOOKS.mkdir(exist_ok=True)
    page.wait_for_timeout(500)
    page.screenshot(path=LOOKS / f"studio-{name}.png", full_page=name == "phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing hangs out sideways
    if name != "phone":  # everything is on one screen
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        map_box, picture = (page.locator(part).bounding_box() for part in ("#canvas .sheet", "#portrait img"))
        assert min(map_box["width"], picture["width"]) >= 400
    contrasts = page.evaluate(CONTRASTS)
    for tab in ("Pictures", "Files", "About"):
        open_tab(page, tab)
        page.wait_for_timeout(200)
        assert not page.evaluate(NAMELESS)
        contrasts += page.evaluate(CONTRASTS)
    assert len(contrasts) > 60
    assert not [(round(contrast, 2), text) for contrast, text in contrasts if contrast < 4.5]
    page.context.close()


def test_the_other_tabs(page, address):
    assert page.locator("#notice").inner_text().startswith("aniface paints what the map says")
    open_tab(page, "The seven colours")
    picture = page.locator("#colours")
    expect(picture).to_be_visible()
    assert all(f"{name}: {meaning}" in picture.get_attribute("alt") for name, meaning in MEANINGS.items())
    page.screenshot(path=LOOKS / "studio-colours.png")
    open_tab(page, "Styles")
    expect(page.locator("#styles")).to_be_visible()
    assert page.locator("#styles").evaluate("image => image.naturalWidth") == 1200
    open_tab(page, "About")
    expect(page.locator("#card h1").first).to_be_visible()
    assert "library_name" not in page.locator("#card").inner_text()
    page.get_by_role("link", name="the API page").click()
    expect(page.get_by_text("/random_mask").first).to_be_visible(timeout=10_000)
