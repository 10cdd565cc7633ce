"""What every training script shares: the flags, the allocator, the run with its checkpoints, EMA and log."""

from __future__ import annotations

import argparse
import copy
import csv
import ctypes
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from aniface.labels import InputError

from .data import SampleStream


def keep_large_buffers() -> None:
    """Tell glibc's malloc to keep freed memory instead of handing it back to the kernel after every operation.

    PyTorch on a CPU allocates large buffers all the time; without this a third of a training step goes to page faults. Does nothing
    where the C library has no mallopt.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 256 * 2**20)


def make_parser(description: str, **defaults) -> argparse.ArgumentParser:
    """The flags of all scripts, named as in diffusers' examples; `defaults` are a script's own default values."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--train_data_dir", required=True, help="folder of pictures, each with NAME.json (labelme) or NAME.mask.png beside it")
    add(
        "--masks_dir",
        action="append",
        default=[],
        help="folder with NAME.json or NAME.png masks; may be given several times, the first wins",
    )
    add("--output_dir", required=True, help="where checkpoints, logs, pictures and the trained model go")
    add("--pretrained_model_name_or_path", help="a model folder or hub id to start from")
    add("--resolution", type=int, default=256, help="side of the training pictures in pixels")
    add("--train_batch_size", type=int, default=8, help="pictures per process and step")
    add("--max_train_steps", type=int, default=1000)
    add("--max_train_minutes", type=float, help="stop after so many minutes of this process, and save")
    add("--gradient_accumulation_steps", type=int, default=1)
    add("--learning_rate", type=float, default=1e-3)
    add("--lr_warmup_steps", type=int, default=100)
    add("--lr_decay_share", type=float, default=0.0, help="share of the run, at its end, in which the learning rate falls to nothing")
    add("--mixed_precision", choices=("no", "bf16"), default="no")
    add("--ema_decay", type=float, default=0.999)
    add("--holdout", type=int, default=0, help="so many annotated pictures are kept out of training")
    add("--holdout_seed", type=int, default=0)
    add("--seed", type=int, default=0)
    add("--checkpointing_steps", type=int, default=500)
    add("--checkpoints_total_limit", type=int, default=2)
    add("--resume_from_checkpoint", help="a checkpoint folder, or 'latest'")
    add("--validation_steps", type=int, default=500)
    add("--logging_steps", type=int, default=25)
    add("--report_to", choices=("none", "tensorboard", "wandb"), default="none")
    parser.set_defaults(**defaults)
    return parser


