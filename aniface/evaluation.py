"""What the model card's tables say: measures of a pipeline on annotated pictures, as plain dictionaries."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from .folders import Item, load_item
from .hair import ciede2000, measure_hair_color, parse_hair_color, srgb_to_lab
from .labels import HAIR, Mask
from .metrics import confusion, segmentation_scores

SIZE = 512


def median_milliseconds(call, runs: int = 9) -> float:
    """Median time of `call()` after one warm-up."""
    call()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def evaluate_segmenter(pipe, items: list[Item]) -> dict:
    """IoU a class, mIoU, pixel accuracy and speed of the segmenter on pictures with true masks, at 512 px."""
    counts = 0
    for item in items:
        picture, truth = load_item(item, SIZE)
        counts = counts + confusion(truth, pipe.segment(picture).ids)
    return {
        "what": "segmenter",
        "pictures": len(items),
        "resolution": SIZE,
        "scores": segmentation_scores(counts),
        "milliseconds": median_milliseconds(lambda: pipe.segment(picture)),
        "threads": torch.get_num_threads(),
    }


def evaluate_painter(pipe, items: list[Item], colour: str = "pink") -> dict:
    """How well painted pictures follow their masks, judged by the pipeline's own segmenter, and their hair the asked colour.

    Protocols, never to be mixed: "no_reference" (SPADE, Park et al. 2019, section 4: a random style), "own_reference" (the true
    picture gives the style), "real" (the segmenter on the true picture: its own agreement with the masks, for comparison).
    """
    totals = {"real": 0, "no_reference": 0, "own_reference": 0}
    differences, named = [], 0
    asked = srgb_to_lab(np.array(parse_hair_color(colour)))
    for number, item in enumerate(items):
        picture, truth = load_item(item, SIZE)
        mask = Mask(truth)
        free = np.asarray(pipe(mask, seed=number).images[0])
        styled = np.asarray(pipe(mask, reference=picture, seed=number).images[0])
        for name, seen in (("real", picture), ("no_reference", free), ("own_reference", styled)):
            totals[name] = totals[name] + confusion(truth, pipe.segment(seen).ids)
        if (truth == HAIR).any():
            coloured = np.asarray(pipe(mask, hair_color=colour, seed=number).images[0])
            lab, name = measure_hair_color(coloured, truth)
            differences.append(float(ciede2000(lab, asked)))
            named += name == colour
    return {
        "what": "painter",
        "pictures": len(items),
        "resolution": SIZE,
        "judge": "the pipeline's own segmenter",
        "scores": {name: segmentation_scores(counts) for name, counts in totals.items()},
        "hair": {"asked": colour, "named_so": named / len(differences), "median_ciede2000": statistics.median(differences)},
        "milliseconds": median_milliseconds(lambda: pipe(mask)),
        "threads": torch.get_num_threads(),
    }


def markdown_table(report: dict) -> str:
    """The scores of a report as a Markdown table, one row a protocol."""
    scores = report["scores"] if report["what"] == "painter" else {"segmenter": report["scores"]}
    columns = list(next(iter(scores.values())))
    lines = [f"| {report['pictures']} pictures, {report['resolution']} px | " + " | ".join(columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, row in scores.items():
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(f"{row[column]:.3f}" for column in columns) + " |")
    if "hair" in report:
        hair = report["hair"]
        lines += [
            "",
            f"Hair asked to be {hair['asked']}: named so in {hair['named_so']:.0%}, median CIEDE2000 {hair['median_ciede2000']:.1f}.",
        ]
    lines += ["", f"Median time: {report['milliseconds']:.0f} ms on {report['threads']} threads."]
    return "\n".join(lines) + "\n"
