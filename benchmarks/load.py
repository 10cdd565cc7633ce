"""Many people at one studio: how long a stroke takes to become a portrait, what fails, and whether the server grows.

python -m benchmarks.load [--users 50] [--seconds 120] [--think 10] [-o load.json]

Starts a studio of its own in a second process. Each user draws strokes as a browser sends them, waits for the portrait, fetches it, and
thinks for a random time of `--think` seconds in the mean before the next one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np

from aniface import Mask
from aniface.start_masks import start_masks
from aniface.ui.canvas import encode_mask


def start_server() -> tuple[subprocess.Popen, str]:
    """A studio in a process of its own, and its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "aniface", "app", "--port", str(port)], stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(address).raise_for_status()
            return server, address
        except httpx.TransportError:
            if server.poll() is not None:
                raise SystemExit("the studio did not start") from None
            time.sleep(0.2)


def resident_megabytes(process: int) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def drawing(rng: random.Random) -> str:
    """A start mask with a stroke of its own."""
    ids = rng.choice(list(start_masks().values())).ids.copy()
    row, column = rng.randrange(480), rng.randrange(480)
    ids[row : row + 24, column : column + 24] = rng.randrange(7)
    return encode_mask(Mask(ids))


def paint_once(http: httpx.Client, function: int, session: str, rng: random.Random) -> None:
    """One stroke: ask for a live repaint, wait for it, fetch the picture; raises what goes wrong."""
    data = [True, None, False, drawing(rng), "auto", 1.0, rng.randrange(100), 1.0]
    body = {"data": data, "fn_index": function, "session_hash": session}
    http.post("/gradio_api/queue/join", json=body).raise_for_status()
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        events = (json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:"))
        event = next(event for event in events if event["msg"] == "process_completed")
    if not event["success"]:
        raise RuntimeError(event["output"])
    http.get(event["output"]["data"][0]["url"]).raise_for_status()


def use(address: str, function: int, name: str, end: float, think: float, times: list, errors: list) -> None:
    """What one user does until `end`."""
    rng = random.Random(name)
    with httpx.Client(base_url=address, timeout=120) as http:
        time.sleep(rng.uniform(0, think))
        while time.monotonic() < end:
            started = time.perf_counter()
            try:
                paint_once(http, function, name, rng)
                times.append(1000 * (time.perf_counter() - started))
            except Exception as error:  # whatever it is, it counts
                errors.append(repr(error)[:200])
            time.sleep(rng.expovariate(1 / think))


def measure(users: int, seconds: float, think: float) -> dict:
    server, address = start_server()
    try:
        config = httpx.get(f"{address}/config").json()
        function = next(event["id"] for event in config["dependencies"] if re.fullmatch("paint_if_live(_1)?", str(event["api_name"])))
        times: list[float] = []
        errors: list[str] = []
        with httpx.Client(base_url=address, timeout=120) as http:
            for number in range(5):
                paint_once(http, function, "warm-up", random.Random(number))
        memory, started = [resident_megabytes(server.pid)], time.monotonic()
        shared = (started + seconds, think, times, errors)
        crowd = [threading.Thread(target=use, args=(address, function, f"user-{number}", *shared)) for number in range(users)]
        for user in crowd:
            user.start()
        for tenth in range(1, 11):
            time.sleep(max(0.0, started + tenth * seconds / 10 - time.monotonic()))
            memory.append(resident_megabytes(server.pid))
        for user in crowd:
            user.join()
    finally:
        server.terminate()
        server.wait()
    p50, p95 = (float(np.percentile(times, share)) for share in (50, 95)) if times else (float("nan"), float("nan"))
    return {
        "users": users,
        "seconds": seconds,
        "portraits": len(times),
        "errors": len(errors),
        "first_error": errors[0] if errors else None,
        "p50_ms": round(p50),
        "p95_ms": round(p95),
        "memory_mb": [round(value) for value in memory],
        "grown_in_second_half_mb": round(statistics.mean(memory[-2:]) - statistics.mean(memory[5:7])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", help="JSON file to write")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--think", type=float, default=10, help="mean seconds between a portrait and the next stroke")
    args = parser.parse_args()
    report = json.dumps({"what": "load"} | measure(args.users, args.seconds, args.think), indent=1)
    if args.output:
        Path(args.output).write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
