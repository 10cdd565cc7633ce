"""Flags, from the command line and from files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file

from aniface import InputError
from train.common import Run, make_parser, read_flags

CONFIGS = Path(__file__).parents[2] / "train" / "configs"


def flags(*arguments: str):
    return read_flags(make_parser("a script", output_dir="out", learning_rate=3e-4), ["--train_data_dir", "pictures", *arguments])


def test_a_file_of_flags_counts_before_defaults_and_after_the_command_line(tmp_path):
    file = tmp_path / "flags.yaml"
    file.write_text("learning_rate: 2e-5\nmasks_dir: [a, b]\nseed: 7\nmixed_precision: no\npush_to_hub: false\nresume_from_checkpoint:\n")
    args = flags("--config", str(file), "--seed", "8")
    assert (args.learning_rate, args.masks_dir, args.seed, args.mixed_precision) == (2e-5, ["a", "b"], 8, "no")
    assert not args.push_to_hub and args.resume_from_checkpoint is None and args.output_dir == "out"
    file.write_text(json.dumps({"train_data_dir": "elsewhere", "resolution": 128, "dry_run": True}))
    args = read_flags(make_parser("a script", output_dir="out"), ["--config", str(file)])
    assert (args.train_data_dir, args.resolution, args.dry_run, args.max_train_steps) == ("elsewhere", 128, True, 1)
    assert args.output_dir != "out"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rates: 3", "there is no flag --learning_rates"),
        ("- a\n- b", "expected lines such as"),
        ("a: [", "is neither YAML nor JSON"),
        ("push_to_hub: maybe", "push_to_hub is 'maybe'; expected true or false"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, message):
    file = tmp_path / "flags.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        flags("--config", str(file))
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_of_flags():
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read \(No such file"):
        flags("--config", "nowhere.yaml")


def test_pushing_needs_a_login(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(InputError, match=r"--push_to_hub: not logged in to the hub .* run: hf auth login"):
        flags("--push_to_hub")


def test_a_tracker_that_is_not_installed():
    with pytest.raises(InputError, match="--report_to wandb: is not installed; run: pip install wandb"):
        flags("--report_to", "wandb")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_knows_every_setting_of_its_files(path):
    """It raises on unknown keys; the file for one CPU is also launched, by the test of fine-tuning."""
    config = load_config_from_file(str(path))
    several = path.stem in ("gpus", "machines")
    assert config.use_cpu == (path.stem == "cpu") and (config.num_processes > 1) == several
    assert config.distributed_type == ("MULTI_GPU" if several else "NO")
    assert (config.num_machines > 1) == (path.stem == "machines")


def test_a_resumed_run_goes_on_counting_its_minutes(tmp_path, monkeypatch):
    def start(*arguments: str) -> Run:
        network = torch.nn.Linear(2, 2)
        optimizers = {"network": torch.optim.SGD(network.parameters(), lr=1.0)}
        return Run(flags("--output_dir", str(tmp_path), *arguments), {"network": network}, optimizers, ema=("network",))

    first, now = start(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 600)
    first.checkpoint()
    monkeypatch.undo()
    assert 10 <= start("--resume_from_checkpoint", "latest").minutes < 11
