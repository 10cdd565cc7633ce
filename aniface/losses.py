"""Loss functions: pure, on tensors."""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch.nn import functional as F


def border_weights(ids: torch.Tensor, width: int = 2, extra: float = 2.0) -> torch.Tensor:
    """(B, H, W) class ids -> (B, H, W) weights: 1, and 1 + extra within `width` pixels of a border between classes."""
    values = ids[:, None].float()
    window = 2 * width + 1
    highest = F.max_pool2d(values, window, stride=1, padding=width)
    lowest = -F.max_pool2d(-values, window, stride=1, padding=width)
    return 1 + extra * (highest != lowest)[:, 0].float()


def segmentation_loss(logits: torch.Tensor, ids: torch.Tensor, class_weights: torch.Tensor | None = None) -> torch.Tensor:
    """Cross-entropy, heavier at borders, plus soft Dice over the classes that occur (Milletari et al. 2016, "V-Net").

    Args:
        logits: (B, C, H, W).
        ids: (B, H, W) int64 class ids.
        class_weights: (C,) weights of the cross-entropy.
    """
    pixelwise = F.cross_entropy(logits, ids, weight=class_weights, reduction="none")
    weights = border_weights(ids)
    if class_weights is not None:
        pixelwise_scale = class_weights[ids]
        entropy = (pixelwise * weights).sum() / (pixelwise_scale * weights).sum()
    else:
        entropy = (pixelwise * weights).sum() / weights.sum()
    probability = logits.softmax(1)
    truth = F.one_hot(ids, logits.shape[1]).movedim(-1, 1).to(probability.dtype)
    overlap, total = (probability * truth).sum((0, 2, 3)), (probability + truth).sum((0, 2, 3))
    present = (truth.sum((0, 2, 3)) > 0).to(probability.dtype)
    dice = 1 - (2 * overlap + 1) / (total + 1)
    return entropy + (dice * present).sum() / present.sum()


def self_training_loss(logits: torch.Tensor, teacher: torch.Tensor, threshold: float = 0.8) -> torch.Tensor:
    """Cross-entropy with the teacher's choice where it is sure; pixels where it is not count nothing (FixMatch, Sohn et al. 2020).

    Args:
        logits: (B, C, H, W) of the student, which saw the picture changed.
        teacher: (B, C, H, W) probabilities of the teacher, which saw it as it is.
        threshold: probability from which on the teacher is sure.
    """
    confidence, ids = teacher.max(1)
    return (F.cross_entropy(logits, ids, reduction="none") * (confidence >= threshold)).mean()


def vae_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL divergence of N(mean, exp(log_variance)) from N(0, I), summed over a code, averaged over the codes (Kingma & Welling 2014).

    Args:
        mean, log_variance: (B, R, K).
    """
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(-1).mean()


def hinge_discriminator_loss(real: list[torch.Tensor], fake: list[torch.Tensor]) -> torch.Tensor:
    """Hinge loss of the patch scores at each scale (Lim & Ye 2017, "Geometric GAN")."""
    return reduce(add, (F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True))) / len(real)


def hinge_generator_loss(fake: list[torch.Tensor]) -> torch.Tensor:
    """The painter's side of the hinge loss."""
    return -reduce(add, (f.mean() for f in fake)) / len(fake)


def feature_loss(fake: list[torch.Tensor], real: list[torch.Tensor]) -> torch.Tensor:
    """Mean L1 distance of feature maps, each scaled by the mean size of the real one (feature matching: pix2pixHD, section 3.2;
    perceptual loss: Johnson et al. 2016)."""
    return reduce(add, ((f - r).abs().mean() / (r.abs().mean() + 1e-4) for f, r in zip(fake, real, strict=True))) / len(real)


