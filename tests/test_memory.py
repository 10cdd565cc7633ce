from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import resource
from aniface import AnifacePipeline
pipe = AnifacePipeline.from_pretrained()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    pipe("examples/mask.png")
before = faults()
for _ in range(6):
    pipe("examples/mask.png")
print((faults() - before) // 6)
"""


def page_faults_of_a_call(**environment: str) -> int:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", PROGRAM]
    return int(subprocess.run(command, cwd=ROOT, env=plain | environment, check=True, capture_output=True, text=True).stdout)


def test_a_call_uses_memory_again_unless_the_environment_says_otherwise():
    assert page_faults_of_a_call() < 1000
    assert page_faults_of_a_call(MALLOC_TRIM_THRESHOLD_=str(2**17)) > 3000  # malloc's own beginning
