"""Loading a network says in one line what is wrong with it, whichever network it is."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from aniface import FacePainter, FaceSegmenter, HairColors, InputError, MultiscaleDiscriminator, StyleEncoder
from aniface.models.network import BUNDLED_WEIGHTS

NETWORKS = {
    FaceSegmenter: {"image_size": 64, "decoder_channels": (8, 8, 8, 8, 8)},
    StyleEncoder: {"image_size": 32, "channels": (8, 8), "latent_dim": 4},
    HairColors: {"latent_dim": 4},
    FacePainter: {"channels": (8, 8, 8, 8), "spade_hidden": 4, "latent_dim": 4, "style_channels": 8, "head_channels": 0},
    MultiscaleDiscriminator: {"width": 4, "num_layers": 2},
}
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(params=NETWORKS, ids=lambda kind: kind.__name__)
def saved(request, tmp_path):
    """A class of network and a folder with a small one."""
    folder = tmp_path / "model"
    request.param(**NETWORKS[request.param]).save_pretrained(folder)
    return request.param, folder


def change_config(folder, **settings) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def no_folder(folder):
    return folder.with_name("elsewhere") / "deep", "no such model folder; expected a folder made by save_pretrained, or a hub id"


def no_config(folder):
    (folder / "config.json").unlink()
    return folder, "holds no config.json"


def broken_config(folder):
    (folder / "config.json").write_text("{")
    return folder, "not a valid JSON file"


def another_class(folder):
    change_config(folder, _class_name="OtherNetwork")
    return folder, "is a OtherNetwork; expected a "


def from_the_future(folder):
    change_config(folder, depth_of_field=3)
    return folder, "has depth_of_field, which .* does not know; if a newer aniface made it, upgrade"


def no_weights(folder):
    (folder / WEIGHTS).unlink()
    return folder, "holds no weights; expected diffusion_pytorch_model.safetensors"


def weights_missing(folder):
    state = load_file(folder / WEIGHTS)
    del state[min(state)]
    save_file(state, folder / WEIGHTS)
    return folder, "the weights of .* lack "


def weights_too_many(folder):
    save_file(load_file(folder / WEIGHTS) | {"zoom.weight": torch.zeros(2)}, folder / WEIGHTS)
    return folder, r"have, unknown to this version, zoom.weight; get the whole model again"


def wrong_shape(folder):
    state = load_file(folder / WEIGHTS)
    key = next(key for key, value in state.items() if value.dim())
    save_file(state | {key: torch.zeros(9, 9, 9)}, folder / WEIGHTS)
    return folder, rf"{key} has shape \(9, 9, 9\)"


def no_safetensors_inside(folder):
    (folder / WEIGHTS).write_bytes(b"\x80 not weights")
    return folder, "the model cannot be loaded"


def pickled(folder):
    (folder / WEIGHTS).unlink()
    (folder / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({}))
    return folder, "holds diffusion_pytorch_model.bin, a pickle, .*expected safetensors"


MISTAKES = [no_folder, no_config, broken_config, another_class, from_the_future, no_weights, weights_missing, weights_too_many]
MISTAKES += [wrong_shape, no_safetensors_inside, pickled]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_mistakes_are_told_in_one_line(saved, mistake):
    kind, folder = saved
    given, message = mistake(folder)
    with pytest.raises(InputError, match=message) as error:
        kind.from_pretrained(given)
    assert "\n" not in str(error.value) and str(given) in str(error.value)


@pytest.mark.parametrize("mistake", [weights_missing, weights_too_many, wrong_shape], ids=lambda mistake: mistake.__name__)
def test_they_are_told_also_when_loaded_sparing_memory(saved, mistake):
    """As a pipeline loads its components."""
    kind, folder = saved
    given, message = mistake(folder)
    with pytest.raises(InputError, match=message):
        kind.from_pretrained(given, low_cpu_mem_usage=True)


def test_pickles_cannot_be_asked_for(saved):
    kind, folder = saved
    with pytest.raises(InputError, match="aniface reads no pickles"):
        kind.from_pretrained(folder, use_safetensors=False)


def test_a_pipelines_folder_gives_its_networks():
    vectors = HairColors.from_pretrained()
    given = HairColors.from_pretrained(BUNDLED_WEIGHTS)
    assert torch.equal(vectors.directions, given.directions) and vectors.directions.dtype == torch.float32
    assert torch.equal(HairColors.from_pretrained(BUNDLED_WEIGHTS / "hair_vectors").directions, given.directions)
    with pytest.raises(InputError, match="is a pipeline without a MultiscaleDiscriminator"):
        MultiscaleDiscriminator.from_pretrained(BUNDLED_WEIGHTS)


def test_a_variant_is_found_again(saved):
    kind, folder = saved
    model = kind.from_pretrained(folder)
    model.save_pretrained(folder.with_name("half"), variant="fp16")
    assert (folder.with_name("half") / "diffusion_pytorch_model.fp16.safetensors").exists()
    loaded = kind.from_pretrained(folder.with_name("half"), variant="fp16")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True))
    with pytest.raises(InputError, match="half"):
        kind.from_pretrained(folder.with_name("half"))
