"""Hair colours: their names, colour science to measure and compare them, and reading what a user asks for."""

from __future__ import annotations

import re

import numpy as np

from .labels import HAIR, InputError

# sRGB of hair as it is drawn: the flat mean of base colour, shadow and highlight.
HAIR_COLORS = {
    "black": (52, 48, 58),
    "brown": (124, 82, 58),
    "blonde": (236, 208, 128),
    "red": (190, 48, 48),
    "orange": (232, 136, 60),
    "pink": (238, 150, 180),
    "purple": (134, 92, 170),
    "blue": (72, 98, 180),
    "aqua": (122, 202, 214),
    "green": (98, 164, 98),
    "white": (232, 232, 238),
    "grey": (152, 152, 158),
}


def parse_hair_color(color: str) -> tuple[int, int, int]:
    """A name of `HAIR_COLORS` or "#rrggbb" -> sRGB (0..255).

    Raises:
        InputError: neither of the two.
    """
    text = str(color).strip().lower()
    return HAIR_COLORS[text] if text in HAIR_COLORS else parse_hex_color(color, "hair colour", f"{', '.join(HAIR_COLORS)} or #rrggbb")


def parse_hex_color(color: str, what: str = "colour", expected: str = "#rrggbb") -> tuple[int, int, int]:
    """ "#rrggbb" -> sRGB (0..255); raises InputError that says `what` is wrong and what is `expected`."""
    text = str(color).strip().lower()
    if not re.fullmatch(r"#[0-9a-f]{6}", text):
        raise InputError(f"unknown {what} {str(color)[:40]!r}; expected {expected}")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def srgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) sRGB in 0..255 -> CIELAB under D65 (IEC 61966-2-1, CIE 15)."""
    value = np.asarray(rgb, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    xyz = linear @ to_xyz.T / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def ciede2000(lab1: np.ndarray, lab2: np.ndarray) -> np.ndarray:
    """Colour difference of (..., 3) CIELAB colours (Sharma, Wu & Dalal 2005, "The CIEDE2000 Color-Difference Formula")."""
    l1, a1, b1 = np.moveaxis(np.asarray(lab1, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(lab2, np.float64), -1, 0)
    mean_c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 1 + 0.5 * (1 - np.sqrt(mean_c7 / (mean_c7 + 25.0**7)))
    c1, c2 = np.hypot(g * a1, b1), np.hypot(g * a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, g * a1)) % 360, np.degrees(np.arctan2(b2, g * a2)) % 360
    colourless = c1 * c2 == 0
    dh = (h2 - h1 + 180) % 360 - 180
    dh = np.where(colourless, 0, dh)
    mean_h = np.where(abs(h1 - h2) <= 180, (h1 + h2) / 2, (h1 + h2 + np.where(h1 + h2 < 360, 360, -360)) / 2)
    mean_h = np.where(colourless, h1 + h2, mean_h)
    big_dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = 1 - 0.17 * np.cos(np.radians(mean_h - 30)) + 0.24 * np.cos(np.radians(2 * mean_h))
    t += 0.32 * np.cos(np.radians(3 * mean_h + 6)) - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    r_c = 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    r_t = -np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2)))) * r_c
    dl, dc, dh = (l2 - l1) / s_l, (c2 - c1) / s_c, big_dh / s_h
    return np.sqrt(np.maximum(dl**2 + dc**2 + dh**2 + r_t * dc * dh, 0))


def measure_hair_color(picture: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, str] | None:
    """Median CIELAB colour of the hair region and the name of the nearest colour of `HAIR_COLORS`.

    Args:
        picture: (H, W, 3) uint8. ids: (H, W) class ids.

    Returns:
        (CIELAB (3,), name), or None if there is no hair.
    """
    hair = picture[ids == HAIR]
    if not len(hair):
        return None
    lab = np.median(srgb_to_lab(hair), axis=0)
    anchors = srgb_to_lab(np.array(list(HAIR_COLORS.values())))
    return lab, list(HAIR_COLORS)[int(ciede2000(lab, anchors).argmin())]
