"""Push to a hub, load by id, paint: in processes of their own, for the hub's address is read at import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .fake_hub import FakeHub

PAINT = """
import hashlib, sys
from aniface import AnifacePipeline, Mask
pipe = AnifacePipeline.from_pretrained(*sys.argv[1:2])
print(hashlib.sha256(pipe(pipe.random_mask(seed=3), seed=4).images[0].tobytes()).hexdigest())
"""
PUSH = PAINT + "\nprint(pipe.push_to_hub('me/my-aniface'))\n"


@pytest.fixture()
def hub():
    hub = FakeHub()
    yield hub
    hub.shutdown()


def run(code: str, *arguments: str, cache, endpoint: str, offline: bool = False) -> list[str]:
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_TOKEN": "hf_fake", "HF_HUB_DISABLE_XET": "1"}
    settings |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1" if offline else "0"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=os.environ | settings, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_pushed_and_loaded_by_id_it_paints_the_same_also_offline(hub, tmp_path):
    mine, address = run(PUSH, cache=tmp_path / "mine", endpoint=hub.url)
    assert address.startswith(f"{hub.url}/me/my-aniface/commit/")
    files = hub.repos["me/my-aniface"]
    assert b'"aniface",\n    "FacePainter"' in files["model_index.json"]
    card = files["README.md"].decode()
    assert "library_name: aniface" in card and 'from_pretrained("me/my-aniface")' in card and "non-commercial" in card
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
    assert run(PAINT, "me/my-aniface", cache=tmp_path / "yours", endpoint=hub.url) == [mine]
    before = len(hub.requests)
    assert run(PAINT, "me/my-aniface", cache=tmp_path / "yours", endpoint=hub.url, offline=True) == [mine]
    assert len(hub.requests) == before


def test_a_card_that_is_there_is_kept(hub, tmp_path):
    hub.repos["me/my-aniface"] = {"README.md": b"my own words"}
    run(PUSH, cache=tmp_path, endpoint=hub.url)
    assert hub.repos["me/my-aniface"]["README.md"] == b"my own words"


def test_an_unknown_id_is_told_in_one_line(hub, tmp_path):
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "aniface", "paint", "examples/mask.png", "-o", str(tmp_path / "o.png"), "--model", "me/nothing"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "me/nothing: the model cannot be loaded" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "o.png").exists()
