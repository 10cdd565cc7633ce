"""Every error message that a user can meet is met here, and reads well.

A trigger is a call that makes one mistake. Which `raise InputError` it reached is read from the traceback; one that no trigger reaches
fails the test: add a call to `triggers`.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from aniface import AnifacePipeline, DetailAdapter, HairColors, InputError, Mask, MultiscaleDiscriminator, StyleEncoder
from aniface.cli import build_parser
from aniface.labels import MAX_MESSAGE, check_target, mask_from_labelme, open_picture, read_labelme
from train.common import Run, make_parser, read_flags

from .test_cli import write_bad_inputs
from .test_labels import good_annotation

ROOT = Path(__file__).parents[1]
HELPS = (
    "expected|choose|give|check|reload|install|get the whole model|upgrade|run|make it|measure|no pickles|scale|rename|see |goes on|must|"
    "supported|accepted|needs at least|annotate|train one|upload|expects|lists them|cannot be|holds no"
)


def sites() -> set[tuple[str, int]]:
    """(file, line) of every `raise InputError(...)`."""
    found = set()
    for folder in ("aniface", "train"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and getattr(node.exc.func, "id", None) == "InputError":
                    found.add((str(path.relative_to(ROOT)), node.lineno))
    return found


def raised_at(error: BaseException | None) -> Iterator[tuple[str, int]]:
    """Where an error, and those that led to it, were raised: first lines of statements."""
    while error is not None:
        if isinstance(error, InputError):
            frame = error.__traceback__
            while frame.tb_next:
                frame = frame.tb_next
            path = Path(frame.tb_frame.f_code.co_filename)
            if path.is_relative_to(ROOT):
                yield str(path.relative_to(ROOT)), frame.tb_lineno
        error = error.__context__


def aniface(*words) -> None:
    args = build_parser().parse_args([str(word) for word in words])
    args.run(args)


def script(module: str, *words) -> None:
    threads = torch.get_num_threads()  # a script may choose its own
    try:
        with mock.patch.object(sys, "argv", [module, *map(str, words)]):
            importlib.import_module(f"train.{module}").main()
    finally:
        torch.set_num_threads(threads)


def annotated(**changes) -> None:
    mask_from_labelme(good_annotation() | changes)


def shaped(**changes) -> None:
    annotated(shapes=[good_annotation()["shapes"][0] | changes])


def without(module: str, call) -> None:
    """As if a package were not installed."""
    with mock.patch.dict(sys.modules, {module: None}):
        for name in [name for name in sys.modules if name.startswith((f"{module}.", "aniface.ui"))]:
            del sys.modules[name]  # imported anew
        call()


def failing(target: str, error: Exception, call) -> None:
    with mock.patch(target, side_effect=error):
        call()


def model_folder(folder: Path, change=None, kind=HairColors, **settings) -> Path:
    """A small network's folder after `change(folder)`."""
    kind(**settings).save_pretrained(folder)
    if change:
        change(folder)
    return folder


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder: Path, **tensors) -> None:
    path = folder / "diffusion_pytorch_model.safetensors"
    state = {name: value for name, value in (load_file(path) | tensors).items() if value is not None}
    save_file(state, path)


