"""Train the face parser on annotated (and, with --masks_dir, pseudo-labelled) pictures.

accelerate launch -m train.train_segmenter --train_data_dir PICTURES --masks_dir ANNOTATIONS --output_dir runs/segmenter

With --self_training the pictures without a mask help too: beside each annotated picture of a batch stands one of them. The moving average
of the network labels it as it is, and the network must say the same of its recoloured, blurred, pasted and cut version (mean teacher,
Tarvainen & Valpola 2017; FixMatch, Sohn et al. 2020). With --teacher, once for each, trained segmenters label it together instead (noisy
student, Xie et al. 2020).

With a --resolution above the network's own size its result is compared with masks of that size, which say better where a border lies.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from aniface.folders import Item, find_items, load_all, split_items
from aniface.labels import NUM_LABELS, PALETTE, InputError
from aniface.losses import segmentation_loss, self_training_loss
from aniface.memory import keep_freed_memory
from aniface.metrics import confusion, segmentation_scores
from aniface.models.segmenter import TEACHER, VERSIONS, FaceSegmenter, logits_at
from aniface.processing import pixels_from_uint8

from .augment import augment_pair, change_looks, random_grid, warp
from .common import Run, make_parser, read_flags, run_script
from .data import SampleStream, contact_sheet
from .dataset import data_folder


def parse_args():
    parser = make_parser(__doc__, output_dir="runs/segmenter", train_batch_size=12, learning_rate=1e-3, resolution=512)
    versions = (*VERSIONS, "teacher")
    parser.add_argument("--version", choices=versions, default="v4", help="v1, v2, v3: the article's U-Nets; v4: ours; teacher: a wider v4")
    parser.add_argument(
        "--image_size", type=int, help="size that the network works at; by default the version's, or the one it was trained at"
    )
    parser.add_argument("--encoder_weights", help="safetensors file of an ImageNet MobileNetV2 (transformers' layout)")
    parser.add_argument("--encoder_learning_rate", type=float, default=3e-4)
    parser.add_argument("--self_training", action="store_true", help="learn from pictures without a mask too; doubles a batch")
    parser.add_argument("--self_training_weight", type=float, default=1.0)
    parser.add_argument("--teacher", action="append", default=[], help="segmenter that labels for --self_training; can be given again")
    parser.add_argument(
        "--annotated_share", type=float, default=0.0, help="at least so much of what is drawn are annotations (labelme), not mask pictures"
    )
    parser.add_argument("--annotations", type=int, help="use only so many of the masks; the other pictures count as without one")
    return read_flags(parser)


def build_segmenter(args) -> FaceSegmenter:
    """A pretrained segmenter, or a new one whose encoder starts from ImageNet weights if given."""
    try:
        if args.pretrained_model_name_or_path:
            model = FaceSegmenter.from_pretrained(args.pretrained_model_name_or_path)
            return model.at_size(args.image_size) if args.image_size else model
        settings: dict[str, Any] = TEACHER if args.version == "teacher" else VERSIONS[args.version]
        model = FaceSegmenter(**settings | ({"image_size": args.image_size} if args.image_size else {}))
    except ValueError as error:
        raise InputError(str(error)) from None
    if args.encoder_weights:
        model.encoder.load_imagenet(args.encoder_weights)
    return model


def class_weights(masks: np.ndarray) -> torch.Tensor:
    """1 / sqrt(share of the class), normalised to mean 1: rare classes count more."""
    shares = np.bincount(masks.ravel(), minlength=NUM_LABELS) / masks.size
    weights = 1 / np.sqrt(np.maximum(shares, 1e-4))
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


def find_portraits(args) -> tuple[list[Item], list[Item], list[Item]]:
    """Items to train on, those held out, and those without a mask (none of them unless --self_training)."""
    items = find_items(data_folder(args), args.masks_dir, need_masks=False)
    train, held = split_items([item for item in items if item.mask], args.holdout, args.holdout_seed)
    if args.annotations:
        keep = np.random.default_rng(args.seed).permutation(len(train))[: args.annotations]
        train = [train[index] for index in sorted(keep)]
    used = {item.name for item in (*train, *held)}
    return train, held, [item for item in items if item.name not in used] if args.self_training else []


def drawing_order(items: list[Item], annotated_share: float) -> np.ndarray:
    """What an epoch draws, as indices of items: each once, or the annotated ones so often that they are at least this share of it."""
    if not 0 <= annotated_share < 1:
        raise InputError(f"--annotated_share is {annotated_share:g}; expected a number from 0 to less than 1")
    annotated = np.array([item.mask is not None and item.mask.suffix == ".json" for item in items])
    few, others = int(annotated.sum()), int((~annotated).sum())
    times = math.ceil(annotated_share / (1 - annotated_share) * others / max(few, 1))
    return np.repeat(np.arange(len(items)), np.where(annotated, max(times, 1), 1))


class SegmenterStream(SampleStream):
    """Samples with keys pixels and other (R, R, 3), ids (R, R), all uint8, and seeds (2,), what happens to them; with pictures that have
    no mask also free, one of those, and behind, another, both (R, R, 3). An epoch draws pictures[order]."""

    def __init__(self, pictures: np.ndarray, masks: np.ndarray, free: np.ndarray, seed: int, order: np.ndarray):
        self.pictures, self.masks, self.free, self.order = pictures, masks, free, order
        super().__init__(len(order), self._make, seed)

    def _make(self, position: int, rng: np.random.Generator) -> dict:
        index = self.order[position]
        sample = {"pixels": self.pictures[index], "ids": self.masks[index], "other": self._any_picture(self.pictures, rng)}
        if len(self.free):
            sample |= {"free": self._any_picture(self.free, rng), "behind": self._any_picture(self.free, rng)}
        return sample | {"seeds": rng.integers(2**31, size=2)}

    @staticmethod
    def _any_picture(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return pictures[rng.integers(len(pictures))]


def augment_batch(batch: dict, seeds: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch's annotated pictures (B, 3, R, R) and their masks (B, R, R), changed as the seeds say."""
    pixels, others, ids = pixels_from_uint8(batch["pixels"]), pixels_from_uint8(batch["other"]), batch["ids"].long()
    generators = map(np.random.default_rng, seeds)
    pairs = [augment_pair(*sample) for sample in zip(pixels, ids, generators, others, strict=True)]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


