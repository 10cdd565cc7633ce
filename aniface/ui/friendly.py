"""A user's mistake becomes a toast, and results become files that Gradio cleans up."""

from __future__ import annotations

import functools
import io

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from PIL import Image

from ..labels import InputError


def friendly(function):
    """Turn a user's mistake into a toast (for programs: an error of one line)."""

    @functools.wraps(function)
    def call(*args):
        try:
            return function(*args)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return call


def cached_file(component: gr.components.Component, name: str, data: bytes) -> str:
    """The data as a file in the component's cache, which `delete_cache` empties."""
    path = save_bytes_to_cache(data, name, component.GRADIO_CACHE)
    component.temp_files.add(path)
    return path


def png_bytes(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
