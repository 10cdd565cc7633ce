"""Hostile inputs for every reader of outside data: pictures, annotations, models, and what browsers and programs send to the studio.

python -m tests.fuzz -n 10000 [--reader labelme] [--seed 0]

Each input is a good one that was damaged at random. A reader must take it or refuse it with an InputError of one line, within 5 s and
1 GB, and may write nothing outside its folder. Inputs that break a rule are kept in test-output/fuzz and told with their traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import faulthandler
import io
import json
import os
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from aniface.labels import MAX_MESSAGE, InputError, Mask, mask_to_labelme, open_picture
from aniface.processing import fit_picture, to_rgb_picture
from aniface.start_masks import start_masks

MOST_SECONDS, MOST_MEGABYTES = 5.0, 1000
KEPT = Path(__file__).parents[1] / "test-output" / "fuzz"
WEIGHTS = "diffusion_pytorch_model.safetensors"

# --- damage ---

NUMBERS = [0, 1, -1, 7, 255, 65535, 65536, 2**31 - 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), -1e99]
TEXTS = [
    "",
    " ",
    "hair",
    "../../../etc/passwd",
    "/dev/zero",
    "a\nb\r\x1b[31m\u202e",
    "\ud800",
    "\0",
    "ｈａｉｒ",
    "é" * 3000,
    "%s{0}",
    "1e5",
    "#12345g",
]
DEEP = "deep nesting stands here"


def hostile(rng: random.Random):
    """A value that a program may not expect."""
    return rng.choice([None, True, False, [], {}, [[]], {"": []}, DEEP, rng.choice(NUMBERS), rng.choice(NUMBERS), rng.choice(TEXTS)])


def places(value) -> list[tuple]:
    """(container, key) of everything inside a JSON value."""
    found = []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += [(value, key), *places(inner)]
    return found


def damaged_value(value, rng: random.Random):
    """A JSON value with some of its parts replaced, removed, swapped or multiplied."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        spots = places(value)
        if not spots:
            return hostile(rng)
        container, key = rng.choice(spots)
        match rng.randrange(6):
            case 0 | 1 | 2:
                container[key] = hostile(rng)
            case 3:
                del container[key]
            case 4:
                other, other_key = rng.choice(spots)
                container[key] = copy.deepcopy(other[other_key]) if other_key in other or isinstance(other, list) else None
            case 5 if isinstance(container, list):
                container[key : key + 1] = [container[key]] * rng.choice([2, 50, 3000])
            case _:
                container[key] = [container[key]]
    return value


