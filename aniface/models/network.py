"""What all networks share: loading that says what is wrong with a model, and pushing with a card."""

from __future__ import annotations

import inspect
import json
import os
import reprlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import diffusers
import torch
from diffusers import ConfigMixin, DiffusionPipeline, ModelMixin, SchedulerMixin
from diffusers.utils import logging as diffusers_logging
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from torch.nn.modules.module import register_module_buffer_registration_hook, register_module_parameter_registration_hook

import aniface

from ..labels import InputError

BUNDLED_WEIGHTS = Path(__file__).parents[1] / "weights" / "aniface-512"
INDEX = "model_index.json"
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
MAX_WEIGHTS, MAX_TENSORS = 250_000_000, 4096
MAX_TIMESTEPS = 100_000
HUB_OPTIONS = ("cache_dir", "force_download", "proxies", "local_files_only", "token", "revision")


def check_model_path(path: str | os.PathLike | None) -> str:
    """A model's folder or hub id as a string; None, or its name if no folder has it, is the pipeline that ships.

    Raises:
        InputError: it looks like a folder and there is none.
    """
    if path is None:
        return str(BUNDLED_WEIGHTS)
    text = os.fspath(path)
    if text == BUNDLED_WEIGHTS.name and not Path(text).is_dir():
        return str(BUNDLED_WEIGHTS)
    if not Path(text).is_dir() and (Path(text).exists() or Path(text).is_absolute() or text.count("/") != 1 or text[0] in ".~"):
        raise InputError(f"{text}: no such model folder; expected a folder made by save_pretrained, or a hub id such as me/my-aniface")
    return text


@contextmanager
def loading(what: str) -> Iterator[None]:
    """What goes wrong inside while a model is loaded becomes one line."""
    told = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()  # it tells of weights that do not fit in hundreds of lines
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # files from outside make diffusers and torch raise all kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{what}: the model cannot be loaded ({reason})") from error
    finally:
        diffusers_logging.set_verbosity(told)


def check_config(cls: type, config: dict, what: str) -> None:
    """Refuse the configuration of another class, and one with settings that this version does not know."""
    saved_as = config.get("_class_name", cls.__name__)
    if saved_as != cls.__name__:
        raise InputError(f"{what}: is a {saved_as}; expected a {cls.__name__}")
    known = inspect.signature(cls).parameters
    unknown = sorted(key for key in config if key not in known and not key.startswith("_"))
    if unknown:
        raise InputError(
            f"{what}: has {', '.join(unknown)}, which {cls.__name__} of aniface {aniface.__version__} does not know; "
            "if a newer aniface made it, upgrade: pip install -U aniface"
        )


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Networks that are made inside, by this thread, may have MAX_WEIGHTS numbers in MAX_TENSORS tensors."""
    thread, weights, tensors = threading.get_ident(), 0, 0

    def count(module: torch.nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        nonlocal weights, tensors
        if tensor is None or threading.get_ident() != thread:
            return
        weights, tensors = weights + tensor.numel(), tensors + 1
        if weights > MAX_WEIGHTS or tensors > MAX_TENSORS:
            raise InputError(
                f"{what}: its config.json makes a network of more than {MAX_WEIGHTS // 10**6} million weights or {MAX_TENSORS} tensors; "
                "get the whole model again"
            )

    hooks = [register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_extent(cls: type[Network], config: dict, what: str) -> None:
    """Refuse the configuration of a network that is too large, before it takes any memory."""
    settings = {key: value for key, value in config.items() if not key.startswith("_")}
    with bounded(what), torch.device("meta"):
        cls(**settings)


def check_scheduler(config: dict, what: str) -> None:
    """Refuse noise levels of which there are too many to hold."""
    for key, value in config.items():
        size = len(value) if isinstance(value, (list, dict, str)) else value
        if isinstance(size, (int, float)) and not abs(size) <= MAX_TIMESTEPS:
            raise InputError(f"{what}: {key} is {reprlib.repr(value)}; expected at most {MAX_TIMESTEPS}")


def check_weight_files(folder: Path, what: str) -> None:
    """Refuse a folder without safetensors; pickles are never read, for loading one runs whatever code it holds."""
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise InputError(f"{what}: holds {pickles[0]}, a pickle, which may run code when it is read; expected safetensors")
    raise InputError(f"{what}: holds no weights; expected diffusion_pytorch_model.safetensors, as save_pretrained writes it")


def read_index(path: str, **options) -> dict | None:
    """The model_index.json of a pipeline's folder or hub id; None if there is none."""
    if Path(path).is_dir():
        file = Path(path, INDEX)
    else:
        try:
            file = Path(hf_hub_download(path, INDEX, **options))
        except (EntryNotFoundError, LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError):
            return None  # a network by itself; or nothing at all, which the loading of the network tells
    if not file.is_file():
        return None
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        index = None
    if not isinstance(index, dict):
        raise InputError(f"{path}: its {INDEX} is not a JSON object; get the whole model again")
    return index


