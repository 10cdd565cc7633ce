"""Normalisation and residual block whose scale and shift come from the mask and the styles of its regions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ..labels import NUM_LABELS


def scatter_regions(table: torch.Tensor, layout: torch.Tensor) -> torch.Tensor:
    """Give each pixel the row of its class: (B, 7, C) table, (B, 7, H, W) class shares -> (B, C, H, W), channels last in memory."""
    batch, labels, height, width = layout.shape
    shares = layout.movedim(1, -1).reshape(batch, height * width, labels)
    return torch.bmm(shares, table).view(batch, height, width, -1).movedim(-1, 1)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that repeats the rim's pixels beyond it: zeros there would paint a frame around the picture."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def spade_layers(channels: int, hidden: int) -> nn.Sequential:
    """SPADE's two convolutions: class shares -> a scale and a shift for each of `channels` and each pixel (Park et al. 2019, figure 2)."""
    return nn.Sequential(conv3x3(NUM_LABELS, hidden), nn.ReLU(), conv3x3(hidden, 2 * channels))


class RegionNorm(nn.Module):
    """Batch norm without own parameters, then a scale and a shift a pixel.

    They are the sum of two parts: one a region, predicted from the region's style (class-adaptive normalisation, Tan et al. 2021,
    "Efficient Semantic Image Synthesis via Class-Adaptive Normalization"; style a region as in SEAN, Zhu et al. 2020), and, where
    `spade_hidden` is not 0, one predicted from the mask by two convolutions (SPADE, Park et al. 2019, section 3).

    Args:
        channels: of the normalised features.
        style_channels: size of a region's style vector.
        spade_hidden: width of SPADE's hidden layer, or 0 to leave that part out.
    """

    def __init__(self, channels: int, style_channels: int, spade_hidden: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.from_style = nn.Linear(style_channels, 2 * channels)
        self.of_label = nn.Parameter(torch.zeros(NUM_LABELS, 2 * channels))
        self.spade = spade_layers(channels, spade_hidden) if spade_hidden else None

    def forward(self, x: torch.Tensor, layout: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) features, (B, 7, H, W) class shares, (B, 7, S) styles -> (B, C, H, W)."""
        table = self.from_style(styles) + self.of_label
        if self.spade is None and not self.training:
            # The shares of a pixel add up to 1, so the batch norm can go into the table: one pass over the features less.
            mean, variance = self.norm.running_mean, self.norm.running_var
            assert mean is not None and variance is not None
            scale, shift = table.chunk(2, -1)
            scale = (1 + scale) * (variance + self.norm.eps).rsqrt()
            scale, shift = scatter_regions(torch.cat([scale, shift - scale * mean], -1), layout).chunk(2, 1)
            return torch.addcmul(shift, x, scale)
        scale_shift = scatter_regions(table, layout)
        if self.spade is not None:
            scale_shift = scale_shift + self.spade(layout)
        scale, shift = scale_shift.chunk(2, 1)
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class RegionBlock(nn.Module):
    """SPADE residual block (Park et al. 2019, figure 4) that doubles the resolution between its two convolutions.

    The first convolution then works at the low resolution, where it is four times cheaper, and the second one sees the mask at the
    high resolution.
    """

    def __init__(self, inputs: int, outputs: int, style_channels: int, spade_hidden: int):
        super().__init__()
        self.norm1 = RegionNorm(inputs, style_channels, spade_hidden)
        self.conv1 = conv3x3(inputs, outputs)
        self.norm2 = RegionNorm(outputs, style_channels, spade_hidden)
        self.conv2 = conv3x3(outputs, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor, low: torch.Tensor, high: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """Features, class shares at their resolution and at the block's output resolution, styles -> features."""
        y = self.conv1(F.leaky_relu(self.norm1(x, low, styles), 0.2))
        x = self.skip(x)
        # Bilinear: nearest neighbours leave a tartan of the coarse grids in flat regions.
        x, y = (F.interpolate(t, scale_factor=2, mode="bilinear") for t in (x, y))
        return x + self.conv2(F.leaky_relu(self.norm2(y, high, styles), 0.2))


class SpadeNorm(nn.Module):
    """SPADE as published (Park et al. 2019, section 3): batch norm, then a scale and a shift a pixel, from the mask alone."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.spade = spade_layers(channels, hidden)

    def forward(self, x: torch.Tensor, layout: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) features, (B, 7, H, W) class shares -> (B, C, H, W)."""
        scale, shift = self.spade(layout).chunk(2, 1)
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class SpadeBlock(nn.Module):
    """SPADE residual block as published (Park et al. 2019, figure 4): all of it works at the block's output resolution.

    What it costs beside `RegionBlock` is why that one exists.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int):
        super().__init__()
        middle = min(inputs, outputs)
        self.norm1 = SpadeNorm(inputs, hidden)
        self.conv1 = conv3x3(inputs, middle)
        self.norm2 = SpadeNorm(middle, hidden)
        self.conv2 = conv3x3(middle, outputs)
        self.norm_skip = SpadeNorm(inputs, hidden) if inputs != outputs else None
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else None

    def forward(self, x: torch.Tensor, low: torch.Tensor, high: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """As `RegionBlock`'s, which it can stand in for; `low` and `styles` play no part."""
        if x.shape[-2:] != high.shape[-2:]:
            x = F.interpolate(x, size=high.shape[-2:], mode="nearest")
        y = self.conv1(F.leaky_relu(self.norm1(x, high), 0.2))
        y = self.conv2(F.leaky_relu(self.norm2(y, high), 0.2))
        return y + (x if self.skip is None or self.norm_skip is None else self.skip(self.norm_skip(x, high)))
