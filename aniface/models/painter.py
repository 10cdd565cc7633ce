"""The painter: mask and styles -> portrait (GauGAN's generator, Park et al. 2019, and a shape of it that is fast on a CPU)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from ..labels import NUM_LABELS, NUM_STYLE_REGIONS, STYLE_REGION_OF_LABEL
from .network import Network
from .spade import RegionBlock, SpadeBlock, conv3x3, scatter_regions

REGION_OF_LABEL = torch.tensor(STYLE_REGION_OF_LABEL)


class StyleMapper(nn.Module):
    """Code and colour of each style region -> a style vector of each class.

    The colour is optional a region: where `known` is 0 it is ignored and the code alone decides.
    """

    def __init__(self, latent_dim: int, style_channels: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(latent_dim + 4, style_channels), nn.LeakyReLU(0.2), nn.Linear(style_channels, style_channels))
            for _ in range(NUM_STYLE_REGIONS)
        )

    def forward(self, codes: torch.Tensor, colours: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """(B, 5, latent_dim) codes, (B, 5, 3) mean colours in [-1, 1], (B, 5, 1) zeros and ones -> (B, 7, S)."""
        inputs = torch.cat([codes, 2 * colours * known, known], -1)
        styles = torch.stack([layer(inputs[:, i]) for i, layer in enumerate(self.layers)], 1)
        return styles.index_select(1, REGION_OF_LABEL.to(styles.device, non_blocking=True))


def start_small(conv: nn.Conv2d, std: float) -> nn.Conv2d:
    """The convolution with weights from N(0, std^2) and no bias yet."""
    nn.init.normal_(conv.weight, std=std)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class SubpixelHead(nn.Module):
    """Doubles a picture's resolution along the edges of the mask (sub-pixel convolution, Shi et al. 2016)."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = conv3x3(3 + 4 * NUM_LABELS, width)
        self.conv2 = conv3x3(width, width)
        self.conv3 = start_small(conv3x3(width, 12), std=1e-3)

    def forward(self, pixels: torch.Tensor, layout: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) picture, (B, 7, 2H, 2W) mask -> (B, 3, 2H, 2W)."""
        x = F.leaky_relu(self.conv1(torch.cat([pixels, F.pixel_unshuffle(layout, 2)], 1)), 0.2)
        x = F.leaky_relu(self.conv2(x), 0.2)
        return F.interpolate(pixels, scale_factor=2, mode="bilinear") + F.pixel_shuffle(self.conv3(x), 2)


class FacePainter(Network):
    """Paints a portrait from a mask, starting from an 8x8 grid and doubling the resolution block by block.

    Each region starts as the flat colour of its style, as in cel animation, and the blocks add shading, outlines and detail to it.
    Each resolution from `rgb_size` up adds its own RGB part (skip generator, Karras et al. 2020, "StyleGAN2", section 4.1), so the
    network paints at any of its resolutions and can be trained from coarse to fine.

    Args:
        channels: widths at 8, 16, 32, ... pixels.
        spade_size: resolutions up to this one use SPADE's spatial part, finer ones the class-adaptive part alone.
        spade_hidden: width of SPADE's hidden layers.
        latent_dim: size of a style region's code.
        style_channels: size of a class's style vector.
        rgb_size: the coarsest resolution with an RGB part.
        head_channels: width of the sub-pixel head that doubles the last resolution; 0 for no head.
        as_published: GauGAN's own generator: SPADE alone at every resolution, with one more block at 8 pixels, while styles enter at the
            first grid only and `spade_size` has no say.
    """

    @register_to_config
    def __init__(
        self,
        channels: tuple[int, ...] = (320, 320, 192, 96, 64, 32),
        spade_size: int = 64,
        spade_hidden: int = 32,
        latent_dim: int = 16,
        style_channels: int = 64,
        rgb_size: int = 64,
        head_channels: int = 32,
        as_published: bool = False,
    ):
        super().__init__()
        if len(channels) < 2 or min(channels) < 1:
            raise ValueError(f"FacePainter: channels is {tuple(channels)}; expected at least two positive widths")
        self.trunk_size = 8 << (len(channels) - 1)
        if not 16 <= rgb_size <= self.trunk_size or rgb_size & (rgb_size - 1):
            raise ValueError(f"FacePainter: rgb_size is {rgb_size}; expected a power of two from 16 to {self.trunk_size}")
        self.mapper = StyleMapper(latent_dim, style_channels)
        self.stem = conv3x3(NUM_LABELS + style_channels, channels[0])
        self.first = SpadeBlock(channels[0], channels[0], spade_hidden) if as_published else None
        self.blocks = nn.ModuleList()
        self.to_rgb = nn.ModuleDict()
        for index, (inputs, outputs) in enumerate(pairwise(channels)):
            size = 16 << index
            if as_published:
                self.blocks.append(SpadeBlock(inputs, outputs, spade_hidden))
            else:
                self.blocks.append(RegionBlock(inputs, outputs, style_channels, spade_hidden if size <= spade_size else 0))
            if size >= rgb_size:
                self.to_rgb[str(size)] = start_small(conv3x3(outputs, 3), std=0.01)
        self.flat_colour = None if as_published else nn.Linear(style_channels, 3)
        self.head = SubpixelHead(head_channels) if head_channels else None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The resolutions this painter can paint at."""
        sizes = tuple(int(size) for size in self.to_rgb)
        return (*sizes, 2 * self.trunk_size) if self.head is not None else sizes

    def forward(
        self,
        layout: torch.Tensor,
        codes: torch.Tensor,
        colours: torch.Tensor,
        known: torch.Tensor,
        size: int | None = None,
        added: Mapping[int, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Paint.

        Args:
            layout: (B, 7, S, S) one-hot mask, S at least `size`.
            codes: (B, 5, latent_dim) style codes, N(0, I) where nothing is asked for.
            colours: (B, 5, 3) mean colours of the style regions in [-1, 1], used where known.
            known: (B, 5, 1) ones where a colour is given, else zeros.
            size: resolution to paint at, one of `sizes`; the finest by default.
            added: (B, C, H, H) features to add to those of this painter at the resolutions H, see `DetailAdapter`.

        Returns:
            (B, 3, size, size) picture in about [-1, 1] (not clipped).
        """
        size = size or self.sizes[-1]
        if size not in self.sizes:
            raise ValueError(f"FacePainter paints at {', '.join(map(str, self.sizes))} pixels, not at {size}")
        if layout.shape[-1] < size:
            raise ValueError(f"FacePainter got a mask of {layout.shape[-1]} pixels; expected at least {size}")
        with torch.autocast(layout.device.type, enabled=False):  # few numbers, and every pixel's colour hangs on them
            styles = self.mapper(codes, colours, known)
            flat = self.flat_colour(styles) if self.flat_colour is not None else None
        shares = self._pyramid(layout, min(size, self.trunk_size))
        x = self.stem(torch.cat([shares[8], scatter_regions(styles, shares[8])], 1))
        if self.first is not None:
            x = self.first(x, shares[8], shares[8], styles)
        rgb = None
        for index, block in enumerate(self.blocks):
            side = 16 << index
            if side > size:
                break
            x = block(x, shares[side // 2], shares[side], styles)
            if added and side in added:
                x = x + added[side]
            if str(side) in self.to_rgb:
                part = self.to_rgb[str(side)](F.leaky_relu(x, 0.2)).to(layout.dtype)
                rgb = part if rgb is None else part + F.interpolate(rgb, scale_factor=2, mode="bilinear")
        assert rgb is not None  # the smallest of `sizes` has its RGB part
        if flat is not None:
            with torch.autocast(layout.device.type, enabled=False):
                rgb = rgb + scatter_regions(flat, shares[min(size, self.trunk_size)])
        return self.head(rgb, layout) if self.head is not None and size > self.trunk_size else rgb

    @staticmethod
    def _pyramid(layout: torch.Tensor, size: int) -> dict[int, torch.Tensor]:
        """Class shares at `size`, size / 2, ... 8 pixels, channels last in memory, as `scatter_regions` reads them."""
        shares = {size: F.adaptive_avg_pool2d(layout, size).contiguous(memory_format=torch.channels_last)}
        while size > 8:
            shares[size // 2] = F.avg_pool2d(shares[size], 2)
            size //= 2
        return shares


# The painter that ships, and GauGAN as published for 512 px (nf 64, "more" upsampling layers), for comparison and for GPUs.
CONFIGURATIONS = {
    "aniface-512": {},
    "gaugan": {
        "channels": (1024, 1024, 1024, 512, 256, 128, 64),
        "spade_hidden": 128,
        "rgb_size": 512,
        "head_channels": 0,
        "as_published": True,
    },
}