def triggers(tmp: Path, pipe, tiny, face: Mask) -> Iterator:
    """Calls that each make one mistake."""
    bad = write_bad_inputs(tmp)
    out, mask = tmp / "out.png", face.save(tmp / "face.png")
    portrait = tmp / "portrait.png"
    Image.fromarray(face.to_rgb()).save(portrait)
    empty, pictures = tmp / "empty", tmp / "pictures"
    empty.mkdir()
    pictures.mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (32, 32)).save(pictures / f"{name}.png")
        (pictures / f"{name}.json").write_text(json.dumps(good_annotation()))

    # labels
    for path, _ in bad.values():
        yield lambda path=path: Mask.open(path)
    yield lambda: Mask.open(tmp / ("n" * 300))
    yield lambda: failing("os.stat", PermissionError(), lambda: open_picture(mask))
    yield lambda: failing("PIL.Image.open", PermissionError(), lambda: open_picture(mask))
    yield lambda: failing("pathlib.Path.read_bytes", PermissionError(13, "Permission denied"), lambda: read_labelme(pictures / "a.json"))
    yield lambda: large_annotation(pictures / "a.json")
    yield lambda: check_target(tmp / ("n" * 300))
    yield lambda: face.save(tmp)
    yield lambda: face.save(tmp / "nowhere" / "m.png")
    yield lambda: failing("tempfile.mkstemp", PermissionError(13, "Permission denied"), lambda: face.save(out))
    yield lambda: Mask(np.zeros((9, 9, 2)))
    yield lambda: Mask(np.zeros((9, 9), bool))
    yield lambda: Mask(np.array([["a"] * 9] * 9))
    yield lambda: Mask(np.full((9, 9), 9))
    yield lambda: Mask(np.full((9, 9), 0.5))
    yield lambda: Mask(np.zeros((9, 20_000), np.uint8))
    yield lambda: failing("PIL.Image.Image.convert", ValueError("no such conversion"), lambda: Mask.of(Image.new("RGB", (9, 9))))
    yield lambda: annotated(shapes=None)
    yield lambda: annotated(imageWidth="20")
    yield lambda: annotated(shapes=[])
    yield lambda: shaped(points=None)
    yield lambda: shaped(label="beard")
    yield lambda: shaped(shape_type="circle")
    yield lambda: shaped(points=[[1, 1]])
    yield lambda: shaped(points=[[1, 1], [2, 2], [3, "x"]])
    yield lambda: annotated(imageHeight=8000, shapes=[good_annotation()["shapes"][0] | {"points": [[0, 0], [1, 8000]] * 10_000}])

    # the pipeline and its pictures
    yield lambda: tiny(face, seed=-1)
    yield lambda: tiny(face, num_images=0)
    yield lambda: tiny(face, strength=7)
    yield lambda: tiny(face, output_type="jpg")
    yield lambda: tiny(face, hair_color="beige")
    yield lambda: tiny(face, region_references=[])
    yield lambda: tiny(face, region_references={"nose": 1})
    yield lambda: tiny(face, reference=[])
    yield lambda: tiny(face, reference=[(Image.new("RGB", (32, 32)), 0)])
    yield lambda: tiny(face, reference=np.zeros((9, 9)))
    yield lambda: tiny(face, reference="portrait.png")
    yield lambda: tiny(face, reference=Image.open(tmp / "truncated.png"))
    yield lambda: tiny(face, region_references={"hair": shows_no("hair", tiny)})
    yield lambda: tiny.vary_mask(face)
    yield lambda: AnifacePipeline(**tiny.components | {"detail_adapter": DetailAdapter()})

    # models
    yield lambda: AnifacePipeline.from_pretrained("./nowhere")
    yield lambda: AnifacePipeline.from_pretrained(use_safetensors=False)
    yield lambda: HairColors.from_pretrained(use_safetensors=False)
    yield lambda: HairColors.from_pretrained(empty)
    yield lambda: MultiscaleDiscriminator.from_pretrained()
    config = "config.json"
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "1", lambda f: (f / config).write_text("{")))
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "2", lambda f: edit_json(f / config, _class_name="Other")))
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "3", lambda f: edit_json(f / config, depth=3)))
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "4", lambda f: edit_json(f / config, latent_dim=2**31)))
    weights = "diffusion_pytorch_model.safetensors"
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "5", lambda f: (f / weights).unlink()))
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "6", lambda f: (f / weights).rename(f / "model.bin")))
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "7", lambda f: edit_weights(f, offset=None)))
    yield lambda: HairColors.from_pretrained(model_folder(tmp / "8", lambda f: edit_weights(f, offset=torch.zeros(9))))
    tiny.save_pretrained(tmp / "pipe")
    (tmp / "no_index").mkdir()
    (tmp / "no_index" / "model_index.json").write_text("[]")
    yield lambda: StyleEncoder.from_pretrained(tmp / "no_index")
    yield lambda: indexed(tmp / "pipe", painter=["os", "system"])
    yield lambda: noisy(tmp / "pipe", pipe.mask_scheduler, num_train_timesteps=10**9)

    # styles, animations, maps, measures
    from aniface.animation import hair_animation, save_animation
    from aniface.mask_evaluation import evaluate_masks
    from aniface.models.mobilenet_v2 import MobileNetV2Features
    from aniface.style_map import make_dot, make_dots, place, save_map

    yield lambda: hair_animation(tiny, face, colors=["pink"])
    yield lambda: hair_animation(tiny, face, frames_per_color=10_000)
    yield lambda: save_animation([], tmp / "a.avi")
    yield lambda: without("av", lambda: save_animation([Image.new("RGB", (32, 32))], tmp / "a.mp4"))
    yield lambda: list(make_dots(tiny, None, region="nose"))
    bald = Mask(np.zeros((16, 16), np.uint8))
    yield lambda: make_dot(tiny, tiny.layout_of(bald), bald, tiny.choose_style(tiny.layout_of(bald)), "hair")
    yield lambda: place([])
    yield lambda: without("sklearn", lambda: place([None] * 10))
    yield lambda: save_map([], tmp / "map.gif")
    yield lambda: evaluate_masks(tiny, [], [], None, [], [])
    yield lambda: MobileNetV2Features().load_imagenet(mask)

    # the command line
    yield lambda: unwritable(out, mask)
    yield lambda: aniface("paint", mask, "-o", tmp / "a.gif")
    yield lambda: aniface("paint", mask, "-o", out, "--region-color", "hair")
    yield lambda: aniface("segment", portrait, "-o", tmp / "a.jpg")
    yield lambda: aniface("segment", pictures, "-o", mask)
    yield lambda: aniface("random-mask", "-o", tmp / "a.jpg")
    yield lambda: aniface("random-mask", "-n", 0, "-o", out)
    yield lambda: aniface("hair-animation", mask, "-o", out)
    yield lambda: aniface("hair-animation", mask, "--fps", 0, "-o", tmp / "a.gif")
    yield lambda: aniface("style-map", "-o", tmp / "a.gif")
    yield lambda: aniface("style-map", "-n", 1, "-o", out)
    yield lambda: aniface("style-map", "--pictures", tmp / "nowhere", "-o", out)
    yield lambda: aniface("convert", "labelme", mask, tmp / "a.png")
    yield lambda: aniface("evaluate", "masks", "--data_dir", pictures, "--model", tmp / "whole")
    yield lambda: without("gradio", lambda: aniface("app"))

    # the studio
    import gradio as gr

    from aniface.ui.api import add_endpoints
    from aniface.ui.canvas import decode_mask
    from aniface.ui.handlers import Handlers
    from aniface.ui.session import check_referred
    from aniface.ui.wiring import picked

    do = Handlers(tiny)
    with gr.Blocks() as blocks:
        add_endpoints(do)
    paint = next(event.fn for event in blocks.fns.values() if event.api_name == "paint")
    yield lambda: paint.__wrapped__(None, None, "auto", 1, 0)
    yield lambda: decode_mask("?")
    yield lambda: decode_mask("")
    yield lambda: do.load_mask(None)
    yield lambda: do.load_picture(None)
    yield lambda: do.load_mask(str(tmp / "empty.png"))
    yield lambda: do.mask_from_reference(None)
    yield lambda: check_referred(["hair"])
    yield lambda: picked([], None)

    # folders of pictures, training
    from aniface.conversion import list_conversions
    from aniface.folders import find_items, list_pictures, split_items
    from train import fill_cards
    from train.dataset import make_masks
    from train.train_mask_diffusion import load_shares
    from train.train_painter import loss_weights

    yield lambda: find_items(tmp / "nowhere")
    yield lambda: find_items(empty)
    yield lambda: split_items(find_items(pictures), 3)
    yield lambda: list_pictures(empty)
    yield lambda: list_pictures(holding(tmp / "twice", "a.png", "a.jpg"))
    yield lambda: list_pictures(holding(tmp / "crops", "a.png", "a.crop.png"))
    yield lambda: aniface("segment", portrait, "-o", portrait)
    yield lambda: aniface("segment", pictures, "-o", pictures)
    yield lambda: list_conversions(empty, tmp)
    yield lambda: list_conversions(holding(tmp / "masks", "a.png", "a.bmp"), tmp)
    yield lambda: script("label_dataset", "--train_data_dir", pictures, "--output_dir", pictures)
    for words in (("--copies", 0), ("--resolution", 1), ("--warp", 2)):
        yield lambda words=words: script("augment_dataset", "--train_data_dir", pictures, "--output_dir", tmp / "aug", *words)
    same = holding(tmp / "same", "a.png", "a.bmp")
    (same / "a.json").write_text(json.dumps(good_annotation()))
    yield lambda: script("augment_dataset", "--train_data_dir", same, "--output_dir", tmp / "aug")
    yield lambda: script("augment_dataset", "--train_data_dir", pictures, "--output_dir", pictures)
    yield lambda: make_masks(find_items(broken(tmp / "broken"), need_masks=False), tmp / "made", str(tmp / "pipe"))
    yield lambda: load_shares(find_items(pictures), 16)
    flags, network = make_parser(""), {"n": torch.nn.Linear(1, 1)}
    yield lambda: failing("train.common.HfApi", OSError("no token"), lambda: read_flags(flags, ["--push_to_hub"]))
    yield lambda: without_tracker(flags)
    yield lambda: read_flags(flags, ["--config", str(tmp / "nowhere.yaml")])
    for text in ("a: [", "- a", "speed: 3", "dry_run: 3"):
        yield lambda text=text: read_flags(flags, ["--config", str(written(tmp / "flags.yaml", text))])
    (tmp / "run" / "checkpoint-1").mkdir(parents=True)
    yield lambda: Run(read_flags(flags, ["--output_dir", str(tmp / "run")]), network, {}, ())
    yield lambda: Run(
        read_flags(flags, ["--output_dir", str(tmp / "new"), "--resume_from_checkpoint", "nowhere"]), {"n": torch.nn.Linear(1, 1)}, {}, ()
    )
    yield lambda: script("train_head")
    yield lambda: script("self_distill")
    yield lambda: script("train_detail_adapter")
    odd = [
        "--train_data_dir",
        pictures,
        "--pretrained_model_name_or_path",
        "aniface-512",
        "--resolution",
        "384",
        "--output_dir",
        tmp / "odd",
    ]
    for name in ("self_distill", "train_painter", "train_detail_adapter"):
        yield lambda name=name: script(name, *odd)
    yield lambda: script(
        "train_head", "--train_data_dir", pictures, "--pretrained_model_name_or_path", headless(tmp / "headless"), "--output_dir", tmp / "h"
    )
    yield lambda: script("train_segmenter", "--output_dir", tmp / "s")
    yield lambda: script("train_segmenter", "--train_data_dir", pictures, "--teacher", "aniface-512", "--output_dir", tmp / "s")
    yield lambda: script(
        "train_segmenter", "--train_data_dir", pictures, "--resolution", "64", "--image_size", "100", "--output_dir", tmp / "s"
    )
    yield lambda: script("train_segmenter", "--train_data_dir", pictures, "--annotated_share", "1", "--output_dir", tmp / "s")
    yield lambda: script("train_segmenter", "--dataset_name", "no/such", "--output_dir", tmp / "s")
    yield lambda: script("label_dataset", "--train_data_dir", tmp / "nowhere", "--output_dir", tmp / "l")
    yield lambda: script("assemble_pipeline", "--output_dir", empty)
    yield lambda: fill_cards.read_results("nothing")
    yield lambda: loss_weights(["speed=3"])
    with mock.patch.object(fill_cards, "CARDS", tmp / "cards"):
        (tmp / "cards" / "results").mkdir(parents=True)
        (tmp / "cards" / "results" / "painter.json").write_text('{"what": "painter"}')
        yield lambda: fill_cards.block("painter")


