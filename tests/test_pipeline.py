from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from aniface import AnifacePipeline, InputError, Mask, precision
from aniface.hair import HAIR_COLORS
from aniface.labels import EYE, FACE, HAIR, MOUTH
from aniface.metrics import confusion, iou_per_class
from aniface.start_masks import start_masks


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_the_contract(tiny, toy_mask, toy_picture):
    out = tiny(toy_mask, reference=None, hair_color=None, strength=1.0, num_images=2, seed=0)
    assert [(i.size, i.mode) for i in out.images] == [((512, 512), "RGB")] * 2
    assert isinstance(tiny.segment(Image.fromarray(toy_picture)), Mask)
    assert tiny.hair_colors == list(HAIR_COLORS)
    assert tiny(toy_mask, output_type="pt").images.shape == (1, 3, 512, 512)
    assert tiny(toy_mask, return_dict=False)[0][0].size == (512, 512)


def test_the_same_call_gives_the_same_picture(bundled, toy_mask, toy_picture):
    def paint(**kwargs):
        return bundled(toy_mask, reference=toy_picture, hair_color="blue", strength=0.7, **kwargs).images

    again = paint(num_images=2, seed=5)
    for first, second in zip(paint(num_images=2, seed=5), again, strict=True):
        assert first.tobytes() == second.tobytes()
    assert paint(num_images=1, seed=5)[0].tobytes() == again[0].tobytes()


def test_seeds_differ_visibly(bundled, toy_mask):
    images = [pixels(i) for i in bundled(toy_mask, num_images=3, seed=1).images]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs(images[a] - images[b]).mean() > 12  # of 255


def test_the_painted_picture_follows_its_mask(bundled, toy_mask):
    # In several styles: of one that dresses in the colour of skin no one could tell where the clothes begin.
    pictures = bundled(toy_mask, num_images=4).images
    iou = iou_per_class(sum(confusion(toy_mask.ids, bundled.segment(picture).ids) for picture in pictures))
    assert np.nanmean(iou) > 0.7
    assert iou[FACE] > 0.8 and iou[HAIR] > 0.8 and iou[EYE] > 0.5 and iou[MOUTH] > 0.2


@pytest.mark.parametrize("color", ["pink", "blue", "green", "blonde"])
def test_hair_takes_the_asked_colour(bundled, toy_mask, color):
    from aniface.hair import ciede2000, measure_hair_color, srgb_to_lab

    asked = srgb_to_lab(np.array(HAIR_COLORS[color]))
    free, half, full = (
        ciede2000(measure_hair_color(np.asarray(bundled(toy_mask, hair_color=color, strength=s, seed=3).images[0]), toy_mask.ids)[0], asked)
        for s in (0, 0.5, 1)
    )
    assert full < 12
    assert full <= half <= free + 1


def test_a_reference_gives_its_colours(bundled, toy_mask, toy_picture):
    painted = pixels(bundled(toy_mask, reference=toy_picture).images[0])
    for label in (0, HAIR):
        inside = toy_mask.ids == label
        assert abs(painted[inside].mean(0) - toy_picture[inside].mean(0)).mean() < 30


def test_random_masks_are_faces_and_repeat_by_seed(tiny):
    masks = [tiny.random_mask(seed=seed) for seed in range(12)]
    assert masks[3] == tiny.random_mask(seed=3)
    assert len(set(masks)) == 12
    for mask in masks:
        assert (mask.width, mask.height) == (512, 512)
        shares = np.bincount(mask.ids.ravel(), minlength=7) / mask.ids.size
        assert shares[FACE] > 0.05 and shares[HAIR] > 0.1 and shares[EYE] > 0.003
    with pytest.raises(InputError, match="seed is -1"):
        tiny.random_mask(seed=-1)


@pytest.mark.parametrize("size", [(60, 60), (300, 500), (900, 400), (512, 512)])
def test_any_size_of_mask_and_picture(tiny, size):
    mask = tiny.segment(Image.new("RGB", size, "pink"))
    assert (mask.width, mask.height) == size
    assert tiny(mask).images[0].size == (512, 512)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "I;16", "1", "F"])
def test_references_of_every_mode(tiny, toy_mask, mode):
    picture = (
        Image.new("L", (40, 30), 1).convert("I").convert("I;16") if mode == "I;16" else Image.new("RGB", (40, 30), "red").convert(mode)
    )
    assert tiny(toy_mask, reference=picture).images[0].size == (512, 512)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_images": 0}, "num_images is 0; expected a whole number from 1 to 64"),
        ({"num_images": True}, "num_images is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"strength": 2}, "strength is 2; expected a number from 0 to 1.5"),
        ({"strength": {"path": "/secret"}}, "strength is a dict; expected a number from 0 to 1.5"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"hair_color": "beige"}, "unknown hair colour 'beige'; expected black, brown"),
        ({"output_type": "jpg"}, "output_type is 'jpg'"),
        ({"reference": "portrait.png"}, "the reference is a str; expected a PIL picture"),
        ({"reference": np.zeros((4, 4))}, "the reference is an array of shape (4, 4)"),
        ({"mask": np.full((64, 64), 9)}, "ids from 9 to 9; expected 0..6"),
        ({"mask": "nowhere.png"}, "nowhere.png: no such file"),
    ],
)
def test_wrong_arguments(tiny, toy_mask, arguments, message):
    with pytest.raises(InputError) as caught:
        tiny(**({"mask": toy_mask} | arguments))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_saved_and_loaded_it_paints_the_same(tiny, toy_mask, tmp_path):
    tiny.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["painter"] == ["aniface", "FacePainter"] and index["segmenter"] == ["aniface", "FaceSegmenter"]
    assert not list(tmp_path.rglob("*.bin"))
    loaded = AnifacePipeline.from_pretrained(tmp_path)
    assert loaded(toy_mask, seed=2).images[0].tobytes() == tiny(toy_mask, seed=2).images[0].tobytes()


