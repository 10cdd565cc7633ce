"""What a picture costs: the parts of the pipeline, and the painter against GauGAN as published, in one run.

python -m benchmarks.latency [-o latency.json]

All networks work at batch 1 on 512x512 pictures, in fp32 where nothing else is said; whole calls as the pipeline comes, which is in bf16
on CPUs that compute in it. The `gaugan` painter is untrained: weights do not change what it costs.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
from pathlib import Path

import torch

from aniface import AnifacePipeline, FacePainter
from aniface.evaluation import time_calls
from aniface.models.painter import CONFIGURATIONS
from aniface.pipeline import lay_out_weights
from aniface.processing import to_pil
from aniface.start_masks import start_masks


def milliseconds(call, runs: int) -> dict[str, float]:
    """Median, least and greatest time of `call()`, after one warm-up."""
    times = time_calls(call, runs)
    return {"median": statistics.median(times), "min": min(times), "max": max(times)}


@torch.inference_mode()
def measure(threads: int, runs: int, gaugan_runs: int) -> dict:
    torch.set_num_threads(threads)
    pipe = AnifacePipeline.from_pretrained()
    mask = start_masks()["bob"]
    picture = pipe(mask).images[0]
    layout = pipe.layout_of(mask)
    style, seen = pipe.choose_style(layout), pipe.encode_reference(picture)
    gaugan = FacePainter(**CONFIGURATIONS["gaugan"]).eval()
    lay_out_weights(gaugan)

    def paint(bf16: bool):
        pipe.bf16 = bf16
        pipe.paint_style(layout, style)
        pipe.bf16 = None

    parts = {
        "painter": milliseconds(lambda: paint(False), runs),
        "painter, bf16": milliseconds(lambda: paint(True), runs),
        "gaugan painter": milliseconds(lambda: gaugan(layout, style.codes, style.colours, torch.ones(1, 5, 1)), gaugan_runs),
        "segmenter": milliseconds(lambda: pipe.segment(picture), runs),
        "style of a reference": milliseconds(lambda: pipe.see_style(picture), runs),
        "picture to PIL": milliseconds(lambda: to_pil(pipe.paint_style(layout, style)), runs),
        "whole call": milliseconds(lambda: pipe(mask), runs),
        "whole call, its own mask's reference": milliseconds(lambda: pipe(mask, reference=seen), runs),
        "whole call, hair pink": milliseconds(lambda: pipe(mask, hair_color="pink"), runs),
    }
    least = min(parts["painter"]["median"], parts["painter, bf16"]["median"])
    return parts | {
        "gaugan : painter": parts["gaugan painter"]["median"] / parts["painter"]["median"],
        "gaugan : fastest painter": parts["gaugan painter"]["median"] / least,
    }


def table(report: dict) -> str:
    columns = list(report["threads"])
    lines = ["| median ms | " + " | ".join(f"{c} thread{'s' * (c != '1')}" for c in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for part in report["threads"][columns[0]]:
        values = [report["threads"][c][part] for c in columns]
        cells = [f"{v['median']:.0f}" if isinstance(v, dict) else f"{v:.0f} x" for v in values]
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Peak memory of this process: {report['peak_mb']:.0f} MB."]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", help="JSON file to write")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--gaugan_runs", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    args = parser.parse_args()
    report = {"what": "latency", "machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    report["threads"] = {str(count): measure(count, args.runs, args.gaugan_runs) for count in args.threads}
    report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if args.output:
        Path(args.output).write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
