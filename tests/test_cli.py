from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aniface.cli import main
from aniface.labels import PALETTE, Mask, mask_to_labelme

EXAMPLE = Path(__file__).parents[1] / "examples" / "mask.png"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "aniface", *arguments], capture_output=True, text=True, timeout=120)


def test_importing_aniface_is_light():
    code = "import sys, time; t = time.perf_counter(); import aniface; print(time.perf_counter() - t); print(*sys.modules)"
    seconds, modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.splitlines()
    assert float(seconds) < 0.1
    assert not {"torch", "gradio", "diffusers", "numpy"} & set(modules.split())


def test_paint_writes_a_portrait_in_time_without_network(tmp_path):
    target = tmp_path / "out.png"
    run("paint", str(EXAMPLE), "-o", str(target))  # warms the disk cache, as for any program
    started = time.perf_counter()
    done = run("paint", str(EXAMPLE), "-o", str(target))
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(target)
    with Image.open(target) as image:
        assert image.size == (512, 512) and image.mode == "RGB"
    print(f"aniface paint: {seconds:.2f} s in all")
    # The promise is 5 s on an idle machine of two cores; the suite may share it, so it is held to twice that.
    assert seconds < 10


def test_paint_needs_little_memory(tmp_path):
    code = "import resource, subprocess, sys; subprocess.run([sys.executable, '-m', 'aniface', *sys.argv[1:]], check=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    portrait = tmp_path / "portrait.png"
    for options in ([], ["--reference", str(portrait), "--hair-color", "pink"]):
        arguments = ["paint", str(EXAMPLE), "-o", str(portrait), *options]
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=True)
        assert int(done.stdout.split()[-1]) < 1200, "MB"


def test_paint_options_and_variants(tmp_path):
    reference = tmp_path / "reference.png"
    assert main(["paint", str(EXAMPLE), "-o", str(reference)]) == 0
    arguments = ["--reference", str(reference), "--hair-color", "pink", "--strength", "0.8", "-n", "2", "--seed", "7"]
    assert main(["paint", str(EXAMPLE), "-o", str(tmp_path / "out.webp"), *arguments]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out-1.webp", "out-2.webp", "reference.png"]


def test_segment_a_picture_with_labelme(tmp_path, capsys):
    assert main(["paint", str(EXAMPLE), "-o", str(tmp_path / "p.png")]) == 0
    capsys.readouterr()
    assert main(["segment", str(tmp_path / "p.png"), "-o", str(tmp_path / "m.png"), "--labelme"]) == 0
    mask = Mask.open(tmp_path / "m.png")
    assert (mask.width, mask.height) == (512, 512)
    assert Mask.open(tmp_path / "m.json") == mask
    assert json.loads((tmp_path / "m.json").read_text())["imagePath"] == "p.png"
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'm.png'}\n" and re.search(r"^p\.png: confidence 0\.\d{3}$", captured.err, flags=re.MULTILINE)


def test_a_full_picture_is_cropped_to_its_face(tmp_path, capsys):
    assert main(["paint", str(EXAMPLE), "-o", str(tmp_path / "face.png")]) == 0
    full = Image.new("RGB", (900, 700), (40, 120, 90))
    full.paste(Image.open(tmp_path / "face.png").resize((330, 330)), (450, 200))
    full.save(tmp_path / "full.png")
    capsys.readouterr()
    assert main(["segment", str(tmp_path / "full.png"), "-o", str(tmp_path / "m.png"), "--labelme"]) == 0
    said = re.search(r"full\.png: confidence [\d.]+, face found, cropped to (\d+)x(\d+) at \((\d+), (\d+)\)", capsys.readouterr().err)
    width, height, left, top = map(int, said.groups())
    assert abs(left - 450) < 60 and abs(top - 200) < 60 and abs(width - 330) < 80 and width == height
    assert (Mask.open(tmp_path / "m.png").width, Mask.open(tmp_path / "m.png").height) == (width, height)
    crop = Image.open(tmp_path / "m.crop.png")
    assert np.array_equal(np.asarray(crop), np.asarray(full.crop((left, top, left + width, top + height))))
    assert json.loads((tmp_path / "m.json").read_text())["imagePath"] == "m.crop.png"
    assert main(["segment", str(tmp_path / "full.png"), "-o", str(tmp_path / "m.png"), "--no-crop"]) == 0
    assert Mask.open(tmp_path / "m.png").width == 900 and not (tmp_path / "m.crop.png").exists()
    assert "cropped" not in capsys.readouterr().err