def test_a_component_loads_by_itself(tiny, tmp_path):
    from aniface import FacePainter

    tiny.save_pretrained(tmp_path)
    assert FacePainter.from_pretrained(tmp_path, subfolder="painter").sizes == tiny.painter.sizes


def test_missing_folders_and_weights_are_told(tiny, tmp_path):
    with pytest.raises(InputError, match="no such model folder"):
        AnifacePipeline.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no such model folder"):
        AnifacePipeline.from_pretrained("./nowhere")
    from safetensors.torch import load_file, save_file

    tiny.save_pretrained(tmp_path)
    path = tmp_path / "painter" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights.pop("stem.weight")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"painter: the weights of FacePainter lack stem.weight"):
        AnifacePipeline.from_pretrained(tmp_path)


def test_bundled_weights_are_small_and_half_precision():
    from safetensors import safe_open

    from aniface.models.network import BUNDLED_WEIGHTS

    files = list(BUNDLED_WEIGHTS.rglob("*.safetensors"))
    assert len(files) == 6 and sum(path.stat().st_size for path in files) < 45e6
    for path in files:
        with safe_open(path, "pt") as file:
            kinds = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
        assert kinds <= {torch.float16, torch.int64}


def test_trained_batch_norm_statistics_fit(bundled, toy_mask):
    """Eval mode paints nearly what train mode paints: the statistics were re-estimated on the shipped weights."""
    import copy

    from aniface.processing import mask_one_hot

    painter = copy.deepcopy(bundled.painter)
    layout = mask_one_hot(toy_mask, 512).repeat(8, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    codes, colours = bundled.style_encoder.sample(torch.randn(8, 5, painter.config.latent_dim + 3, generator=generator))
    with torch.no_grad():
        evaluated = painter.eval()(layout, codes, colours, torch.ones(8, 5, 1), size=256)
        trained = painter.train()(layout, codes, colours, torch.ones(8, 5, 1), size=256)
    assert (evaluated - trained).abs().mean() < 0.15  # of a range of 2


def test_scribbles_give_sane_pictures(bundled):
    """100 maps of a hurried hand, half of them with parts missing: finite, neither flat nor alike, the hair where it was drawn."""
    from train.toy_data import scribble_mask

    means, followed = [], []
    for number in range(100):
        mask = scribble_mask(np.random.default_rng(number))
        pixels = bundled(mask, seed=number, output_type="pt").images
        assert torch.isfinite(pixels).all()
        assert pixels.std() > 0.1, f"scribble {number} is flat"
        means.append(torch.nn.functional.adaptive_avg_pool2d(pixels, 4).flatten())
        if number % 10 == 0:
            seen = bundled.segment(bundled(mask, seed=number).images[0])
            followed.append(iou_per_class(confusion(mask.ids, seen.ids))[HAIR])
    distances = torch.cdist(torch.stack(means), torch.stack(means))
    assert (distances + 100 * torch.eye(100)).min() > 0.05  # no two alike
    assert np.mean(followed) > 0.6


def test_bf16_changes_next_to_nothing(bundled, toy_mask):
    pictures = []
    try:
        for bundled.bf16 in (False, True):
            pictures.append(np.asarray(bundled(toy_mask, hair_color="pink").images[0], float))
    finally:
        bundled.bf16 = None
    difference = abs(pictures[0] - pictures[1])
    assert 0 < difference.mean() < 1 and np.percentile(difference, 99) <= 4


def test_precision_follows_the_cpu(monkeypatch):
    for name in precision.INSTRUCTIONS:
        assert callable(getattr(torch.cpu, name))  # if torch renames them, bf16 would silently never be used
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not precision.bf16_pays(torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, precision.INSTRUCTIONS[0], lambda: True)
    assert precision.bf16_pays(torch.device("cpu")) and not precision.bf16_pays(torch.device("cuda"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_it_paints_nearly_the_same(bundled, dtype):
    mask = start_masks()["bob"]
    reference = bundled(mask, seed=2).images[0]
    half = AnifacePipeline.from_pretrained(dtype=dtype)
    assert {network.dtype for network in half.networks.values()} == {dtype}
    for arguments in ({"reference": reference}, {"hair_color": "pink", "seed": 5}):
        whole, rough = (np.asarray(pipe(mask, **arguments).images[0], float) for pipe in (bundled, half))
        assert np.abs(whole - rough).mean() < (0.5 if dtype == torch.float16 else 1.5)
    assert (bundled.segment(reference).ids == half.segment(reference).ids).mean() > 0.98
