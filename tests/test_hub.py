"""Push to a hub, load by id, paint: in processes of their own, for the hub's address is read at import."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest

from aniface import AnifacePipeline, HairColors, InputError
from aniface.models.network import BUNDLED_WEIGHTS

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


# Networks by themselves: pushed as a variant to a branch, loaded by id, revision and variant, put into a pipeline.
NETWORKS = """
import sys, torch
from aniface import AnifacePipeline, HairColors, InputError, MultiscaleDiscriminator
mine = HairColors.from_pretrained()
mine.directions[0, 0] = 3
if sys.argv[1] == "push":
    print(mine.push_to_hub("me/hair", revision="bold", variant="fp16"))
    MultiscaleDiscriminator(width=4).push_to_hub("me/critic")
theirs = HairColors.from_pretrained("me/hair", revision="bold", variant="fp16")
assert torch.equal(theirs.directions, mine.directions)
pipe = AnifacePipeline.from_pretrained(hair_vectors=theirs)
assert pipe.hair_vectors is theirs
shipped = HairColors.from_pretrained("me/my-aniface")  # taken out of a pipeline
assert torch.equal(shipped.directions, HairColors.from_pretrained().directions)
for unknown in ({"revision": "timid"}, {}):
    try:
        HairColors.from_pretrained("me/hair", **unknown)
    except InputError as error:
        assert str(error).startswith("me/hair: the model cannot be loaded"), error
    else:
        raise AssertionError(unknown)
"""


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
    assert "## Results" in card and "model-index" in card  # unchanged weights keep their whole card
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
    assert run(PAINT, "me/my-aniface", cache=tmp_path / "yours", endpoint=hub.url) == [mine]
    before = len(hub.requests)
    assert run(PAINT, "me/my-aniface", cache=tmp_path / "yours", endpoint=hub.url, offline=True) == [mine]
    assert len(hub.requests) == before


def test_networks_are_pushed_and_loaded_by_themselves(hub, tmp_path):
    hub.repos["me/my-aniface"] = {
        str(path.relative_to(BUNDLED_WEIGHTS)): path.read_bytes() for path in BUNDLED_WEIGHTS.rglob("*") if path.is_file()
    }
    run(NETWORKS, "push", cache=tmp_path, endpoint=hub.url)
    assert not hub.repos["me/hair"]
    branch = hub.branches["me/hair", "bold"]
    assert set(branch) == {"README.md", "config.json", "diffusion_pytorch_model.fp16.safetensors"}
    card = branch["README.md"].decode()
    assert 'hair_vectors = HairColors.from_pretrained("me/hair")' in card and "A linear map from a hair's mean colour" in card
    assert 'network = MultiscaleDiscriminator.from_pretrained("me/critic")' in hub.repos["me/critic"]["README.md"].decode()
    before = len(hub.requests)
    run(NETWORKS, "again", cache=tmp_path, endpoint=hub.url, offline=True)
    assert len(hub.requests) == before


def future_component(folder):
    write_index(folder, dreamer=["aniface", "DreamPainter"])
    return "has dreamer, which AnifacePipeline of aniface .* does not know; if a newer aniface made it, upgrade"


def future_class(folder):
    write_index(folder, painter=["aniface", "DreamPainter"])
    return "painter is .*DreamPainter.*; expected .*a network that aniface .* has"


def foreign_class(folder):
    write_index(folder, painter=["subprocess", "Popen"])
    return "painter is .*Popen"


def another_pipeline(folder):
    write_index(folder, _class_name="StableDiffusionPipeline")
    return "is a StableDiffusionPipeline; expected a AnifacePipeline"


def no_index(folder):
    (folder / "model_index.json").unlink()
    return "the model cannot be loaded .*model_index.json"


def no_component(folder):
    shutil.rmtree(folder / "painter")
    return "painter"


def pickled_component(folder):
    (folder / "painter" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "painter" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({}))
    return "safetensors"


def future_setting(folder):
    path = folder / "painter" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"depth_of_field": 3}))
    return "painter: has depth_of_field, which FacePainter of aniface"


def write_index(folder, **entries):
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


MISTAKES = [future_component, future_class, foreign_class, another_pipeline, no_index, no_component, pickled_component, future_setting]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_what_is_wrong_with_a_pipelines_folder_is_told_in_one_line(tiny, tmp_path, mistake):
    tiny.save_pretrained(tmp_path)
    message = mistake(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        AnifacePipeline.from_pretrained(tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_components_by_name_replace_the_saved_ones(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    vectors = HairColors(4)
    assert AnifacePipeline.from_pretrained(tmp_path, hair_vectors=vectors).hair_vectors is vectors


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
