"""What a picture costs: the parts of the pipeline, and the painter against GauGAN as published, in one run.

python -m benchmarks.latency [-o model_cards/results/latency.json]

All networks work at batch 1 on 512x512 pictures, in fp32 where nothing else is said; whole calls as the pipeline comes, which is in bf16
on CPUs that compute in it. The `gaugan` painter is untrained: weights do not change what it costs.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from aniface import AnifacePipeline, FacePainter
from aniface.evaluation import time_calls
from aniface.models.painter import CONFIGURATIONS
from aniface.pipeline import lay_out_weights
from aniface.processing import to_pil
from aniface.reports import markdown_table, write_report
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


def peak_of_paint() -> float:
    """Peak memory, in MB, of a whole `aniface paint` process."""
    with tempfile.TemporaryDirectory() as folder:
        start_masks()["bob"].save(Path(folder, "mask.png"))
        command = [sys.executable, "-m", "aniface", "paint", f"{folder}/mask.png", "-o", f"{folder}/out.png"]
        subprocess.run(command, check=True, capture_output=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", help="JSON file to write")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--gaugan_runs", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    args = parser.parse_args()
    report = {"what": "latency", "machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    report["paint_peak_mb"] = peak_of_paint()
    report["threads"] = {str(count): measure(count, args.runs, args.gaugan_runs) for count in args.threads}
    if args.output:
        write_report(report, Path(args.output))
    print(markdown_table(report))


if __name__ == "__main__":
    main()
