"""A short run of `make fuzz`; see `fuzz.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_hostile_inputs_are_taken_or_refused():
    command = [sys.executable, "-m", "tests.fuzz", "-n", "40", "--seed", "7"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["masks", "pictures", "labelme", "configs", "safetensors", "payloads"]
    assert all("taken" in line and "refused" in line for line in lines), lines  # neither all nor none: the damage reaches deep enough
