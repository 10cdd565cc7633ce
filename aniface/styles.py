"""Styles: what the painter is told about each style region, where it comes from and how styles mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from .details import Details
from .hair import parse_hex_color
from .labels import NUM_STYLE_REGIONS, STYLE_REGIONS, InputError
from .processing import seeded_generator


@dataclass(frozen=True)
class Style:
    """What the painter is told, for one mask.

    Attributes:
        codes: (1, 5, K) of the style regions.
        colours: (1, 5, 3) their mean colours in [-1, 1].
        details: (1, 4, S, S) carried over from references, see `aniface.details`; None for none.
    """

    codes: torch.Tensor
    colours: torch.Tensor
    details: torch.Tensor | None = None

    def lerp(self, other: Style, amount: float) -> Style:
        """The style `amount` of the way to `other`."""
        codes, colours = torch.lerp(self.codes, other.codes, amount), torch.lerp(self.colours, other.colours, amount)
        if self.details is None and other.details is None:
            return Style(codes, colours)
        nothing = torch.zeros((), device=codes.device)
        own, others = (nothing if style.details is None else style.details for style in (self, other))
        return Style(codes, colours, torch.lerp(own, others, amount))


@dataclass(frozen=True)
class SeenStyle:
    """What a reference shows.

    Attributes:
        mean, log_variance: (1, 5, K) of the codes of the style regions.
        colours: (1, 5, 3) their mean colours in [-1, 1].
        present: (1, 5, 1) ones where a region is there, else zeros.
        details: what else there is to see, of each picture that went into this style.
    """

    mean: torch.Tensor
    log_variance: torch.Tensor
    colours: torch.Tensor
    present: torch.Tensor
    details: tuple[Details, ...] = ()

    @property
    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """All but the details."""
        return self.mean, self.log_variance, self.colours, self.present

    def with_region(self, region: str, other: SeenStyle) -> SeenStyle:
        """This style with one region of another.

        Raises:
            InputError: the other one does not show that region.
        """
        index = STYLE_REGIONS.index(region)
        if not other.present[0, index]:
            raise InputError(f"the reference for {region} shows no {region}; choose a picture that does")
        chosen = (torch.arange(NUM_STYLE_REGIONS, device=self.mean.device) == index)[None, :, None]
        details = tuple(part.weighted((~chosen).float()) for part in self.details) + tuple(
            part.weighted(chosen.float()) for part in other.details
        )
        mean, log_variance, colours, present = (torch.where(chosen, b, a) for a, b in zip(self.tensors, other.tensors, strict=True))
        return SeenStyle(mean, log_variance, colours, present, details)


def blend_seen(styles: list[SeenStyle], weights: list[float]) -> SeenStyle:
    """The weighted mean of styles, each region over those that show it.

    The mean of codes that contradict each other is a style that none of them has: the shorter it is beside what went into it, the nearer it
    comes to the average style, the origin of N(0, I). Thus two styles change into each other by way of it, step by step, not all at once.
    Details go with the square of a share: two drawings laid over each other are no drawing, and even faint strokes are seen.
    """
    shares = torch.tensor(weights, dtype=torch.float32).view(-1, 1, 1, 1).to(styles[0].mean.device)
    shares = shares * torch.stack([style.present for style in styles])
    present = (shares.sum(0) > 0).float()
    shares = shares / shares.sum(0).clamp(min=1e-8)
    stacks = (torch.stack([getattr(style, name) for style in styles]) for name in ("mean", "log_variance", "colours"))
    mean, log_variance, colours = ((shares * stack).sum(0) for stack in stacks)
    lengths = (shares * torch.stack([style.mean.norm(dim=-1, keepdim=True) for style in styles])).sum(0)
    agreement = mean.norm(dim=-1, keepdim=True) / lengths.clamp(min=1e-8)  # 1 for one style, 0 for opposite ones
    details = tuple(part.weighted(share**2) for style, share in zip(styles, shares, strict=True) for part in style.details)
    return SeenStyle(agreement * mean, log_variance, colours, present, details)


def nothing_like(seen: SeenStyle) -> SeenStyle:
    """The style of a reference that shows no region at all."""
    mean, log_variance, colours, present = (torch.zeros_like(tensor) for tensor in seen.tensors)
    return SeenStyle(mean, log_variance, colours, present)


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