def edge_loss(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """L1 distance of the gradients of (B, 3, H, W) pictures along both axes, so that strokes stay crisp."""
    return reduce(add, ((fake.diff(dim=d) - real.diff(dim=d)).abs().mean() for d in (-1, -2)))


def low_pass_loss(fake: torch.Tensor, real: torch.Tensor, factor: int = 8) -> torch.Tensor:
    """L1 distance of (B, 3, H, W) pictures after averaging blocks of factor x factor pixels."""
    return (F.avg_pool2d(fake, factor) - F.avg_pool2d(real, factor)).abs().mean()


def colour_loss(painted: torch.Tensor, asked: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """L1 distance of (B, R, 3) mean region colours from the asked ones where `known` (B, R, 1) is 1."""
    return ((painted - asked).abs() * known).sum() / (3 * known.sum()).clamp(min=1)


def local_deviation(pixels: torch.Tensor, window: int = 5) -> torch.Tensor:
    """Standard deviation of each channel in a window around each pixel: (B, 3, H, W) -> (B, 3, H, W)."""
    padding = window // 2
    mean = F.avg_pool2d(pixels, window, stride=1, padding=padding, count_include_pad=False)
    square = F.avg_pool2d(pixels**2, window, stride=1, padding=padding, count_include_pad=False)
    return (square - mean**2).clamp(min=1e-5).sqrt()


def texture_loss(fake: torch.Tensor, real: torch.Tensor, factors: tuple[int, ...] = (1, 4)) -> torch.Tensor:
    """L1 distance of the local deviations of (B, 3, H, W) pictures, at full and at 1 / factor of the resolution.

    Hair as smooth and as streaky as the real one (fine), flat regions flat up to their outlines, without halos (coarse).
    """
    pairs = ((F.avg_pool2d(fake, factor), F.avg_pool2d(real, factor)) for factor in factors)
    return reduce(add, ((local_deviation(f) - local_deviation(r)).abs().mean() for f, r in pairs)) / len(factors)


def detail(pixels: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """RMS of the Laplacian of brightness well inside each region: (B, 3, H, W) and (B, C, H, W) zeros and ones -> (B, C)."""
    grey = F.pad(pixels.mean(1, keepdim=True), (1,) * 4, mode="replicate")
    sides = grey[..., :-2, 1:-1] + grey[..., 2:, 1:-1] + grey[..., 1:-1, :-2] + grey[..., 1:-1, 2:]
    energy = (sides - 4 * grey[..., 1:-1, 1:-1]) ** 2
    inside = -F.max_pool2d(-inside, 3, stride=1, padding=1)
    return ((energy * inside).sum((2, 3)) / inside.sum((2, 3)).clamp(min=1) + 1e-5).sqrt()


def detail_loss(fake: torch.Tensor, real: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Difference of `detail`: as many fine strokes as the real picture has, wherever they may lie; `texture_loss` would rather have none
    than one in another place."""
    return (detail(fake, inside) - detail(real, inside)).abs().mean()


def stray_hue_loss(pixels: torch.Tensor, inside: torch.Tensor, tolerance: float = 0.12) -> torch.Tensor:
    """How much a region's pixels leave the hue of its mean: paler, stronger, lighter and darker count nothing, another hue does.

    Args:
        pixels: (B, 3, H, W) in [-1, 1]. inside: (B, H, W) zeros and ones.
        tolerance: distance across the line of the hue, in the plane of colours without their brightness, that is free.
    """
    chroma = (pixels - pixels.mean(1, keepdim=True)).flatten(2)
    inside = inside.flatten(1)[:, None]
    area = inside.sum(2, keepdim=True).clamp(min=1)
    mean = (chroma * inside).sum(2, keepdim=True) / area
    along = ((chroma * mean).sum(1, keepdim=True) / ((mean**2).sum(1, keepdim=True) + 1e-4)).clamp(min=0)
    stray = ((chroma - along * mean) ** 2).sum(1, keepdim=True).clamp(min=1e-8).sqrt()
    return (F.relu(stray - tolerance) * inside).sum() / max(1, inside.numel())  # a batch of one has no picture in a random style
