"""Fill the model cards from the measured results and the shipped weights, so that cards and measurements cannot disagree.

python -m train.fill_cards

What stands between `<!-- NAME ... -->` and `<!-- end -->` in a card is made anew:

- `NAME`: the table of `model_cards/results/NAME.json`, as `aniface evaluate ... -o` writes it, or the text of
  `model_cards/parts/NAME.md`, which several cards share;
- `training PATTERN`: the rows of `training.json`, a list of {"stage", "minutes", "thousand_pictures"}, whose stage starts with the pattern;
- `facts NAME`: class, size and settings of the component of that name in the shipped pipeline.

In a card's header, what stands between `# model-index NAME` and `# end` becomes the scores of `NAME.json` as the hub reads them. The
pipeline's card is copied beside the weights, and the checksums of all that lies there go into SHA256SUMS, as `sha256sum -c` reads them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path

from huggingface_hub import EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index
from huggingface_hub.utils import yaml_dump
from safetensors.numpy import load_file

from aniface.labels import InputError, write_atomically
from aniface.models.network import BUNDLED_WEIGHTS
from aniface.reports import markdown_table

from .common import run_script

CARDS = Path(__file__).parents[1] / "model_cards"
MEASURED = ("segmenter", "segmenters", "divisions", "painter", "rivals", "losses", "style", "masks", "latency")
SHIPPED = BUNDLED_WEIGHTS / "README.md"
SUMS = BUNDLED_WEIGHTS / "SHA256SUMS"


def read_results(name: str):
    path = CARDS / "results" / f"{name}.json"
    if not path.exists():
        raise InputError(f"{path}: no such results; measure them first")
    return json.loads(path.read_text(encoding="utf-8"))


def training_table(stages: list[dict]) -> str:
    lines = ["| stage | minutes | thousand pictures |", "|---|---|---|"]
    lines += [f"| {s['stage']} | {s['minutes']:.0f} | {s['thousand_pictures']:.1f} |" for s in stages]
    return "\n".join(lines) + "\n"


def facts_table(component: str) -> str:
    """Class, number of weights, size of the file and settings of a shipped component."""
    config = json.loads((BUNDLED_WEIGHTS / component / "config.json").read_text(encoding="utf-8"))
    file = BUNDLED_WEIGHTS / component / "diffusion_pytorch_model.safetensors"
    buffers = ("running_mean", "running_var", "num_batches_tracked", "prior_root", "prior_quantiles")
    count = sum(weights.size for name, weights in load_file(file).items() if not name.endswith(buffers))
    settings = ", ".join(f"`{key}` {value}" for key, value in sorted(config.items()) if not key.startswith("_"))
    rows = [("class", f"`aniface.{config['_class_name']}`"), ("parameters", f"{count:,}")]
    rows += [("file", f"{file.stat().st_size / 1000:,.1f} kB (safetensors, fp16)"), ("settings", settings)]
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)


def block(words: str) -> str:
    """The text for a marker's words."""
    name, _, rest = words.partition(" ")
    if name == "facts":
        return facts_table(rest)
    if name == "training":
        return training_table([stage for stage in read_results(name) if re.match(rest, stage["stage"])])
    part = CARDS / "parts" / f"{name}.md"
    if part.exists():
        return part.read_text(encoding="utf-8")
    if name in MEASURED and not (CARDS / "results" / f"{name}.json").exists():
        return "Not measured yet.\n"
    try:
        return markdown_table(read_results(name))
    except KeyError as error:
        raise InputError(f"results/{name}.json has no {error}: an older aniface measured it; run aniface evaluate {name} again") from None


def model_index(name: str) -> str:
    """The scores of a report as YAML of the hub's model-index."""
    report = read_results(name)
    scores = report["scores"] if name == "painter" else {"predicted mask": report["scores"]}
    task = ("image-to-image", "Semantic image synthesis") if name == "painter" else ("image-segmentation", "Face parsing")
    results = [
        EvalResult(
            task_type=task[0],
            task_name=task[1],
            dataset_type="held-out",
            dataset_name=f"{report['pictures']} annotated portraits",
            metric_type="mean_iou",
            metric_name=f"mIoU, {protocol.replace('_', ' ')}",
            metric_value=round(row["miou"], 4),
        )
        for protocol, row in scores.items()
        if protocol != "real"
    ]
    return yaml_dump({"model-index": eval_results_to_model_index("aniface-512", results)})


def filled(card: str) -> str:
    """The card's text with every marked part made anew."""
    card = re.sub(
        r"^# model-index (\w+)\n.*?^# end$",
        lambda match: f"# model-index {match[1]}\n{model_index(match[1])}# end",
        card,
        flags=re.DOTALL | re.MULTILINE,
    )
    pattern = r"<!-- (?!end)([^\n]+?) -->\n.*?<!-- end -->"
    return re.sub(pattern, lambda match: f"<!-- {match[1]} -->\n{block(match[1])}<!-- end -->", card, flags=re.DOTALL)


def checksums() -> str:
    """The lines of SHA256SUMS: one for each file of the shipped pipeline."""
    files = sorted(path for path in BUNDLED_WEIGHTS.rglob("*") if path.is_file() and path != SUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(BUNDLED_WEIGHTS).as_posix()}\n" for path in files)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for card in sorted(CARDS.glob("*.md")):
        text = filled(card.read_text(encoding="utf-8"))
        write_atomically(card, lambda temporary, text=text: Path(temporary).write_text(text, encoding="utf-8"))
    SHIPPED.write_bytes((CARDS / "pipeline.md").read_bytes())
    SUMS.write_text(checksums(), encoding="utf-8")


if __name__ == "__main__":
    run_script(main)