def as_json(value, rng: random.Random) -> bytes:
    """A value as JSON, deep nestings spelt out, now and then with damaged bytes."""
    depth = rng.choice([50, 900, 990, 5000, 100_000])
    text = json.dumps(value).replace(json.dumps(DEEP), "[" * depth + "]" * depth).encode()
    return damaged_bytes(text, rng) if rng.random() < 0.2 else text


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, parts cut, repeated, swapped or overwritten with numbers at the edges of their ranges."""
    result = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 40])):
        at = rng.randrange(len(result) + 1)
        match rng.randrange(6):
            case 0 | 1 if at < len(result):
                result[at] ^= 1 << rng.randrange(8)
            case 2:
                del result[at : at + rng.choice([1, 4, 100, len(result)])]
            case 3:
                result[at:at] = result[at : at + rng.choice([1, 16, 500])]
            case 4:
                number = rng.choice([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 5000, 16384])
                result[at : at + 4] = number.to_bytes(4, rng.choice(["big", "little"]))
            case _:
                result[at:at] = rng.randbytes(rng.choice([1, 8, 300]))
    return bytes(result)


def with_checksums(png: bytes) -> bytes:
    """A damaged PNG whose chunks have right checksums, so that decoders look further."""
    at, result = 8, bytearray(png)
    while at + 12 <= len(result):
        length = int.from_bytes(result[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(result):
            break
        result[end : end + 4] = struct.pack(">I", zlib.crc32(result[at + 4 : end]))
        at = end + 4
    return bytes(result)


# --- readers ---


class PictureFiles:
    """Picture files of every format and mode that is read."""

    def __init__(self, folder: Path, read: Callable[[Path], object]):
        self.folder, self.read_file = folder, read
        mask = start_masks()["bob"].fit(48)
        drawn = Image.fromarray(mask.to_rgb())
        rgba = drawn.convert("RGBA")
        rgba.putalpha(Image.fromarray(np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))))
        self.good = []
        for picture, formats in (
            (mask.to_image(), ("PNG", "GIF", "BMP", "TIFF")),
            (drawn, ("PNG", "JPEG", "WEBP", "BMP", "TIFF")),
            (rgba, ("PNG", "WEBP", "TIFF")),
            (drawn.convert("CMYK"), ("JPEG", "TIFF")),
            (Image.fromarray(mask.ids), ("PNG", "TIFF")),
            (Image.fromarray(mask.ids.astype(np.uint16) * 9000), ("PNG", "TIFF")),
            (Image.fromarray(mask.ids.astype(np.float32)), ("TIFF",)),
            (drawn.convert("LAB"), ("TIFF",)),
            (drawn.convert("1"), ("PNG", "TIFF")),
            (drawn.quantize(5), ("PNG",)),
        ):
            for kind in formats:
                stream = io.BytesIO()
                picture.save(stream, kind, **({"transparency": 3} if kind in ("PNG", "GIF") and picture.mode == "P" else {}))
                self.good.append((kind, stream.getvalue()))
        stream = io.BytesIO()
        Image.fromarray(np.zeros((7900, 8000), np.uint8)).save(stream, "PNG")
        self.large = stream.getvalue()

    def make(self, rng: random.Random) -> bytes:
        if rng.random() < 0.001:
            return self.large
        kind, data = rng.choice(self.good)
        if rng.random() < 0.05:
            return data
        if kind == "PNG":
            return with_checksums(damaged_bytes(data, rng)) if rng.random() < 0.8 else damaged_bytes(data, rng)
        return damaged_bytes(data, rng)

    def read(self, data: bytes) -> None:
        path = self.folder / "input.png"
        path.write_bytes(data)
        self.read_file(path)


def read_mask(path: Path) -> None:
    Mask.open(path).fit(64)


def read_picture(path: Path) -> None:
    fit_picture(to_rgb_picture(open_picture(path)), 64)


class Annotations:
    """labelme JSON files."""

    def __init__(self, folder: Path):
        self.path = folder / "input.json"
        self.good = [mask_to_labelme(mask.fit(size), "x.png") for mask in list(start_masks().values())[:2] for size in (32, 96)]

    def make(self, rng: random.Random) -> bytes:
        return as_json(damaged_value(rng.choice(self.good), rng), rng)

    def read(self, data: bytes) -> None:
        self.path.write_bytes(data)
        Mask.open(self.path)


def small_pipeline():
    """A pipeline of the smallest networks there can be; it paints 16 pixels, shown as 512."""
    import torch

    from aniface import AnifacePipeline, DetailAdapter, FacePainter, FaceSegmenter, HairColors, MaskDenoiser, StyleEncoder
    from aniface.random_masks import make_scheduler

    class Enlarged(AnifacePipeline):
        def __call__(self, *args, **kwargs):
            output = super().__call__(*args, **kwargs)
            output.images = [image.resize((512, 512)) for image in output.images]
            return output

    torch.manual_seed(0)
    painter = FacePainter(channels=(8, 8), rgb_size=16, spade_hidden=4, latent_dim=4, style_channels=8, head_channels=0)
    segmenter = FaceSegmenter(image_size=64, decoder_channels=(8, 8, 8, 8, 8))
    denoiser = MaskDenoiser(mask_size=16, channels=(8, 16), time_dim=8)
    encoder = StyleEncoder(image_size=32, channels=(8, 8), latent_dim=4)
    adapter = DetailAdapter(image_size=16, width=4, channels=(8,))
    return Enlarged(segmenter, encoder, HairColors(4), painter, denoiser, make_scheduler(), adapter)


class ModelFiles:
    """One file of a model's folder is damaged, then the model is loaded."""

    def __init__(self, folder: Path):
        from aniface import AnifacePipeline, DetailAdapter, FacePainter, FaceSegmenter, HairColors, MaskDenoiser, StyleEncoder

        self.folder = folder / "model"
        pipe = small_pipeline()
        AnifacePipeline(**pipe.components).save_pretrained(self.folder)
        kinds = {"painter": FacePainter, "hair_vectors": HairColors, "style_encoder": StyleEncoder, "mask_denoiser": MaskDenoiser}
        self.kinds = kinds | {"segmenter": FaceSegmenter, "detail_adapter": DetailAdapter, "": AnifacePipeline}

    def read(self, damaged: tuple[str, str, bytes]) -> None:
        part, file, data = damaged
        path = self.folder / part / file
        good = path.read_bytes()
        path.write_bytes(data)
        try:
            kind = self.kinds["" if file == "scheduler_config.json" else part]
            kind.from_pretrained(self.folder if kind is self.kinds[""] else self.folder / part)
        finally:
            path.write_bytes(good)


