"""A thousand portraits in one process: does memory grow, do later ones take longer?

python -m benchmarks.long_run [--paints 1000] [-o long_run.json]

Masks, styles and hair colours change from one to the next. Growth is counted from the end of a warm-up; the drift is the median time of the
last tenth over that of the first.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import statistics
import time
from itertools import cycle
from pathlib import Path

from aniface import AnifacePipeline
from aniface.start_masks import start_masks

WARM_UP = 20


def resident_megabytes() -> float:
    """Memory of this process, after what is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(pipe, paints: int) -> dict:
    """Paint, and tell how memory and time went."""
    colours, masks = cycle([None, *pipe.hair_colors]), cycle(start_masks().values())
    times: list[float] = []
    start = 0.0
    for number in range(-WARM_UP, paints):
        if number == 0:
            start, times = resident_megabytes(), []
        started = time.perf_counter()
        pipe(next(masks), seed=number + WARM_UP, hair_color=next(colours))
        times.append(1000 * (time.perf_counter() - started))
    tenth = max(1, paints // 10)
    first, last = (statistics.median(part) for part in (times[:tenth], times[-tenth:]))
    return {
        "paints": paints,
        "start_mb": round(start, 1),
        "grown_mb": round(resident_megabytes() - start, 1),
        "first_ms": round(first, 1),
        "last_ms": round(last, 1),
        "drift": round(last / first, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", help="JSON file to write")
    parser.add_argument("--paints", type=int, default=1000)
    args = parser.parse_args()
    report = json.dumps({"what": "long run"} | measure(AnifacePipeline.from_pretrained(), args.paints), indent=1)
    if args.output:
        Path(args.output).write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
