"""How well styles and hair colours obey: the measures of the style encoder, the attribute vectors and the painter together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from .features import PictureFeatures
from .folders import Item, load_item
from .hair import HAIR_COLORS, ciede2000, measure_hair_color, srgb_to_lab
from .labels import HAIR, NUM_LABELS, STYLE_REGION_OF_LABEL, STYLE_REGIONS, Mask
from .losses import vae_divergence
from .metrics import confusion, kernel_distance, segmentation_scores
from .processing import mask_one_hot, pixels_from_uint8

SIZE = 512
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
Portraits = Sequence[tuple[np.ndarray, Mask]]
CORRELATED = ("hair", "clothes", "background")


def as_array(pipe, mask: Mask, **kwargs) -> np.ndarray:
    """One painted picture, (512, 512, 3) uint8."""
    return np.asarray(pipe(mask, **kwargs).images[0])


def hair_lab(picture: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Median CIELAB colour of the hair."""
    return seen_hair(picture, ids)[0]


def seen_hair(picture: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, str]:
    """`measure_hair_color` of masks that have hair."""
    measured = measure_hair_color(picture, ids)
    assert measured is not None
    return measured


def with_hair(items: Iterable[Item], least: float = 0.03) -> list[tuple[np.ndarray, Mask]]:
    """Picture and mask of the items that show hair on at least a share `least` of the picture."""
    loaded = ((picture, Mask(ids)) for picture, ids in (load_item(item, SIZE) for item in items))
    return [(picture, mask) for picture, mask in loaded if (mask.ids == HAIR).mean() >= least]


def evaluate_hair(pipe, masks: Sequence[Mask], seed: int = 0) -> dict:
    """Every named colour, and one random colour, on every mask: how often it is named right and how far off it is (CIEDE2000)."""
    rng = np.random.default_rng(seed)
    colours: dict[str, dict[str, Any]] = {name: {"differences": [], "right": 0} for name in HAIR_COLORS}
    off_random = []
    for number, mask in enumerate(masks):
        for name, row in colours.items():
            lab, seen = seen_hair(as_array(pipe, mask, hair_color=name, seed=number), mask.ids)
            row["differences"].append(float(ciede2000(lab, srgb_to_lab(np.array(HAIR_COLORS[name])))))
            row["right"] += seen == name
        asked = rng.integers(0, 256, 3)
        painted = as_array(pipe, mask, hair_color="#{:02x}{:02x}{:02x}".format(*asked), seed=number)
        off_random.append(float(ciede2000(hair_lab(painted, mask.ids), srgb_to_lab(asked))))
    return {
        "masks": len(masks),
        "colours": {
            name: {"named_so": row["right"] / len(masks), "median_ciede2000": float(np.median(row["differences"]))}
            for name, row in colours.items()
        },
        "named_so": sum(row["right"] for row in colours.values()) / len(masks) / len(colours),
        "median_ciede2000": float(np.median([d for row in colours.values() for d in row["differences"]])),
        "random_median_ciede2000": float(np.median(off_random)),
    }


def evaluate_rest(pipe, portraits: Portraits, seed: int = 0) -> dict:
    """What recolouring the hair of a portrait's own style does outside the hair, and to the mask that is seen in the picture."""
    names = list(HAIR_COLORS)
    differences, counts = [], np.zeros((NUM_LABELS, NUM_LABELS), np.int64)
    for number, (picture, mask) in enumerate(portraits):
        before = as_array(pipe, mask, reference=picture, seed=seed)
        after = as_array(pipe, mask, reference=picture, seed=seed, hair_color=names[number % len(names)])
        outside = mask.ids != HAIR
        differences.append(float(ciede2000(srgb_to_lab(before[outside]), srgb_to_lab(after[outside])).mean()))
        counts = counts + confusion(pipe.segment(before).ids, pipe.segment(after).ids)
    return {"pictures": len(portraits), "mean_ciede2000": float(np.mean(differences)), "miou": segmentation_scores(counts)["miou"]}


def share_monotonic(pipe, portraits: Portraits, tolerance: float = 1.0) -> float:
    """Share of (portrait, colour) whose hair comes nearer to the asked colour with each step of strength, within `tolerance`."""
    names, right = list(HAIR_COLORS), 0
    for number, (picture, mask) in enumerate(portraits):
        name = names[number % len(names)]
        asked = srgb_to_lab(np.array(HAIR_COLORS[name]))
        off = [
            float(ciede2000(hair_lab(as_array(pipe, mask, reference=picture, hair_color=name, strength=strength), mask.ids), asked))
            for strength in STRENGTHS
        ]
        right += all(b <= a + tolerance for a, b in pairwise(off))
    return right / len(portraits)


def region_colours(picture: np.ndarray, mask: Mask) -> np.ndarray:
    """(5, 3) mean CIELAB colours of the style regions, NaN where there are fewer than 100 pixels."""
    regions = np.array(STYLE_REGION_OF_LABEL)[mask.ids]
    rows = np.full((len(STYLE_REGIONS), 3), np.nan)
    for index in range(len(STYLE_REGIONS)):
        inside = regions == index
        if inside.sum() >= 100:
            rows[index] = srgb_to_lab(picture[inside].mean(0))
    return rows


