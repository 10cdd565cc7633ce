"""How good random masks are: kept rules, spread of the classes, novelty, painted pictures and speed, as a plain dictionary."""

from __future__ import annotations

import numpy as np
import torch

from .evaluation import median_milliseconds
from .features import PictureFeatures
from .folders import Item, load_item
from .labels import BACKGROUND, EYE, FACE, HAIR, MOUTH, InputError, Mask
from .mask_statistics import SIZE, distances, halves, is_valid, measure, nearest_iou, validity
from .metrics import confusion, iou_per_class, kernel_distance

PICTURE_SIZE = 512
AMOUNTS = (0.25, 0.5, 0.75, 1.0)
REFERENCE_PORTRAITS = 300


def draw_masks(pipe, seeds) -> tuple[list[Mask], list[Mask]]:
    """The random masks of some seeds, and what each seed's first try was: the same mask unless that one broke a rule."""
    sampler = pipe.mask_sampler()
    first_tries = [sampler.random(seed, attempts=1) for seed in seeds]
    masks = [first if is_valid(first) else pipe.random_mask(seed=seed) for seed, first in zip(seeds, first_tries, strict=True)]
    return masks, first_tries


def evaluate_masks(pipe, items: list[Item], train_items: list[Item], features: PictureFeatures, masks, first_tries) -> dict:
    """Random masks beside real ones.

    Args:
        items: portraits with masks that were not trained on.
        train_items: the training portraits.
        features: what the kernel distance of painted pictures is measured in.
        masks, first_tries: from `draw_masks`.
    """
    if min(len(masks), len(items), len(train_items)) < 2:
        raise InputError(f"{len(masks)} random, {len(items)} real and {len(train_items)} training masks; expected at least 2 of each")
    real = [item.open_mask().fit(PICTURE_SIZE) for item in items]
    train = [item.open_mask().fit(SIZE) for item in train_items]
    return compare_masks(masks, first_tries, real, train) | evaluate_use(pipe, masks, real, items, train_items, features)


def compare_masks(masks: list[Mask], first_tries: list[Mask], real: list[Mask], train: list[Mask]) -> dict:
    """Rules, spread and novelty of random masks beside those of held-out real ones and of training masks."""
    groups = {"random": masks, "random, first try": first_tries, "real, held out": real, "training": train}
    train_figures = measure(train)
    return {
        "what": "masks",
        "masks": len(masks),
        "real_masks": len(real),
        "train_masks": len(train),
        "valid": {name: share_kept(group) for name, group in groups.items()},
        "wasserstein": {
            "random": distances(measure(masks), train_figures),
            "real, held out": distances(measure(real), train_figures),
            "two halves of training": distances(*halves(train_figures)),
        },
        "nearest_training_iou": {
            "random": quantiles(nearest_iou(masks, train)),
            "real, held out": quantiles(nearest_iou(real, train)),
            "training": quantiles(nearest_iou(train, train, leave_out_same=True)),
        },
        "different": len(set(masks)),
    }


def evaluate_use(pipe, masks: list[Mask], real: list[Mask], items: list[Item], train_items: list[Item], features: PictureFeatures) -> dict:
    """What is made of masks: variations, completions, pictures; and the time a random mask takes."""
    return {
        "varied_miou": evaluate_variation(pipe, real[:20]),
        "completed": evaluate_completion(pipe, real[:50]),
        "painted": evaluate_painted(pipe, masks[: len(items)], items, train_items, features),
        "milliseconds": median_milliseconds(lambda: pipe.random_mask(seed=0)),
        "threads": torch.get_num_threads(),
    }


def share_kept(masks: list[Mask]) -> dict[str, float]:
    """The share of masks that keep each rule of `validity`, and "all" of them."""
    kept = [validity(mask) for mask in masks]
    shares = {rule: float(np.mean([one[rule] for one in kept])) for rule in kept[0]}
    return shares | {"all": float(np.mean([all(one.values()) for one in kept]))}


def quantiles(values: np.ndarray) -> dict[str, float]:
    return {name: float(np.quantile(values, q)) for name, q in (("5 %", 0.05), ("median", 0.5), ("95 %", 0.95), ("greatest", 1.0))}


def evaluate_variation(pipe, real: list[Mask]) -> dict[str, float]:
    """Mean mIoU of a mask and its variation, by amount."""
    return {
        f"{amount:g}": float(
            np.mean([np.nanmean(iou_per_class(confusion(m.ids, pipe.vary_mask(m, amount, seed=n).ids))) for n, m in enumerate(real)])
        )
        for amount in AMOUNTS
    }


def evaluate_completion(pipe, real: list[Mask]) -> dict[str, dict[str, float]]:
    """Hair and face of real masks, completed: how often every drawn pixel stays, eyes and a mouth are there, and all rules are kept.

    "gaps": eyes and mouth are left out of the face; "whole face": the face is drawn over them, and "kept" excepts what lies on it.
    """
    report = {}
    for name, whole in (("gaps", False), ("whole face", True)):
        rows = []
        for number, mask in enumerate(real):
            drawn = np.where(np.isin(mask.ids, (FACE, HAIR)), mask.ids, BACKGROUND)
            if whole:
                drawn = np.where(np.isin(mask.ids, (EYE, MOUTH)), FACE, drawn)
            done = pipe.complete_mask(drawn, seed=number)
            same = (done.ids == drawn) | (drawn == BACKGROUND)
            if whole:
                same |= (drawn == FACE) & np.isin(done.ids, (EYE, MOUTH))
            rows.append((same.all(), (done.ids == EYE).any() and (done.ids == MOUTH).any(), is_valid(done)))
        report[name] = dict(zip(("kept", "eyes_and_mouth", "valid"), np.mean(rows, axis=0).tolist(), strict=True))
    return report


def evaluate_painted(
    pipe, masks: list[Mask], items: list[Item], train_items: list[Item], features: PictureFeatures
) -> dict[str, float | str]:
    """Kernel distance to training portraits of pictures painted, in random styles, from random masks and from held-out real ones."""
    chosen = train_items[:: max(1, len(train_items) // REFERENCE_PORTRAITS)]
    reference = np.concatenate([features.pooled([load_item(item, PICTURE_SIZE)[0]]) for item in chosen])

    def distance(painted) -> float:
        return kernel_distance(
            reference,
            np.concatenate([features.pooled([pipe(mask, seed=number).images[0]]) for number, mask in enumerate(painted)]),
        )

    random, real = distance(masks), distance(item.open_mask() for item in items)
    return {"random": random, "real": real, "ratio": random / real, "pictures": len(masks), "features": features.name}
