"""Styles: what the painter is told about each style region, where it comes from and how styles mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from .hair import parse_hex_color
from .labels import NUM_STYLE_REGIONS, STYLE_REGIONS, InputError
from .processing import seeded_generator


@dataclass(frozen=True)
class Style:
    """Codes (1, 5, K) of the style regions and their mean colours (1, 5, 3) in [-1, 1]."""

    codes: torch.Tensor
    colours: torch.Tensor

    def lerp(self, other: Style, amount: float) -> Style:
        """The style `amount` of the way to `other`."""
        return Style(torch.lerp(self.codes, other.codes, amount), torch.lerp(self.colours, other.colours, amount))


@dataclass(frozen=True)
class SeenStyle:
    """What a reference shows: mean and log variance (1, 5, K) of the codes, mean colours (1, 5, 3), regions present (1, 5, 1)."""

    mean: torch.Tensor
    log_variance: torch.Tensor
    colours: torch.Tensor
    present: torch.Tensor

    def with_region(self, region: str, other: SeenStyle) -> SeenStyle:
        """This style with one region of another.

        Raises:
            InputError: the other one does not show that region.
        """
        index = STYLE_REGIONS.index(region)
        if not other.present[0, index]:
            raise InputError(f"the reference for {region} shows no {region}; choose a picture that does")
        chosen = (torch.arange(NUM_STYLE_REGIONS, device=self.mean.device) == index)[None, :, None]
        return SeenStyle(*(torch.where(chosen, getattr(other, name), getattr(self, name)) for name in self.__dataclass_fields__))


def blend_seen(styles: list[SeenStyle], weights: list[float]) -> SeenStyle:
    """The weighted mean of styles, each region over those that show it.

    The mean of codes that contradict each other is a style that none of them has: the shorter it is beside what went into it, the nearer it
    comes to the average style, the origin of N(0, I). Thus two styles change into each other by way of it, step by step, not all at once.
    """
    shares = torch.tensor(weights, dtype=torch.float32).view(-1, 1, 1, 1).to(styles[0].mean.device)
    shares = shares * torch.stack([style.present for style in styles])
    present = (shares.sum(0) > 0).float()
    shares = shares / shares.sum(0).clamp(min=1e-8)
    stacks = (torch.stack([getattr(style, name) for style in styles]) for name in ("mean", "log_variance", "colours"))
    mean, log_variance, colours = ((shares * stack).sum(0) for stack in stacks)
    lengths = (shares * torch.stack([style.mean.norm(dim=-1, keepdim=True) for style in styles])).sum(0)
    agreement = mean.norm(dim=-1, keepdim=True) / lengths.clamp(min=1e-8)  # 1 for one style, 0 for opposite ones
    return SeenStyle(agreement * mean, log_variance, colours, present)


def nothing_like(seen: SeenStyle) -> SeenStyle:
    """The style of a reference that shows no region at all."""
    return SeenStyle(*(torch.zeros_like(getattr(seen, name)) for name in seen.__dataclass_fields__))


def random_noise(seed: int, number: int, width: int) -> torch.Tensor:
    """(1, 5, width) from N(0, I), the same for the same seed and number of the variant."""
    return torch.randn(1, NUM_STYLE_REGIONS, width, generator=seeded_generator(seed, number))


def check_regions(values, what: str) -> dict:
    """`values` as a dictionary by style region without empty entries; raises InputError for anything else."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InputError(f"{what} is a {type(values).__name__}; expected a dictionary such as {{'hair': ...}}")
    for region in values:
        if region not in STYLE_REGIONS:
            raise InputError(f"{what} has the key {str(region)[:40]!r}; expected {', '.join(STYLE_REGIONS)}")
    return {region: value for region, value in values.items() if value is not None}


def check_region_colors(values) -> dict[str, tuple[int, int, int]]:
    """`region_colors` as sRGB (0..255) by style region."""
    return {region: parse_hex_color(color, f"colour of {region}") for region, color in check_regions(values, "region_colors").items()}