def evaluate_references(pipe, portraits: Portraits, pairs: int, features: PictureFeatures, seed: int = 0) -> dict:
    """Do colours follow the reference, and does the own style bring a portrait back: all of it, and by its codes and colours alone?"""
    rng = np.random.default_rng(seed)
    asked, painted = [], []
    distances: dict[str, list] = {name: [] for name in ("own", "random", "own_by_codes", "random_by_codes")}

    def differences(picture: np.ndarray, shown: np.ndarray) -> tuple[float, float]:
        """Perceptual distance by the features, mean CIEDE2000 of the pixels."""
        return features.distance(picture, shown), float(ciede2000(srgb_to_lab(picture), srgb_to_lab(shown)).mean())

    for number in range(pairs):
        picture, mask = portraits[number % len(portraits)]
        reference = portraits[int(rng.integers(len(portraits)))][0]
        references = {"random": reference} | ({"own": picture} if number < len(portraits) else {})
        for name, shown in references.items():
            seen = pipe.encode_reference(shown)
            for kind, style in ((name, seen), (f"{name}_by_codes", replace(seen, details=()))):
                result = as_array(pipe, mask, reference=style, seed=number)
                distances[kind].append(differences(picture, result))
                if kind == "random":
                    asked.append(region_colours(reference, pipe.segment(reference)))
                    painted.append(region_colours(result, mask))
    all_asked, all_painted = np.stack(asked), np.stack(painted)
    correlations = {}
    for region in CORRELATED:
        index = STYLE_REGIONS.index(region)
        first, second = all_asked[:, index], all_painted[:, index]
        known = ~np.isnan(first + second).any(1)
        correlations[region] = float(np.mean([np.corrcoef(first[known, c], second[known, c])[0, 1] for c in range(3)]))
    return {
        "pairs": pairs,
        "reference_correlation": correlations,
        **{
            f"{name}_distance": dict(zip(("perceptual", "ciede2000"), np.mean(rows, 0).tolist(), strict=True))
            for name, rows in distances.items()
        },
    }


def evaluate_interpolation(pipe, portraits: Portraits, features: PictureFeatures, runs: int, steps: int = 8) -> dict:
    """Greatest perceptual step relative to the mean one, from one portrait's style to another's."""
    ratios = []
    for number in range(runs):
        (first, mask), (second, _) = portraits[number % len(portraits)], portraits[(number + 1) % len(portraits)]
        shares = [step / steps for step in range(steps + 1)]
        shown = [as_array(pipe, mask, reference=[(first, 1 - share), (second, share)]) for share in shares]
        distances = [features.distance(a, b) for a, b in pairwise(shown)]
        ratios.append(max(distances) / np.mean(distances))
    return {"runs": runs, "steps": steps, "greatest": float(max(ratios)), "mean_greatest": float(np.mean(ratios))}


@torch.inference_mode()
def encode_items(pipe, items: Iterable[Item]) -> tuple[torch.Tensor, torch.Tensor, list[str | None]]:
    """Means and log variances (N, 5, K) of the codes of portraits with their own masks, and the names of their hair's colours."""
    size = pipe.style_encoder.config.image_size
    means, log_variances, names = [], [], []
    for item in items:
        picture, ids = load_item(item, size)
        mean, log_variance = pipe.style_encoder(pixels_from_uint8(picture[None]), mask_one_hot(Mask(ids), size))
        measured = measure_hair_color(picture, ids) if (ids == HAIR).mean() >= 0.03 else None
        means.append(mean)
        log_variances.append(log_variance)
        names.append(measured[1] if measured else None)
    return torch.cat(means), torch.cat(log_variances), names


def evaluate_latent_space(pipe, train_items: Sequence[Item], items: Sequence[Item], features: PictureFeatures) -> dict:
    """A linear probe for hair colour, fitted to `train_items`, tested on `items`; KL divergence; random codes against encoded ones,
    both without details, which are no part of the latent space."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    hair = STYLE_REGIONS.index("hair")
    train_codes, _, train_names = encode_items(pipe, train_items)
    codes, log_variances, names = encode_items(pipe, items)

    def known(rows: torch.Tensor, labels: list) -> tuple[np.ndarray, list[str]]:
        chosen = [i for i, name in enumerate(labels) if name]
        return rows[chosen, hair].numpy(), [labels[i] for i in chosen]

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, max_iter=2000)).fit(*known(train_codes, train_names))
    real, free, styled = [], [], []
    for number, item in enumerate(items):
        picture, ids = load_item(item, SIZE)
        other, _ = load_item(items[(number + 1) % len(items)], SIZE)
        real.append(features.pooled([picture])[0])
        free.append(features.pooled([as_array(pipe, Mask(ids), seed=number)])[0])
        codes_alone = replace(pipe.encode_reference(other), details=())
        styled.append(features.pooled([as_array(pipe, Mask(ids), reference=codes_alone, seed=number)])[0])
    return {
        "probe_accuracy": float(probe.score(*known(codes, names))),
        "divergence": float(vae_divergence(codes, log_variances)),
        "kernel_random": kernel_distance(np.stack(real), np.stack(free)),
        "kernel_encoded": kernel_distance(np.stack(real), np.stack(styled)),
    }


def evaluate_style(pipe, items: Sequence[Item], train_items: Sequence[Item], features: PictureFeatures) -> dict:
    """All of it. `items` are held-out portraits with masks, `train_items` those that the style encoder was trained on.

    Hair is asked for on every mask and on its mirror image.
    """
    portraits = with_hair(items)
    few = portraits[: max(2, len(portraits) // 4)]
    return {
        "what": "style",
        "pictures": len(portraits),
        "resolution": SIZE,
        "features": features.name,
        "hair": evaluate_hair(pipe, [turned for _, mask in portraits for turned in (mask, Mask(mask.ids[:, ::-1]))]),
        "rest_of_picture": evaluate_rest(pipe, portraits),
        "monotonic": share_monotonic(pipe, few),
        **evaluate_references(pipe, portraits, 2 * len(portraits), features),
        "interpolation": evaluate_interpolation(pipe, portraits, features, len(few)),
        "latent_space": evaluate_latent_space(pipe, train_items, items, features),
    }