def warp_free(batch: dict, generators: list[np.random.Generator]) -> torch.Tensor:
    """The batch's pictures without a mask (B, 3, R, R), only warped: what their teacher sees."""
    pixels = pixels_from_uint8(batch["free"])
    grids = [random_grid(rng, pixels.shape[-1], device=pixels.device) for rng in generators]
    return torch.stack([warp(*sample) for sample in zip(pixels, grids, strict=True)])


def change_free(batch: dict, generators: list[np.random.Generator], free: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The warped pictures without a mask, as the student sees them; regions are those that the teacher sees."""
    others = pixels_from_uint8(batch["behind"])
    return torch.stack([change_looks(*sample) for sample in zip(free, teacher.argmax(1), generators, others, strict=True)])


@torch.no_grad()
def label(teachers: list[FaceSegmenter], pixels: torch.Tensor) -> torch.Tensor:
    """(B, 3, R, R) -> (B, 7, R, R): the teachers' mean probabilities of the pictures and their mirror images."""
    both = torch.cat([pixels, pixels.flip(-1)])
    mean = reduce(add, (teacher.predict(both) for teacher in teachers)) / len(teachers)
    straight, mirrored = mean.chunk(2)
    return (straight + mirrored.flip(-1)) / 2


def logits_of(network: nn.Module, pixels: torch.Tensor, image_size: int) -> torch.Tensor:
    """(B, 3, R, R) pictures -> (B, 7, R, R) logits of a network that works at `image_size`, or at R if that is less."""
    return logits_at(network, pixels, min(image_size, pixels.shape[-1]))


@torch.inference_mode()
def predict(model: FaceSegmenter, pictures: np.ndarray) -> np.ndarray:
    """(N, R, R, 3) uint8 -> (N, R, R) uint8 class ids."""
    batches = (pixels_from_uint8(picture[None]).to(model.device) for picture in pictures)
    guesses = (logits_of(model, pixels, model.config.image_size).argmax(1) for pixels in batches)
    return np.concatenate([ids.byte().cpu().numpy() for ids in guesses])


def validate(model: FaceSegmenter, pictures: np.ndarray, masks: np.ndarray) -> tuple[dict[str, float], Image.Image]:
    """Scores on held-out pairs and a sheet of true and guessed masks (never the pictures)."""
    guesses = predict(model, pictures)
    sheet = contact_sheet([[PALETTE[t] for t in masks[:8]], [PALETTE[g] for g in guesses[:8]]])
    return segmentation_scores(reduce(add, (confusion(t, g) for t, g in zip(masks, guesses, strict=True)))), sheet


def main() -> None:
    args = parse_args()
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    if args.teacher and not args.self_training:
        raise InputError("--teacher labels pictures without a mask, which only --self_training looks at; give both")
    train_items, held_items, free_items = find_portraits(args)
    order = drawing_order(train_items, args.annotated_share)
    pictures, masks = load_all(train_items, args.resolution)
    held_pictures, held_masks = load_all(held_items, args.resolution)
    free = load_all([replace(item, mask=None) for item in free_items], args.resolution)[0]
    model = build_segmenter(args).to(memory_format=torch.channels_last)
    decoder = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    groups = [
        {"params": decoder, "lr": args.learning_rate},
        {"params": list(model.encoder.parameters()), "lr": args.encoder_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    run = Run(args, {"segmenter": model}, {"segmenter": optimizer}, ema=("segmenter",))
    network = run.networks["segmenter"]
    teachers = [FaceSegmenter.from_pretrained(path).eval().requires_grad_(False).to(run.device) for path in args.teacher]
    weights = class_weights(masks).to(run.device)
    # A network trained with class weights w estimates w * p / sum(w * p): it gets log w for nothing, so its own logits are log p (Menon et
    # al. 2021, "Long-Tail Learning via Logit Adjustment"). The weights help learning, yet would inflate the rare classes.
    offset = weights.log()[:, None, None]

    def report_on_held_out(step: int) -> None:
        scores, sheet = validate(run.ema["segmenter"], held_pictures, held_masks)
        run.show("validation", sheet, step)
        print({name: round(value, 4) for name, value in scores.items()}, flush=True)

    for batch in run.batches(SegmenterStream(pictures, masks, free, args.seed, order)):
        network.train()
        seeds = batch["seeds"].T.tolist()  # the only time in a step that anything waits for a GPU
        pixels, ids = augment_batch(batch, seeds[0])
        if len(free):
            generators = [np.random.default_rng(seed) for seed in seeds[1]]
            unmasked = warp_free(batch, generators)
            with run.accelerator.autocast():
                teacher = label(teachers, unmasked) if teachers else run.ema["segmenter"].predict(unmasked)
            pixels = torch.cat([pixels, change_free(batch, generators, unmasked, teacher)])
        with run.accelerator.accumulate(network):
            logits = logits_of(network, pixels, model.config.image_size)
            loss = segmentation_loss(logits[: len(ids)] + offset, ids, weights)
            logged = {}
            if len(free):
                agreement = self_training_loss(logits[len(ids) :], teacher)
                logged = {"self_training": agreement, "sure": (teacher.amax(1) >= 0.8).float().mean()}
                loss = loss + args.self_training_weight * agreement
            run.descend(loss, "segmenter", max_norm=1.0)
        run.update_ema()
        run.log(loss=loss, **logged)
        if len(held_pictures) and (run.step + 1) % args.validation_steps == 0 and run.accelerator.is_main_process:
            report_on_held_out(run.step + 1)
    if run.accelerator.is_main_process:
        if len(held_pictures):
            report_on_held_out(run.step)
        run.save(run.ema["segmenter"], "model")
        run.finish(run.ema["segmenter"])


if __name__ == "__main__":
    run_script(main)
