"""Details: what a reference shows beyond the mean colours of its regions, and how it is carried over to another mask.

Codes and mean colours say how a region is painted, not where its strokes lie. Where the reference's mask and the drawn one agree, the
strokes themselves can be carried over (exemplar-based synthesis: Zhang et al. 2020, "Cross-domain correspondence learning for
exemplar-based image translation"); the correspondence here is between the faces of the two masks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn import functional as F

from .labels import EYE, FACE, MOUTH, NUM_STYLE_REGIONS, STYLE_REGIONS
from .models.style_encoder import region_means, style_region_shares

REACH = 1 / 16  # of the picture's side: masks are compared within so far around a place
NEARBY = (0.93, 1.0)  # shares of this neighbourhood that must agree for details to begin to appear, and to appear in full
# The same for a style region as a whole, as intersection over union. Hair and cloth go with any strokes; a stroke across a face is a scar.
WHOLE = {"background": (0.5, 0.7), "skin": (0.6, 0.8), "eye": (0.4, 0.6), "hair": (0.35, 0.55), "clothes": (0.35, 0.55)}
MOST_STRETCH = 1.5  # a face, or an eye, more unlike than that in width or height lends no details


@dataclass(frozen=True)
class Details:
    """The details of one reference.

    Attributes:
        pixels: (1, 3, S, S), what is left of the picture, in [-1, 1], after the mean colours of its style regions are taken out.
        layout: (1, 7, S, S) its mask.
        weights: (1, 5, 1) how much of each style region's details is taken.
    """

    pixels: torch.Tensor
    layout: torch.Tensor
    weights: torch.Tensor

    def weighted(self, factors: torch.Tensor) -> Details:
        """These details with other weights: the old ones times (1, 5, 1) `factors`."""
        return replace(self, weights=self.weights * factors)


def residue(pixels: torch.Tensor, layout: torch.Tensor) -> torch.Tensor:
    """(B, 3, S, S) pixels less the mean colours of the style regions of a mask (B, 7, S, S)."""
    means, _ = region_means(pixels, layout)
    return pixels - torch.einsum("bshw,bsc->bchw", style_region_shares(layout), means)


def see_details(pixels: torch.Tensor, layout: torch.Tensor) -> Details:
    """The details of a picture (1, 3, S, S) in [-1, 1] with its mask (1, 7, S, S)."""
    return Details(residue(pixels, layout), layout, torch.ones(1, NUM_STYLE_REGIONS, 1, device=pixels.device))


def frame(inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Centre and half extent, as (x, y) from -1 to 1, of a shape (S, S) of zeros and ones; None if there is hardly any."""
    area = inside.sum()
    if area < inside.numel() / 2000:
        return None
    places = (torch.arange(len(inside), device=inside.device) + 0.5) * 2 / len(inside) - 1
    weights = torch.stack([inside.sum(0), inside.sum(1)]) / area
    centre = weights @ places
    return centre, (weights @ places**2 - centre**2).clamp(min=1e-8).sqrt()


