"""The package as people get it: sdist, the wheel built from it, and that wheel in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from aniface import __version__

ROOT = Path(__file__).parents[1]
BUILD = "from setuptools import build_meta; import sys; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def build(what: str, source: Path, output: Path) -> Path:
    """Run setuptools' build hook in a source tree, without isolation and so without network."""
    command = [sys.executable, "-c", BUILD, what, str(output)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return output / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "tree" / name)
    return build("build_sdist", folder / "tree", folder)


@pytest.fixture(scope="module")
def wheel(sdist) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent / "unpacked", filter="data")
    (source,) = (sdist.parent / "unpacked").iterdir()
    return build("build_wheel", source, sdist.parent)


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """An empty environment with the wheel alone; what it depends on is lent by the environment of the tests, not downloaded."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", "--quiet", str(wheel)]
    subprocess.run(command, check=True, timeout=120)
    packages = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    ).stdout.strip()
    # A path in a .pth file is searched after the environment's own packages, and .pth files found there (editable installs) are not read.
    (Path(packages) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_sdist_and_wheel_hold_what_they_need(sdist, wheel):
    assert sdist.name == f"aniface-{__version__}.tar.gz" and wheel.name == f"aniface-{__version__}-py3-none-any.whl"
    shipped = {str(path.relative_to(ROOT)) for path in (ROOT / "aniface").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    names = set(zipfile.ZipFile(wheel).namelist())
    assert shipped <= names, sorted(shipped - names)
    assert {"train/train_painter.py", "train/configs/cpu.yaml"} <= names
    assert not [name for name in names if name.startswith("tests/") or name.endswith((".pyc", ".bin", ".pt"))]
    assert wheel.stat().st_size < 45e6
    metadata = zipfile.ZipFile(wheel).read(f"aniface-{__version__}.dist-info/METADATA").decode()
    assert f"Version: {__version__}\n" in metadata and "License-Expression: Apache-2.0" in metadata
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"README.md", "LICENSE", "app.py", "examples", "docs", "model_cards", "tests", "train", "aniface"} <= tops


def test_the_readmes_six_lines_paint_in_a_new_environment_without_network(environment, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    code = re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)[1]
    assert len(code.strip().splitlines()) <= 7
    settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    settings |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    code += "\nimport aniface, train.train_painter\nprint(aniface.__file__)\nprint(train.train_painter.__file__)"
    command = [str(environment / "bin" / "python"), "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(line.startswith(str(environment)) for line in done.stdout.splitlines()), done.stdout
    assert Image.open(tmp_path / "portrait.png").size == (512, 512)
    done = subprocess.run(
        [str(environment / "bin" / "aniface"), "paint", "examples/mask.png", "-o", "cli.png", "--hair-color", "blue"],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0 and Image.open(tmp_path / "cli.png").size == (512, 512), done.stderr[-2000:]


def test_the_dependencies_it_names_are_met(environment):
    command = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