def run_script(main) -> None:
    """Call `main()`; a user's mistake becomes one line and exit code 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


class From(Sampler):
    """The sample numbers first, first + 1, ... before `stop`."""

    def __init__(self, first: int, stop: int):
        self.first, self.stop = first, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.stop))

    def __len__(self) -> int:
        return self.stop - self.first


class Run:
    """One training run: networks and optimisers under Accelerate, EMA copies, checkpoints, a CSV log.

    Args:
        args: the parsed flags of `make_parser`.
        networks: trained networks by name.
        optimizers: one for each of some networks, by network name.
        ema: which of the networks have an exponential moving average; the copies are in `self.ema`.
    """

    def __init__(self, args, networks: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer], ema: tuple[str, ...]):
        self.args, self.step, self.started = args, 0, time.monotonic()
        self.folder = Path(args.output_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(
            mixed_precision=args.mixed_precision,
            gradient_accumulation_steps=args.gradient_accumulation_steps,
            log_with=None if args.report_to == "none" else args.report_to,
            project_dir=str(self.folder),
        )
        if args.report_to != "none":
            self.accelerator.init_trackers("aniface", config={k: str(v) for k, v in vars(args).items()})
        self.device = self.accelerator.device
        self.ema = {name: _frozen_copy(networks[name]).to(self.device) for name in ema}
        self.names = list(networks)
        prepared = self.accelerator.prepare(*networks.values(), *optimizers.values())
        prepared = prepared if isinstance(prepared, tuple) else (prepared,)
        self.networks = dict(zip(networks, prepared, strict=False))
        self.optimizers = dict(zip(optimizers, prepared[len(networks) :], strict=True))
        self.accelerator.register_save_state_pre_hook(self._save_networks)
        self.accelerator.register_load_state_pre_hook(self._load_networks)
        self._sums: dict[str, float] = {}
        self._counted, self._logged_at = 0, time.monotonic()
        if self.accelerator.is_main_process:
            for partial in self.folder.glob(".partial-*"):  # of a run that was killed while it saved
                shutil.rmtree(partial)
            (self.folder / "args.json").write_text(json.dumps(vars(args), indent=2, default=str))
        if args.resume_from_checkpoint:
            self._resume(args.resume_from_checkpoint)

    # --- the loop ---

    def batches(self, stream: SampleStream) -> Iterator[dict]:
        """Batches from where the run stands until the last step or minute; checkpoints itself on the way and at the end."""
        args = self.args
        per_step = args.train_batch_size * self.accelerator.num_processes
        sampler = From(self.step * per_step, args.max_train_steps * per_step)
        loader = self.accelerator.prepare(DataLoader(stream, batch_size=args.train_batch_size, sampler=sampler))
        for batch in loader:
            self._set_learning_rate()
            yield batch
            self.step += 1
            if self.step % args.logging_steps == 0:
                self._write_log()
            if self.step % args.checkpointing_steps == 0:
                self.checkpoint()
            if args.max_train_minutes and time.monotonic() - self.started > args.max_train_minutes * 60:
                break
        self.checkpoint()

    def _set_learning_rate(self) -> None:
        """Warm up, hold, then fall linearly over the last `lr_decay_share` of the run (of its steps or minutes, what ends first)."""
        args = self.args
        progress = self.step / args.max_train_steps
        if args.max_train_minutes:
            progress = max(progress, (time.monotonic() - self.started) / (60 * args.max_train_minutes))
        factor = min(1.0, (self.step + 1) / max(1, args.lr_warmup_steps))
        if args.lr_decay_share:
            factor *= min(1.0, max(0.02, (1 - progress) / args.lr_decay_share))
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group.setdefault("base_lr", group["lr"])
                group["lr"] = group["base_lr"] * factor

    def update_ema(self) -> None:
        """Move every EMA copy towards its network; early steps move faster, so that the start is forgotten."""
        decay = min(self.args.ema_decay, (1 + self.step) / (10 + self.step))
        move = get_ema_multi_avg_fn(decay)
        for name, average in self.ema.items():
            source = self.accelerator.unwrap_model(self.networks[name])
            with torch.no_grad():
                move(list(average.parameters()), [p.detach() for p in source.parameters()], 0)
                for mine, theirs in zip(average.buffers(), source.buffers(), strict=True):
                    mine.copy_(theirs)

    def log(self, **scalars: float | torch.Tensor) -> None:
        """Add scalars of this step to the averages written every `logging_steps`."""
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._counted += 1

    def _write_log(self) -> None:
        if not self.accelerator.is_main_process or not self._counted:
            return
        seconds = time.monotonic() - self._logged_at
        pictures = self._counted * self.args.train_batch_size * self.accelerator.num_processes
        row = {"step": self.step, "kimg_per_hour": round(pictures / seconds * 3.6, 2)}
        row |= {name: round(value / self._counted, 5) for name, value in self._sums.items()}
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        self.accelerator.log(row, step=self.step)
        print("  ".join(f"{k} {v:g}" for k, v in row.items()), flush=True)
        self._sums, self._counted, self._logged_at = {}, 0, time.monotonic()

    # --- checkpoints ---

    def checkpoint(self) -> Path:
        """Save everything needed to go on into `checkpoint-STEP`, by rename, and remove the oldest ones."""
        final = self.folder / f"checkpoint-{self.step}"
        if final.exists():
            return final
        partial = self.folder / f".partial-{self.step}"
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(partial))
        if self.accelerator.is_main_process:
            os.replace(partial, final)
            for old in self._checkpoints()[: -self.args.checkpoints_total_limit]:
                shutil.rmtree(old)
        return final

    def _checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))

    def _resume(self, which: str) -> None:
        if which == "latest":
            found = self._checkpoints()
            if not found:
                print("no checkpoint yet: starting from step 0")
                return
            path = found[-1]
        else:
            path = Path(which)
            if not path.is_dir():
                raise InputError(f"{path}: no such checkpoint folder; expected a checkpoint-STEP folder or 'latest'")
        self.accelerator.load_state(str(path))
        self.step = json.loads((path / "run.json").read_text())["step"]
        print(f"resumed from {path} at step {self.step}")

    def _save_networks(self, models: list[nn.Module], weights: list[dict], folder: str) -> None:
        """Save hook: one safetensors file a network, under its own name, beside the EMA copies."""
        if self.accelerator.is_main_process:
            for name, state in zip(self.names, weights, strict=True):
                save_file({key: value.contiguous().clone() for key, value in state.items()}, f"{folder}/{name}.safetensors")
            for name, average in self.ema.items():
                save_file({k: v.contiguous().clone() for k, v in average.state_dict().items()}, f"{folder}/{name}_ema.safetensors")
            Path(folder, "run.json").write_text(json.dumps({"step": self.step}))
        weights.clear()

    def _load_networks(self, models: list[nn.Module], folder: str) -> None:
        for name, model in zip(self.names, models, strict=True):
            self.accelerator.unwrap_model(model).load_state_dict(load_file(f"{folder}/{name}.safetensors"))
        for name, average in self.ema.items():
            average.load_state_dict(load_file(f"{folder}/{name}_ema.safetensors"))
        models.clear()


def _frozen_copy(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False).eval()
