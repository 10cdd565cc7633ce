"""Fill the tables of the model cards from the measured results, so that cards and measurements cannot disagree.

python -m train.fill_cards

`model_cards/results/NAME.json` (written by `aniface evaluate ... -o`) becomes the text between `<!-- NAME -->` and `<!-- end -->` in
each card; `training.json` is a list of {"stage", "minutes", "thousand_pictures"}. The pipeline's card is copied beside the weights.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from aniface.labels import InputError
from aniface.reports import markdown_table

from .common import run_script

CARDS = Path(__file__).parents[1] / "model_cards"
SHIPPED = CARDS.parent / "aniface" / "weights" / "aniface-512" / "README.md"


def training_table(stages: list[dict]) -> str:
    lines = ["| stage | minutes | thousand pictures |", "|---|---|---|"]
    lines += [f"| {s['stage']} | {s['minutes']:.0f} | {s['thousand_pictures']:.1f} |" for s in stages]
    return "\n".join(lines) + "\n"


def filled(card: str) -> str:
    """The card's text with every table made anew."""

    def table(match: re.Match) -> str:
        path = CARDS / "results" / f"{match[1]}.json"
        if not path.exists():
            raise InputError(f"{path}: no such results; measure them first")
        results = json.loads(path.read_text(encoding="utf-8"))
        return f"<!-- {match[1]} -->\n{training_table(results) if match[1] == 'training' else markdown_table(results)}<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", table, card, flags=re.DOTALL)


def main() -> None:
    for card in sorted(CARDS.glob("*.md")):
        card.write_text(filled(card.read_text(encoding="utf-8")), encoding="utf-8")
    SHIPPED.write_bytes((CARDS / "pipeline.md").read_bytes())


if __name__ == "__main__":
    run_script(main)