def large_annotation(path: Path) -> None:
    with mock.patch("aniface.labels.MAX_LABELME_BYTES", 10):
        read_labelme(path)


def unwritable(out: Path, mask: Path) -> None:
    with mock.patch("os.access", return_value=False):
        aniface("paint", mask, "-o", out)


def without_tracker(flags) -> None:
    with mock.patch("importlib.util.find_spec", return_value=None):
        read_flags(flags, ["--report_to", "tensorboard"])


def shows_no(region: str, pipe) -> Image.Image:
    """A reference that does not show a region."""
    picture = Image.new("RGB", (32, 32))
    pipe.segment = lambda _: Mask(np.zeros((32, 32), np.uint8))
    return picture


def indexed(folder: Path, **changes) -> None:
    good = (folder / "model_index.json").read_text()
    edit_json(folder / "model_index.json", **changes)
    try:
        AnifacePipeline.from_pretrained(folder)
    finally:
        (folder / "model_index.json").write_text(good)


def noisy(folder: Path, scheduler, **changes) -> None:
    scheduler.save_pretrained(folder / "mask_scheduler")
    edit_json(folder / "mask_scheduler" / "scheduler_config.json", **changes)
    indexed(folder, mask_scheduler=["diffusers", "DDIMScheduler"])


def holding(folder: Path, *names: str) -> Path:
    """A new folder of pictures."""
    folder.mkdir()
    for name in names:
        Image.new("RGB", (32, 32)).save(folder / name)
    return folder


