"""What every training script shares: the flags, the allocator, the run with its checkpoints, EMA and log."""

from __future__ import annotations

import argparse
import atexit
import copy
import csv
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.utils import parse_flag_from_env
from huggingface_hub import HfApi
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from aniface.labels import InputError

from .data import SampleStream
from .sync_batch_norm import synchronise_batch_norm


def join_processes(**kwargs) -> PartialState:
    """The processes of this launch; on a machine without GPU, those of torchrun are joined through gloo, unasked.

    Args:
        **kwargs: for `torch.distributed.init_process_group`; only the first call counts.
    """
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available(), **kwargs)


def make_parser(description: str, **defaults) -> argparse.ArgumentParser:
    """The flags of all scripts, named as in diffusers' examples; `defaults` are a script's own default values."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--config", help="YAML or JSON file of flags, by their names; what the command line says comes before it")
    add("--train_data_dir", help="folder of pictures, each with NAME.json (labelme) or NAME.mask.png beside it")
    add("--dataset_name", help="hub id of a dataset that is such a folder, instead of --train_data_dir")
    add(
        "--masks_dir",
        action="append",
        default=[],
        help="folder with NAME.json or NAME.png masks; may be given several times, the first wins",
    )
    add("--mask_segmenter", help="segmenter folder or hub id that makes masks for pictures without; by default the one that ships")
    add("--output_dir", help="where checkpoints, logs, pictures and the trained model go")
    add("--pretrained_model_name_or_path", help="network or pipeline to start from: folder, hub id, or aniface-512, which ships")
    add("--resolution", type=int, default=256, help="side of the training pictures in pixels")
    add("--train_batch_size", type=int, default=8, help="pictures per process and step")
    add("--max_train_steps", type=int, default=1000)
    add("--max_train_minutes", type=float, help="stop after so many minutes, those before a resume included, and save")
    add("--gradient_accumulation_steps", type=int, default=1)
    add("--dataloader_num_workers", type=int, default=0, help="processes that make samples; 0: the main one does, as on a CPU it should")
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
    add("--push_to_hub", action="store_true", help="upload the trained model when it is done")
    add("--hub_model_id", help="where to, such as me/my-aniface; by default the output folder's name")
    add("--dry_run", action="store_true", help="one step of everything, saving included, in a folder that is thrown away")
    parser.set_defaults(**defaults)
    return parser


def read_flags(parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> argparse.Namespace:
    """The flags of the command line and of its --config file, which counts as if it stood first.

    Raises:
        InputError: the file cannot be read, names a flag that there is not, or flags contradict each other.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config")
    config = first.parse_known_args(arguments)[0].config
    args = parser.parse_args([*(flags_of_file(parser, config) if config else []), *arguments])
    if args.push_to_hub and not args.dry_run:
        try:
            HfApi().whoami()
        except Exception as error:
            raise InputError(f"--push_to_hub: not logged in to the hub ({str(error).splitlines()[0]}); run: hf auth login") from None
    if args.report_to != "none" and not importlib.util.find_spec(args.report_to):
        raise InputError(f"--report_to {args.report_to}: is not installed; run: pip install {args.report_to}")
    if args.dry_run:
        args.output_dir = tempfile.mkdtemp(prefix="aniface-dry-run-")
        atexit.register(shutil.rmtree, args.output_dir, ignore_errors=True)
        args.max_train_steps = args.validation_steps = args.checkpointing_steps = args.logging_steps = 1
        args.resume_from_checkpoint, args.report_to, args.push_to_hub = None, "none", False
    return args


