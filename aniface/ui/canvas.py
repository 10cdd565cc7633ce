"""The drawing canvas: a `gr.HTML` with plain JavaScript that holds exact class ids, and the text form masks travel in.

Masks travel as base64 of runs, not as pictures: no colour is ever mixed or guessed, and browsers that disturb what a page reads
from a canvas do no harm.
"""

from __future__ import annotations

import base64
import binascii
import json

import gradio as gr
import numpy as np

from ..labels import HEX_PALETTE, LABELS, NUM_LABELS, InputError, Mask
from .parts import own_part

SIZE = 512
RUN = np.dtype([("id", "u1"), ("length", "<u2")])


def encode_mask(mask: Mask) -> str:
    """A mask, scaled to the canvas, as base64 of runs in reading order: 1 byte id, 2 bytes length (little endian)."""
    ids = mask.fit(SIZE).ids.ravel()
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    runs = []
    for start, length in zip(starts, np.diff(np.append(starts, ids.size)), strict=True):
        while length:
            runs.append((ids[start], min(length, 65535)))
            length -= runs[-1][1]
    return base64.b64encode(np.array(runs, RUN).tobytes()).decode()


def decode_mask(text: str | None) -> Mask:
    """The mask that the canvas sent.

    Raises:
        InputError: not what the canvas sends.
    """
    try:
        runs = np.frombuffer(base64.b64decode(text or "", validate=True), RUN)
    except (binascii.Error, ValueError, TypeError):
        raise InputError("the drawing cannot be read; reload the page") from None
    if len(runs) == 0 or runs["length"].sum(dtype=np.int64) != SIZE * SIZE or runs["id"].max() >= NUM_LABELS:
        raise InputError("the drawing is incomplete; reload the page")
    return Mask(np.repeat(runs["id"], runs["length"]).reshape(SIZE, SIZE))


def mask_canvas(mask: Mask, **kwargs) -> gr.HTML:
    """The canvas as a Gradio component: its value is `encode_mask`'s text; `.input` fires after each stroke, fill, undo or clear."""
    labels = [{"name": name, "colour": colour} for name, colour in zip(LABELS, HEX_PALETTE, strict=True)]
    return own_part("canvas", encode_mask(mask), {"LABELS": json.dumps(labels), "SIZE": str(SIZE)}, **kwargs)