class Configs(ModelFiles):
    """config.json, model_index.json, scheduler_config.json."""

    FILES = [("painter", "config.json"), ("hair_vectors", "config.json"), ("style_encoder", "config.json")] * 3
    FILES += [("mask_denoiser", "config.json"), ("segmenter", "config.json"), ("detail_adapter", "config.json")]
    FILES += [("", "model_index.json"), ("mask_scheduler", "scheduler_config.json")]

    def make(self, rng: random.Random) -> tuple[str, str, bytes]:
        part, file = rng.choice(self.FILES)
        good = json.loads((self.folder / part / file).read_text())
        return part, file, as_json(damaged_value(good, rng), rng)


class Safetensors(ModelFiles):
    """Headers and data of weight files."""

    def make(self, rng: random.Random) -> tuple[str, str, bytes]:
        part = rng.choice(["hair_vectors", "hair_vectors", "style_encoder", "painter"])
        data = (self.folder / part / WEIGHTS).read_bytes()
        if rng.random() < 0.3:
            return part, WEIGHTS, damaged_bytes(data, rng)
        end = 8 + int.from_bytes(data[:8], "little")
        header = as_json(damaged_value(json.loads(data[8:end]), rng), rng)
        length = len(header) if rng.random() < 0.9 else rng.choice([0, 2**31, 2**63, len(header) + 1])
        return part, WEIGHTS, length.to_bytes(8, "little") + header + data[end:]


class Payloads:
    """What a browser or a program sends to each of the studio's events."""

    def __init__(self, folder: Path):
        import gradio as gr

        from aniface.ui.canvas import encode_mask
        from aniface.ui.session import Session
        from aniface.ui.studio import build_studio

        self.gr, self.studio, self.folder = gr, build_studio(small_pipeline()), folder
        self.events = [event for event in self.studio.fns.values() if event.fn]
        self.mask = folder / "mask.png"
        start_masks()["bob"].save(self.mask)
        self.drawing, self.loop = encode_mask(start_masks()["bob"]), asyncio.new_event_loop()
        self.session = Session()
        recipe = self.session.recipe(self.drawing, "auto", 1.0, 0, 1.0)
        self.session.add(recipe, Image.new("RGB", (512, 512)), "thumbnail")
        self.session.offered = [recipe]

    def good_value(self, component):
        if isinstance(component, self.gr.State):
            return None
        if isinstance(component, (self.gr.File, self.gr.UploadButton)):
            return {"path": str(self.mask), "meta": {"_type": "gradio.FileData"}}
        return self.drawing if component.elem_id == "canvas" else component.value

    def make(self, rng: random.Random) -> tuple[int, list, object]:
        number = rng.randrange(len(self.events))
        good = [self.good_value(component) for component in self.events[number].inputs]
        values = damaged_value(good, rng) if good and rng.random() < 0.8 else good
        index = rng.choice([0, 0, 1, -1, 99, hostile(rng)])
        return number, values, {"index": index, "value": hostile(rng)} if rng.random() < 0.8 else hostile(rng)

    def read(self, sent: tuple[int, list, object]) -> None:
        self.loop.run_until_complete(self.call(*sent))

    async def call(self, number: int, values: list, event) -> None:
        from gradio.state_holder import SessionState

        gr, function = self.gr, self.events[number]
        state = SessionState(self.studio)
        for component in function.inputs:
            if isinstance(component, gr.State):
                state[component._id] = copy.copy(self.session)
        try:
            taken = await self.studio.preprocess_data(function, values, state, explicit_call=True)
            event = gr.SelectData(None, event) if "choose" in function.name else gr.EventData(None, event)
        except Exception as error:  # what Gradio itself refuses does not reach the studio
            raise InputError(f"refused by Gradio: {type(error).__name__}") from None
        try:
            await self.studio.call_function(function, taken, event_data=event, state=state)
        except gr.Error as error:
            assert str(self.folder) not in str(error.message), error.message
            raise InputError(str(error.message)) from None