def flags_of_file(parser: argparse.ArgumentParser, path: str) -> list[str]:
    """The entries of a YAML or JSON file as command line arguments."""
    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--config {path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"--config {path}: is neither YAML nor JSON ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(settings, dict):
        raise InputError(f"--config {path}: expected lines such as 'learning_rate: 1e-4'")
    switches = {action.dest: action.nargs == 0 for action in parser._actions}
    arguments = []
    for name, value in settings.items():
        if name not in switches:
            raise InputError(f"--config {path}: there is no flag --{name}; --help lists them")
        if switches[name] and not isinstance(value, bool):
            raise InputError(f"--config {path}: {name} is {value!r}; expected true or false")
        if switches[name]:
            arguments += [f"--{name}"] if value else []
        elif value is not None:
            value = "no" if value is False else value  # YAML reads a bare no as false
            arguments += [f"--{name}={entry}" for entry in (value if isinstance(value, list) else [value])]
    return arguments


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

    def __init__(self, args, networks: dict[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer], ema: tuple[str, ...]):
        self.args, self.step, self._began = args, 0, time.monotonic()
        self.folder = Path(args.output_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        join_processes()
        self.accelerator = Accelerator(
            mixed_precision=args.mixed_precision,
            gradient_accumulation_steps=args.gradient_accumulation_steps,
            log_with=None if args.report_to == "none" else args.report_to,
            project_dir=str(self.folder),
            # A painter at a coarse resolution leaves its fine blocks unused; buffers are the same everywhere or, as spectral norm's in
            # the midst of a step, must not be overwritten.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)],
        )
        if args.report_to != "none":
            self.accelerator.init_trackers("aniface", config={k: str(v) for k, v in vars(args).items()})
        self.device = self.accelerator.device
        self.ema: dict[str, Any] = {name: _frozen_copy(networks[name]).to(self.device) for name in ema}
        self.names = list(networks)
        if self.accelerator.num_processes > 1:
            networks = {name: synchronise_batch_norm(network) for name, network in networks.items()}
        prepared = self.accelerator.prepare(*networks.values(), *optimizers.values())
        prepared = prepared if isinstance(prepared, tuple) else (prepared,)
        self.networks = dict(zip(networks, prepared, strict=False))
        self.optimizers = dict(zip(optimizers, prepared[len(networks) :], strict=True))
        self.accelerator.register_save_state_pre_hook(self._save_networks)
        self.accelerator.register_load_state_pre_hook(self._load_networks)
        self._sums: dict[str, torch.Tensor] = {}
        self._counted, self._logged_at, self._waited = 0, time.monotonic(), 0.0
        if self.accelerator.is_main_process:
            for partial in self.folder.glob(".partial-*"):  # of a run that was killed while it saved
                shutil.rmtree(partial)
            (self.folder / "args.json").write_text(json.dumps(vars(args), indent=2, default=str))
        if args.resume_from_checkpoint:
            self._resume(args.resume_from_checkpoint)
        elif self._checkpoints():
            raise InputError(f"{self.folder}: holds checkpoints; --resume_from_checkpoint latest goes on, another --output_dir starts anew")

    @property
    def minutes(self) -> float:
        """How long this run has taken, up to the checkpoint that it was resumed from and since."""
        return (time.monotonic() - self._began) / 60

    # --- the loop ---

    def batches(self, stream: SampleStream) -> Iterator[dict]:
        """Batches from where the run stands until the last step or minute; checkpoints itself on the way and at the end."""
        args = self.args
        per_step = args.train_batch_size * self.accelerator.num_processes
        sampler = From(self.step * per_step, args.max_train_steps * per_step)
        loading = {"batch_size": args.train_batch_size, "sampler": sampler, "num_workers": args.dataloader_num_workers}
        loader = self.accelerator.prepare(DataLoader(stream, pin_memory=self.device.type == "cuda", **loading))
        for batch in self._timed(loader):
            self._set_learning_rate()
            yield batch
            self.step += 1
            if self.step % args.logging_steps == 0:
                self._write_log()
            if self.step % args.checkpointing_steps == 0:
                self.checkpoint()
            if args.max_train_minutes and self.minutes > args.max_train_minutes:
                break
        self.checkpoint()

    def _timed(self, loader: DataLoader) -> Iterator[dict]:
        """The loader's batches; sums up how long the run waits for them."""
        batches = iter(loader)
        while True:
            asked = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waited += time.monotonic() - asked
            yield batch

    def _set_learning_rate(self) -> None:
        """Warm up, hold, then fall linearly over the last `lr_decay_share` of the run (of its steps or minutes, what ends first)."""
        args = self.args
        progress = self.step / args.max_train_steps
        if args.max_train_minutes:
            progress = max(progress, self.minutes / args.max_train_minutes)
        factor = min(1.0, (self.step + 1) / max(1, args.lr_warmup_steps))
        if args.lr_decay_share:
            factor *= min(1.0, max(0.02, (1 - progress) / args.lr_decay_share))
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group.setdefault("base_lr", group["lr"])
                group["lr"] = group["base_lr"] * factor

    def descend(self, loss: torch.Tensor, name: str, max_norm: float | None = None) -> None:
        """One step of the optimiser `name` down the gradients of `loss`, clipped to `max_norm` if given."""
        optimizer = self.optimizers[name]
        self.accelerator.backward(loss)
        if max_norm is not None:
            self.accelerator.clip_grad_norm_([weights for group in optimizer.param_groups for weights in group["params"]], max_norm)
        optimizer.step()
        optimizer.zero_grad()

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
        """Add scalars of this step to the averages written every `logging_steps`; nothing waits for the device until then."""
        for name, value in scalars.items():
            value = torch.as_tensor(value).detach().float()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._counted += 1

    def _write_log(self) -> None:
        if not self._counted:
            return
        means = torch.stack([value.to(self.device) for value in self._sums.values()]) / self._counted
        means = self.accelerator.reduce(means, "mean").tolist()
        seconds = time.monotonic() - self._logged_at
        pictures = self._counted * self.args.train_batch_size * self.accelerator.num_processes
        row = {"step": self.step, "kimg_per_hour": round(pictures / seconds * 3.6, 2), "loading_share": round(self._waited / seconds, 4)}
        row |= {name: round(value, 5) for name, value in zip(self._sums, means, strict=True)}
        self._sums, self._counted, self._logged_at, self._waited = {}, 0, time.monotonic(), 0.0
        if not self.accelerator.is_main_process:
            return
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        self.accelerator.log(row, step=self.step)
        print("  ".join(f"{k} {v:g}" for k, v in row.items()), flush=True)

    def show(self, name: str, sheet: Image.Image, step: int) -> None:
        """Write a validation picture to OUTPUT_DIR/NAME/STEP.png and to the tracker; the main process calls it."""
        path = self.folder / name / f"{step:07d}.png"
        path.parent.mkdir(exist_ok=True)
        sheet.save(path)
        for tracker in self.accelerator.trackers:
            if tracker.name == "tensorboard":
                tracker.log_images({name: np.asarray(sheet)[None]}, step=step, dataformats="NHWC")
            else:
                tracker.log_images({name: [sheet]}, step=step)

    # --- what comes out ---

    def save(self, model, name: str) -> None:
        """Save a trained network or pipeline into OUTPUT_DIR/NAME; the main process calls it."""
        model.save_pretrained(self.folder / name)
        print(f"{name} is in {self.folder / name}", flush=True)

    def finish(self, model) -> None:
        """End the run; with --push_to_hub, upload what it is all about. The main process calls it."""
        if self.args.push_to_hub:
            print(model.push_to_hub(self.args.hub_model_id or self.folder.resolve().name), flush=True)
        self.accelerator.end_training()
        if self.args.dry_run:
            print("dry run: data, networks and flags are fine; nothing was kept", flush=True)

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
        run = json.loads((path / "run.json").read_text())
        self.step, self._began = run["step"], self._began - 60 * run.get("minutes", 0.0)
        print(f"resumed from {path} at step {self.step}")

    def _save_networks(self, models: list[nn.Module], weights: list[dict], folder: str) -> None:
        """Save hook: one safetensors file a network, under its own name, beside the EMA copies."""
        if self.accelerator.is_main_process:
            for name, state in zip(self.names, weights, strict=True):
                save_file({key: value.contiguous().clone() for key, value in state.items()}, f"{folder}/{name}.safetensors")
            for name, average in self.ema.items():
                save_file({k: v.contiguous().clone() for k, v in average.state_dict().items()}, f"{folder}/{name}_ema.safetensors")
            Path(folder, "run.json").write_text(json.dumps({"step": self.step, "minutes": self.minutes}))
        weights.clear()

    def _load_networks(self, models: list[nn.Module], folder: str) -> None:
        for name, model in zip(self.names, models, strict=True):
            self.accelerator.unwrap_model(model).load_state_dict(load_file(f"{folder}/{name}.safetensors"))
        for name, average in self.ema.items():
            average.load_state_dict(load_file(f"{folder}/{name}_ema.safetensors"))
        models.clear()


def _frozen_copy(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False).eval()