def component_of(cls: type, index: dict) -> str | None:
    """The name that a pipeline gives its component of class `cls`."""
    return next((name for name, entry in index.items() if isinstance(entry, list) and entry[-1] == cls.__name__), None)


def check_pipeline(cls: type[DiffusionPipeline], path: str, **options) -> None:
    """Refuse a pipeline of another class, with unknown components, or with components that are no networks of aniface.

    The last matters for safety as well: a model_index.json names the classes that are made.
    """
    what = f"{path}/{INDEX}"
    config = cls.load_config(path, **options)
    check_config(cls, config, what)
    for name, entry in config.items():
        if name.startswith("_"):
            continue
        if entry == [None, None] and name in cls._optional_components:
            continue
        library, kind = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        home, base = {"aniface": (aniface, ModelMixin), "diffusers": (diffusers, SchedulerMixin)}.get(str(library), (None, None))
        made: Any = getattr(home, str(kind), None)
        if not (isinstance(made, type) and issubclass(made, base)):
            raise InputError(
                f'{what}: {name} is {reprlib.repr(entry)}; expected ["aniface", CLASS], a network that '
                f"aniface {aniface.__version__} has, or a scheduler of diffusers"
            )
        if base is SchedulerMixin:
            scheduler: Any = made
            check_scheduler(scheduler.load_config(path, subfolder=name, **options), f"{path}/{name}")


class Network(ModelMixin, ConfigMixin):
    """The base of every network of aniface: a torch module that saves itself as config.json and safetensors."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike | None = None, **kwargs) -> Self:
        """Load a network.

        Args:
            pretrained_model_name_or_path: a folder or a hub id, of the network or of a pipeline that has one such; None for the pipeline
                that ships inside the package.
            **kwargs: as for `ModelMixin.from_pretrained` (subfolder, revision, variant, cache_dir, local_files_only, token, dtype, ...).

        Raises:
            InputError: there is no such model, it is of another class or a newer version, weights are missing, of another shape or too
                many, or they are pickled.
        """
        path = check_model_path(pretrained_model_name_or_path)
        if kwargs.setdefault("use_safetensors", True) is False:
            raise InputError(f"{path}: use_safetensors is False; aniface reads no pickles")
        options = {key: kwargs[key] for key in HUB_OPTIONS if kwargs.get(key) is not None}
        if kwargs.get("subfolder") is None:
            kwargs["subfolder"] = cls._place_in(path, options)
        what = f"{path}/{kwargs['subfolder']}" if kwargs["subfolder"] else path
        if Path(path).is_dir():
            if not Path(what, "config.json").is_file():
                raise InputError(f"{what}: holds no config.json; expected a folder made by {cls.__name__}.save_pretrained")
            check_weight_files(Path(what), what)
        kwargs.setdefault("low_cpu_mem_usage", False)
        wants_info = kwargs.pop("output_loading_info", False)
        with loading(what):
            config = cls.load_config(path, subfolder=kwargs["subfolder"], **options)
            check_config(cls, config, what)
            check_extent(cls, config, what)
            network, info = super().from_pretrained(path, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs)
        if info["mismatched_keys"]:
            key, found, expected = info["mismatched_keys"][0]
            raise InputError(f"{what}: {key} has shape {tuple(found)}; {cls.__name__} with this config.json expects {tuple(expected)}")
        for keys, verb in ((info["missing_keys"], "lack"), (info["unexpected_keys"], "have, unknown to this version,")):
            if keys:
                more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
                raise InputError(f"{what}: the weights of {cls.__name__} {verb} {min(keys)}{more}; get the whole model again")
        return (network, info) if wants_info else network  # type: ignore[return-value]  # a pair for diffusers, which asks for it

    @classmethod
    def _place_in(cls, path: str, options: dict) -> str | None:
        """The subfolder of a pipeline that holds this network; None for a network by itself."""
        if Path(path, "config.json").is_file() or (index := read_index(path, **options)) is None:
            return None
        name = component_of(cls, index)
        if name is None:
            raise InputError(f"{path}: is a pipeline without a {cls.__name__}")
        return name

    def push_to_hub(self, repo_id: str, **kwargs) -> str:
        """Upload the network to the hub, with a card if the repository has none; see `aniface.hub.push`."""
        from ..hub import push

        return push(self, repo_id, **kwargs)
