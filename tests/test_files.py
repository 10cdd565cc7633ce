"""Odd places to read from and to write to: links, devices, strange names, disks that are full or read-only."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aniface import InputError, Mask
from aniface.animation import save_animation
from aniface.cli import main
from aniface.folders import list_pictures
from aniface.labelling import label_pictures
from aniface.labels import mask_to_labelme, open_picture, write_atomically, write_json
from aniface.segmentation import segment_picture
from aniface.style_map import Dot, save_map

LONGEST = "é" * 125 + "x.png"  # 255 bytes, what file systems take


@pytest.fixture(scope="module")
def face() -> Mask:
    return Mask(np.random.default_rng(0).integers(0, 7, (300, 300)))  # noise: does not get small when packed


def test_links_are_followed_and_loops_told(tmp_path, face):
    face.save(tmp_path / "mask.png")
    for name, target in (
        ("good", "mask.png"),
        ("loop", "loop.png"),
        ("lost", "nowhere"),
        ("device", "/dev/zero"),
        ("self", "/proc/self/mem"),
    ):
        (tmp_path / f"{name}.png").symlink_to(target)
    assert Mask.open(tmp_path / "good.png") == face
    os.mkfifo(tmp_path / "pipe.png")
    messages = {
        "loop": "cannot be looked at",
        "lost": "no such file",
        "device": "not a regular file",
        "self": "not a picture|damaged|cannot be read",
        "pipe": "not a regular",
    }
    for name, message in messages.items():
        for suffix in ("", ".json"):
            path = tmp_path / f"{name}.png{suffix}"
            if suffix:
                path.symlink_to(f"{name}.png")
            with pytest.raises(InputError, match=message):
                Mask.open(path)


def test_an_output_link_is_replaced_and_what_it_points_to_stays(tmp_path, face):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out.png").symlink_to("precious")
    face.save(tmp_path / "out.png")
    assert (tmp_path / "precious").read_text() == "precious" and not (tmp_path / "out.png").is_symlink()


def test_names_never_lead_out_of_the_output_folder(tmp_path, face, tiny):
    inside, output = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    output.mkdir()
    names = ["...png", ". .png", "-rf.png", "a\nb\x1b[31m.png", "%s{0}.png", "ñandú ｆａｃｅ 顔.png", LONGEST]
    for name in names:
        Image.new("RGB", (32, 32)).save(inside / name, "PNG")
    outcomes = list(label_pictures(lambda picture: segment_picture(tiny.segmenter, picture), list_pictures(inside), output))
    assert not [outcome.error for outcome in outcomes if outcome.error]
    assert sorted(path.name for path in output.iterdir()) == sorted([*names, "confidence.csv"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    (inside / "a\nb\x1b[31m.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        open_picture(inside / "a\nb\x1b[31m.png")
    assert r"a\nb\x1b[31m.png: is not a picture" in str(caught.value)
    annotation = mask_to_labelme(face, "../../../etc/passwd") | {"imageData": "/dev/zero"}
    (inside / "a.json").write_text(json.dumps(annotation))
    assert Mask.open(inside / "a.json") == face  # the picture it names is not looked at


def test_the_longest_name_is_written_and_a_longer_one_told(tmp_path, face, capsys):
    assert len(LONGEST.encode()) == 255
    assert Mask.open(face.save(tmp_path / LONGEST)) == face
    longer = tmp_path / f"x{LONGEST}"
    for call in (lambda: face.save(longer), lambda: Mask.open(longer), lambda: Mask.open("a\0b")):
        with pytest.raises(InputError):
            call()
    assert main(["paint", str(tmp_path / LONGEST), "-o", str(longer)]) == 2
    assert "File name too long" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [LONGEST]


@pytest.fixture()
def small_disk(tmp_path):
    """A folder on a disk of 128 kB, 112 of them full, and a function that makes it read-only; None where nothing may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], capture_output=True).returncode:
        warnings.warn("no tmpfs may be mounted here: a limit of file sizes stands for the full disk", stacklevel=1)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        yield folder, None
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, before)
        return
    (folder / "filling").write_bytes(os.urandom(112 * 1024))
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    subprocess.run(["umount", folder], check=True)


def writers(folder: Path, face: Mask) -> dict:
    """What is written to files, by name."""
    frame = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    dots = [Dot(frame.resize((72, 72)), (1, 2, 3), "black", np.random.default_rng(n).normal(size=4)) for n in range(10)]
    text = {"a": "x" * 20_000}
    found = {"mask.png": lambda: face.save(folder / "mask.png"), "mask.json": lambda: write_json(text, folder / "mask.json")}
    for kind in ("gif", "webp", "mp4"):
        found[f"a.{kind}"] = lambda kind=kind: save_animation([frame] * 6, folder / f"a.{kind}")
    for kind in ("PNG", "JPEG", "WEBP"):
        path = folder / f"p.{kind.lower()}"
        found[path.name] = lambda path=path, kind=kind: write_atomically(path, lambda temporary: frame.save(temporary, kind, quality=99))
    for kind in ("png", "html"):
        found[f"map.{kind}"] = lambda kind=kind: save_map(dots, folder / f"map.{kind}")
    return found


def test_a_full_or_read_only_disk_is_told_and_nothing_is_lost(small_disk, face):
    folder, make_read_only = small_disk
    for name in ("mask.png", "a.gif"):
        (folder / name).write_bytes(b"old")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, write in writers(folder, face).items():
        with pytest.raises(InputError, match="cannot be written") as caught:
            write()
        assert str(folder / name) in str(caught.value)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, name
    if make_read_only:
        make_read_only()
        with pytest.raises(InputError, match="Read-only file system"):
            face.save(folder / "new.png")
        assert main(["random-mask", "-o", str(folder / "new.png")]) == 2
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_killed_program_leaves_the_old_file(tmp_path, face):
    """Until the rename, the name holds what it held."""
    face.save(tmp_path / "m.png")
    code = (
        "import os, sys\nfrom aniface.labels import write_atomically\n"
        "def write(path):\n    open(path, 'wb').write(b'half')\n    os.kill(os.getpid(), 9)\n"
        "write_atomically(sys.argv[1], write)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "m.png")]).returncode == -9
    assert Mask.open(tmp_path / "m.png") == face


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_a_bomb_of_sixty_million_pixels_takes_less_than_a_gigabyte(tmp_path, mode):
    path = tmp_path / "bomb.png"
    Image.new(mode, (8000, 7900)).save(path)
    assert path.stat().st_size < 1_000_000
    code = (
        "import sys\nfrom aniface import Mask, InputError\nfrom aniface.labels import open_picture\n"
        "from aniface.processing import fit_picture, to_rgb_picture\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024\n"
        "start = peak()\n"
        "fit_picture(to_rgb_picture(open_picture(sys.argv[1])), 512)\n"
        "try: Mask.open(sys.argv[1]).fit(512)\nexcept InputError: pass\n"
        "print(peak() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    print(f"{mode}: {done.stdout.strip()} MB")
    assert int(done.stdout) < 1000