def test_pictures_are_not_overwritten_by_their_masks(tmp_path, capsys, toy_picture):
    Image.fromarray(toy_picture[::4, ::4]).save(tmp_path / "p.png")
    before = (tmp_path / "p.png").read_bytes()
    assert main(["segment", str(tmp_path / "p.png"), "-o", str(tmp_path / "p.png")]) == 2
    assert "is the picture itself" in capsys.readouterr().err
    assert main(["segment", str(tmp_path), "-o", str(tmp_path)]) == 2
    assert "holds the pictures themselves" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"p.png": before}


def test_segment_a_folder_resumes_and_reports(tmp_path, toy_picture, capsys):
    pictures, masks = tmp_path / "pictures", tmp_path / "masks"
    pictures.mkdir()
    for name in "abc":
        Image.fromarray(toy_picture[::4, ::4]).save(pictures / f"{name}.png")
    (pictures / "broken.png").write_bytes((pictures / "a.png").read_bytes()[:200])
    assert main(["segment", str(pictures), "-o", str(masks), "--no-crop"]) == 1
    assert sorted(p.name for p in masks.iterdir()) == ["a.png", "b.png", "c.png", "confidence.csv", "failed.txt"]
    failed = (masks / "failed.txt").read_text()
    assert failed.startswith("broken.png\t") and failed.count("\n") == 1
    before = (masks / "a.png").read_bytes()
    (masks / "b.png").unlink()
    (masks / "a.png").write_bytes(b"kept")
    (pictures / "broken.png").unlink()
    assert main(["segment", str(pictures), "-o", str(masks), "--no-crop", "--resume"]) == 0
    assert (masks / "a.png").read_bytes() == b"kept" and (masks / "b.png").read_bytes() == before
    assert not (masks / "failed.txt").exists()


def test_convert_both_ways(tmp_path, toy_mask):
    toy_mask.save(tmp_path / "m.png")
    assert main(["convert", "labelme", str(tmp_path / "m.png"), str(tmp_path / "m.json")]) == 0
    assert main(["convert", "labelme", str(tmp_path / "m.json"), str(tmp_path / "back.png")]) == 0
    assert Mask.open(tmp_path / "back.png") == toy_mask


def test_random_masks(tmp_path):
    assert main(["random-mask", "-n", "2", "--seed", "5", "-o", str(tmp_path / "m.png")]) == 0
    assert main(["random-mask", "--seed", "6", "-o", str(tmp_path / "one.png")]) == 0
    assert Mask.open(tmp_path / "m-2.png") == Mask.open(tmp_path / "one.png") != Mask.open(tmp_path / "m-1.png")