def moved(values: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
    """Values (1, C, S, S), moved and scaled so that a shape (S, S) comes to lie on another; None if they are too unlike."""
    here, there = frame(target), frame(source)
    if here is None or there is None:
        return None
    (centre, extent), (old_centre, old_extent) = here, there
    stretch = old_extent / extent
    if stretch.max() > MOST_STRETCH or stretch.min() < 1 / MOST_STRETCH:
        return None
    transform = torch.cat([torch.diag(stretch), (old_centre - stretch * centre)[:, None]], 1)[None]
    grid = F.affine_grid(transform, list(values.shape), align_corners=False)
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def agreement(layout: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(1, 1, S, S) from 0 to 1: whether two masks have the same class at a place."""
    return (layout * other).sum(1, keepdim=True)


def region_agreement(layout: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(5,) intersection over union of the style regions of two masks."""
    first, second = style_region_shares(layout)[0], style_region_shares(other)[0]
    return torch.minimum(first, second).sum((1, 2)) / torch.maximum(first, second).sum((1, 2)).clamp(min=1)


def face_of(layout: torch.Tensor) -> torch.Tensor:
    """(S, S): where a mask (1, 7, S, S) has face, eyes or mouth."""
    return layout[0, [FACE, EYE, MOUTH]].sum(0)


def eyes_of(layout: torch.Tensor) -> list[torch.Tensor]:
    """The eyes of a mask (1, 7, S, S) left and right of the middle of its face, each (S, S)."""
    face = frame(face_of(layout))
    if face is None:
        return []
    size = layout.shape[-1]
    right = (torch.arange(size, device=layout.device) + 0.5) * 2 / size - 1 > face[0][0]
    return [layout[0, EYE] * ~right, layout[0, EYE] * right]


def aligned(details: Details, layout: torch.Tensor) -> torch.Tensor:
    """A reference's details and its mask (1, 3 + 7, S, S) laid over a mask (1, 7, S, S).

    They stay where they are, or are moved and scaled so that the faces coincide, whichever agrees better; so what was edited a little
    keeps its place. Then the same for each eye.
    """
    shown = torch.cat([details.pixels, details.layout], 1)

    def nearer(values: torch.Tensor | None, inside: torch.Tensor | float) -> torch.Tensor:
        """`values` where they agree better `inside` a part of the mask than what is shown, which is worth a little by itself."""
        if values is None:
            return shown
        new, old = ((agreement(layout, one[:, 3:]) * inside).sum() for one in (values, shown))
        return values if new > 1.02 * old else shown

    shown = nearer(moved(shown, face_of(details.layout), face_of(layout)), 1.0)
    for target, source in zip(eyes_of(layout), eyes_of(shown[:, 3:]), strict=False):
        shown = torch.where(target > 0.5, nearer(moved(shown, source, target), target), shown)
    return shown


def around(same: torch.Tensor) -> torch.Tensor:
    """The mean of a map (1, 1, S, S) in the neighbourhood of each place, by way of a quarter of the resolution."""
    coarse = F.avg_pool2d(same, 4)
    reach = max(1, round(REACH * coarse.shape[-1]))
    mean = F.avg_pool2d(coarse, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
    return F.interpolate(mean, size=same.shape[-1], mode="bilinear")


def ramp(values: torch.Tensor, low, high) -> torch.Tensor:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    return ((values - low) / (high - low)).clamp(0, 1)


def carry_over(sources: tuple[Details, ...], layout: torch.Tensor) -> torch.Tensor | None:
    """The details of references where a mask agrees with theirs.

    Args:
        sources: of one or several references; the weights of each region add up to at most 1.
        layout: (1, 7, H, H) the drawn mask, H at least the details' size.

    Returns:
        (1, 4, S, S): how much is carried over, from 0 to 1, as the last channel, and the details times that; None if nothing is.
    """
    if not sources:
        return None
    size = sources[0].pixels.shape[-1]
    layout = F.adaptive_avg_pool2d(layout, size)
    regions = style_region_shares(layout)
    low, high = torch.tensor([WHOLE[region] for region in STYLE_REGIONS], device=layout.device).T
    carried = torch.zeros(1, 4, size, size, device=layout.device)
    for details in sources:
        shown = aligned(details, layout)
        same = agreement(layout, shown[:, 3:])
        nearby = torch.maximum(ramp(around(same), *NEARBY), layout[:, EYE : EYE + 1])  # eyes are smaller than the neighbourhood
        taken = details.weights[0, :, 0] * ramp(region_agreement(layout, shown[:, 3:]), low, high)
        share = same * nearby * torch.einsum("bshw,s->bhw", regions, taken)[:, None]
        carried = carried + torch.cat([share * shown[:, :3], share], 1)
    return carried if carried[:, 3:].any() else None


def without_hue(details: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Details (1, 4, S, S) of which only lighter and darker is left where `inside` (1, 1, S, S), from 0 to 1, says so."""
    pixels, share = details[:, :3], details[:, 3:]
    return torch.cat([torch.lerp(pixels, pixels.mean(1, keepdim=True).expand_as(pixels), inside), share], 1)