def broken(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.png").write_bytes(b"")
    return folder


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def headless(folder: Path) -> Path:
    from aniface import FacePainter

    return model_folder(folder, None, FacePainter, channels=(8, 8), rgb_size=16, spade_hidden=4, latent_dim=4, head_channels=0)


@pytest.fixture(scope="module")
def reached(tmp_path_factory, bundled, toy_mask):
    """{(file, line): message} of every error that the triggers meet."""
    from aniface import FacePainter, FaceSegmenter

    torch.manual_seed(0)
    painter = FacePainter(channels=(8, 8), rgb_size=16, spade_hidden=4, latent_dim=4, style_channels=8, head_channels=0)
    segmenter = FaceSegmenter(image_size=32, decoder_channels=(8, 8, 8, 8, 8))
    tiny = AnifacePipeline(segmenter, StyleEncoder(image_size=32, channels=(8, 8), latent_dim=4), HairColors(4), painter)
    tmp = tmp_path_factory.mktemp("messages")
    tiny.save_pretrained(tmp / "whole")
    found: dict[tuple[str, int], str] = {}
    wrong = []
    for call in triggers(tmp, bundled, tiny, toy_mask):
        try:
            call()
            wrong.append((call.__code__.co_firstlineno, "made no mistake"))
        except InputError as error:
            found |= {site: str(error) for site in raised_at(error) if site not in found}
        except (Exception, SystemExit) as error:
            wrong.append((call.__code__.co_firstlineno, repr(error)))
    assert not wrong, "triggers by line: " + "; ".join(f"{line}: {what}" for line, what in wrong)
    return found


def test_every_message_has_its_trigger(reached):
    missing = sorted(sites() - set(reached))
    assert not missing, "no trigger reaches the raise at " + ", ".join(f"{path}:{line}" for path, line in missing)
    assert set(reached) <= sites()


def test_every_message_reads_well(reached):
    for site, message in reached.items():
        assert message.isprintable() and 20 <= len(message) <= MAX_MESSAGE, (site, message)
        assert not re.search(r"Traceback|<[\w.]+ object|0x[0-9a-f]{6}|\{\w*\}|None\b.*None\b", message), (site, message)
        assert message == message.strip() and not re.search(r"[^.]\.$", message), (site, message)
        assert re.search(HELPS, message) or ": " in message, (site, message)  # what to do, or what of the given is wrong
