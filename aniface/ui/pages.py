"""The studio's other tabs: the seven colours in one picture, the map of styles, and what the model is."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import gradio as gr

from ..labels import LABELS
from ..models.network import BUNDLED_WEIGHTS
from .parts import ASSETS

COLOURS_PICTURE = ASSETS / "colours.png"  # both painted by docs/make_pictures.py
STYLES_PICTURE = ASSETS / "styles.webp"

NOTICE = (
    "aniface paints what the map says, in styles learnt from anime portraits. It draws nobody who exists, knows nothing but faces, and is "
    "for research and non-commercial use."
)

FOR_PROGRAMS = """
### For programs
`/paint`, `/segment` and `/random_mask` take and give plain files; [the API page](?view=api) shows how.
```python
from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860")
mask = client.predict(seed=3, api_name="/random_mask")
portrait = client.predict(mask=handle_file(mask), reference=None, hair_color="pink", strength=1.0, seed=7, api_name="/paint")
```
"""

MEANINGS = {
    "background": "everything that is not the person; the eraser paints it",
    "skin": "neck, ears, shoulders, hands",
    "face": "the face itself, with nose, eyebrows and glasses",
    "eye": "the whole eye: white, iris, lashes",
    "mouth": "lips or the open mouth",
    "hair": "all hair, strands over the face too",
    "clothes": "clothes, and ribbons or bands in the hair",
}


def colours_page() -> None:
    """The seven colours in one picture."""
    data = base64.b64encode(COLOURS_PICTURE.read_bytes()).decode()
    words = "; ".join(f"{name}: {MEANINGS[name]}" for name in LABELS)
    gr.HTML(f'<img id="colours" src="data:image/png;base64,{data}" alt="The seven colours. {words}">')


def styles_page() -> None:
    """The map of hair styles."""
    data = base64.b64encode(STYLES_PICTURE.read_bytes()).decode()
    gr.Markdown(
        "Two hundred random styles, each shown as one map painted in it. Styles whose hair codes are alike lie side by side (t-SNE); the "
        "border is the colour of the hair. `aniface style-map` draws such a map of your own portraits."
    )
    gr.HTML(f'<img id="styles" src="data:image/webp;base64,{data}" alt="Painted portraits, those with like hair side by side">')


def about_page(pipe) -> None:
    """The notice, the way in for programs, and the model's card."""
    gr.Markdown(NOTICE)
    gr.Markdown(FOR_PROGRAMS)
    gr.Markdown(card_text(pipe), elem_id="card")


def card_text(pipe) -> str:
    """The card that lies beside the pipeline's weights, without its header for machines."""
    folder = Path(str(pipe.config.get("_name_or_path") or BUNDLED_WEIGHTS))
    card = folder / "README.md"
    if not card.is_file():
        return "This model has no card."
    return re.sub(r"\A---\n.*?\n---\n", "", card.read_text(encoding="utf-8"), flags=re.DOTALL)