def huge_png(path: Path, side: int) -> None:
    """A tiny file that claims side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))


def write_bad_inputs(folder: Path) -> dict[str, tuple[Path, str]]:
    """Bad mask files by name, each with what the message must say."""
    flat = np.zeros((64, 64), np.uint8)
    good = mask_to_labelme(Mask(flat + 5))
    files = {
        "missing": (folder / "nowhere.png", "no such file"),
        "directory": (folder / "folder.png", "is a folder"),
        "text": (folder / "text.png", "is not a picture"),
        "empty": (folder / "empty.png", "is not a picture"),
        "truncated": (folder / "truncated.png", "damaged or incomplete"),
        "huge": (folder / "huge.png", "has too many pixels; at most 64 million"),
        "cmyk photo": (folder / "cmyk.jpg", "does not look like a face map"),
        "sixteen bit": (folder / "sixteen.png", "grey picture with values up to 60000"),
        "id 9": (folder / "nine.png", "ids from 9 to 9; expected 0..6"),
        "tiny": (folder / "tiny.png", "each side must have at least 8"),
        "svg": (folder / "script.svg", "is not a picture"),
        "zip": (folder / "zip.png", "is not a picture"),
        "unknown label": (folder / "label.json", "unknown label 'beard'"),
        "no polygon": (folder / "none.json", "has no polygons"),
        "no json": (folder / "broken.json", "is not valid JSON"),
        "list": (folder / "list.json", 'no "shapes" list'),
        "device": (Path("/dev/zero"), "is not a regular file"),
    }
    (folder / "folder.png").mkdir()
    (folder / "text.png").write_text("I am a text.")
    (folder / "empty.png").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    (folder / "truncated.png").write_bytes((folder / "whole.png").read_bytes()[:5000])
    huge_png(folder / "huge.png", 40_000)
    Image.fromarray(noise).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.full((64, 64), 60_000, np.uint16)).save(folder / "sixteen.png")
    nine = Image.fromarray(flat + 9)
    nine.putpalette([*PALETTE.ravel().tolist(), 1, 2, 3, 4, 5, 6, 7, 8, 9])
    nine.save(folder / "nine.png")
    Image.fromarray(flat[:4, :4]).save(folder / "tiny.png")
    (folder / "script.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder / "zip.png").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    beard = json.loads(json.dumps(good))
    beard["shapes"][0]["label"] = "beard"
    (folder / "label.json").write_text(json.dumps(beard))
    (folder / "none.json").write_text(json.dumps(good | {"shapes": []}))
    (folder / "broken.json").write_text("{")
    (folder / "list.json").write_text("[]")
    return files


BAD = ["missing", "directory", "text", "empty", "truncated", "huge", "cmyk photo", "sixteen bit", "id 9", "tiny", "svg", "zip"]
BAD += ["unknown label", "no polygon", "no json", "list", "device"]


@pytest.mark.parametrize("name", BAD)
def test_bad_masks(tmp_path, capsys, name):
    path, message = write_bad_inputs(tmp_path)[name]
    target = tmp_path / "out" / "out.png"
    target.parent.mkdir()
    assert main(["paint", str(path), "-o", str(target)]) == 2
    captured = capsys.readouterr()
    line = captured.err.strip()
    assert message in line and str(path) in line and "\n" not in line and "Traceback" not in line
    assert not captured.out and not list(target.parent.iterdir())


@pytest.mark.parametrize("name", ["missing", "directory", "text", "empty", "truncated", "huge", "tiny", "svg", "zip", "device"])
def test_bad_references_and_pictures(tmp_path, capsys, name):
    path, message = write_bad_inputs(tmp_path)[name]
    target = tmp_path / "out" / "out.png"
    target.parent.mkdir()
    assert main(["paint", str(EXAMPLE), "-o", str(target), "--reference", str(path)]) == 2
    assert message in capsys.readouterr().err
    if name != "directory":  # a folder of pictures may be segmented
        assert main(["segment", str(path), "-o", str(target)]) == 2
        assert message in capsys.readouterr().err
    assert not list(target.parent.iterdir())


def test_an_animated_gif_and_a_cmyk_picture_are_handled(tmp_path):
    frames = [Image.fromarray(Mask(np.full((64, 64), index)).to_rgb()) for index in (5, 2)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert (Mask.open(tmp_path / "two.gif").ids == 5).all()  # the first frame counts
    Image.new("CMYK", (64, 64), (10, 90, 30, 0)).save(tmp_path / "cmyk.jpg")
    assert main(["paint", str(EXAMPLE), "-o", str(tmp_path / "o.png"), "--reference", str(tmp_path / "cmyk.jpg")]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hair-color", "beige"], "unknown hair colour 'beige'; expected black, brown, blonde"),
        (["--strength", "7"], "strength is 7.0; expected a number from 0 to 1.5"),
        (["-n", "0"], "num_images is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--model", "./no-model"], "no-model: no such model folder"),
    ],
)
def test_bad_options(tmp_path, capsys, arguments, message):
    assert main(["paint", str(EXAMPLE), "-o", str(tmp_path / "out.png"), *arguments]) == 2
    captured = capsys.readouterr().err.strip().splitlines()
    assert message in captured[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("output", "message"),
    [("nowhere/out.png", "no such folder"), (".", "is a folder"), ("out.svg", "ends in .svg; expected .png"), ("out", "ends in nothing")],
)
def test_bad_outputs(tmp_path, capsys, output, message):
    assert main(["paint", str(EXAMPLE), "-o", str(tmp_path / output)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unwritable_output_folder(tmp_path):
    """As a user who may not write: root, who runs some CI machines, may write everywhere, so it gives its rights up first."""
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    script = (
        "import os, sys\n"
        "from aniface.cli import main\n"
        "import aniface.pipeline\n"  # imported while everything may still be read
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "sys.exit(main(['paint', sys.argv[1], '-o', sys.argv[2]]))\n"
    )
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 1:
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run([sys.executable, "-c", script, str(EXAMPLE), str(locked / "out.png")], capture_output=True, text=True)
    assert done.returncode == 2 and "may not be written" in done.stderr and "Traceback" not in done.stderr
    assert not list(locked.iterdir())


def test_wrong_usage_exits_2():
    assert run("paint").returncode == 2
    assert run("dance").returncode == 2
    assert run("--version").stdout.startswith("aniface ")