READERS: dict[str, Callable[[Path], object]] = {
    "masks": lambda folder: PictureFiles(folder, read_mask),
    "pictures": lambda folder: PictureFiles(folder, read_picture),
    "labelme": Annotations,
    "configs": Configs,
    "safetensors": Safetensors,
    "payloads": Payloads,
}

# --- the rules ---


class Watch:
    """Holds what is read to its rules: time, memory, places that are written to, and the look of messages."""

    def __init__(self, folder: Path):
        self.folder, self.outside, self.armed = os.path.realpath(folder), [], False
        sys.dont_write_bytecode = True
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple) -> None:
        if not self.armed:
            return
        if event == "open":
            path, _, flags = args
            written = isinstance(path, (str, bytes, os.PathLike)) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            paths = [path] if written else []
        else:
            paths = (
                list(args[:2])
                if event == "os.rename"
                else [args[0]]
                if event in ("os.remove", "os.mkdir", "os.symlink", "os.rmdir")
                else []
            )
        if event in ("os.remove", "os.rmdir") and args[1] != -1:  # relative to a folder that is open
            return
        for path in map(os.fsdecode, paths):
            if not os.path.realpath(path).startswith(self.folder) and path != os.devnull:
                self.outside.append(path)

    def verdict(self, read: Callable[[object], None], data) -> tuple[str, str | None]:
        """("taken" or "refused", what was wrong or None)."""
        before, started, wrong = megabytes("VmRSS"), time.process_time(), None
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
        faulthandler.dump_traceback_later(120, exit=True)  # of waiting; the limit below is of computing, which other work does not lengthen
        self.armed, what = True, "taken"
        try:
            read(data)
        except InputError as error:
            what, text = "refused", str(error)
            if "\n" in text or not text.isprintable() or len(text) > MAX_MESSAGE + 1000 or len(text) < 10:
                wrong = f"its message reads badly: {text!r}"
        except Exception:
            wrong = traceback.format_exc()
        finally:
            self.armed = False
            faulthandler.cancel_dump_traceback_later()
        seconds, grown = time.process_time() - started, megabytes("VmHWM") - before
        if seconds > MOST_SECONDS:
            wrong = f"took {seconds:.1f} s"
        if grown > MOST_MEGABYTES:
            wrong = f"took {grown:.0f} MB"
        if self.outside:
            wrong, self.outside = f"wrote to {self.outside}", []
        return what, wrong


def megabytes(name: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) / 1024


def fuzz(name: str, numbers: Iterable[int], seed: int, watch: Watch, folder: Path) -> int:
    """Read the inputs of these numbers; returns how many broke a rule."""
    folder.mkdir()
    reader = READERS[name](folder)
    outcomes: Counter = Counter()
    started, slowest = time.perf_counter(), (0.0, 0)
    for number in numbers:
        rng = random.Random(f"{name} {seed} {number}")
        data = reader.make(rng)
        begun = time.process_time()
        what, wrong = watch.verdict(reader.read, data)
        slowest = max(slowest, (time.process_time() - begun, number))
        outcomes["wrong" if wrong else what] += 1
        if wrong:
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{name}-{seed}-{number}").write_bytes(data if isinstance(data, bytes) else pickle.dumps(data))
            print(f"{name} {number} (--seed {seed}): {wrong}\n", file=sys.stderr, flush=True)
    told = ", ".join(f"{number} {what}" for what, number in sorted(outcomes.items()))
    print(f"{name}: {told}; {time.perf_counter() - started:.0f} s, the slowest, {slowest[1]}, {slowest[0]:.1f} s", flush=True)
    return outcomes["wrong"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--inputs", type=int, default=10_000, help="for each reader")
    parser.add_argument("--reader", action="append", choices=tuple(READERS), help="by default all of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="read the input of this number alone")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        tempfile.tempdir = str(folder)
        watch = Watch(folder)
        soft = int(megabytes("VmSize") * 2**20) + 16 * 2**30  # a last resort: the machine itself must survive
        resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))
        numbers = range(args.inputs) if args.only is None else [args.only]
        wrong = sum(fuzz(reader, numbers, args.seed, watch, folder / reader) for reader in args.reader or READERS)
    raise SystemExit(f"{wrong} inputs broke a rule: see {KEPT}" if wrong else 0)


if __name__ == "__main__":
    main()
