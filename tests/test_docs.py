"""Every command of the guides means something to the program it calls; those of the first guide are run."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from string import Template

import pytest
from PIL import Image

from aniface import Mask
from aniface.cli import build_parser, main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "train" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
HUB_COMMANDS = {("auth", "login"), ("upload",)}


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.+?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def commands(page: Path) -> list[list[str]]:
    """The command lines of a page, split; variables that it sets are filled in."""
    found, variables = [], {}
    for block in blocks(page, ""):
        for line in block.replace("\\\n", " ").splitlines():
            line = Template(line).safe_substitute(variables)
            if assignment := re.fullmatch(r'(\w+)="(.*)"', line):
                variables[assignment[1]] = assignment[2]
            elif words := shlex.split(line, comments=True):
                found.append(words)
    return found


class Parsed(Exception):
    pass


def parse_script(module: str, arguments: list[str], monkeypatch) -> None:
    """Let a script read its arguments and go no further; files of flags are not there and left out."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise Parsed

    if "--config" in arguments:
        at = arguments.index("--config")
        arguments = arguments[:at] + arguments[at + 2 :]
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed):
        importlib.import_module(module).main()
    monkeypatch.undo()


def check(words: list[str], monkeypatch) -> None:
    program = words[0]
    if program == "aniface":
        build_parser().parse_args(words[1:])
    elif program == "make":
        assert re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    elif program == "pip":
        assert words[1] == "install" and re.fullmatch(r"\.(\[[\w,]+\])?", words[2]), words
        offered = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
        assert set(re.findall(r"\w+", words[2])) <= set(offered)
    elif program == "hf":
        assert tuple(words[1:3]) in HUB_COMMANDS or tuple(words[1:2]) in HUB_COMMANDS, words
    elif program == "pipx":  # not run: it needs a network
        assert words[1:4] == ["run", "pip-audit", "--requirement"] and (ROOT / words[4]).exists()
    elif program == "git":
        assert words[1:] == ["clone", ".", "../aniface-space"]
    else:
        at = words.index("-m")
        assert words[:at] in (["python"], ["accelerate", "launch"], ["torchrun", "--nproc_per_node", "2"]) or (
            words[:3] == ["accelerate", "launch", "--config_file"] and (ROOT / words[3]).exists()
        ), words
        parse_script(words[at + 1], words[at + 2 :], monkeypatch)


@pages
def test_every_command_is_understood(page, monkeypatch):
    for words in commands(page):
        try:
            check(words, monkeypatch)
        except SystemExit:
            pytest.fail(f"{page.name}: {' '.join(words)}")


@pages
def test_every_link_leads_somewhere_and_python_compiles(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")


def test_the_guide_to_use_runs(tmp_path, monkeypatch):
    (tmp_path / "examples").mkdir()
    Mask.open(ROOT / "examples" / "mask.png").save(tmp_path / "examples" / "mask.png")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in blocks(ROOT / "docs" / "use.md", "python"):
        exec(compile(code, "use.md", "exec"), names)
    for words in commands(ROOT / "docs" / "use.md"):
        if words[0] == "aniface":
            assert main(words[1:]) == 0, words
    for name in ("portrait", "pink", "mixed", "somebody", "out", "out-4"):
        assert Image.open(f"{name}.png").size == (512, 512)
    for name in ("mask", "portrait-mask", "face-2", "converted"):
        assert Mask.open(f"{name}.png").ids.any()


def test_the_hub_program_has_these_commands():
    for words in sorted(HUB_COMMANDS):
        done = subprocess.run([Path(sys.executable).with_name("hf"), *words, "--help"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and (words[0] != "upload" or "--repo-type" in done.stdout)
