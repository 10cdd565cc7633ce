"""The detail adapter: what a reference shows beyond its style's mean -> features that the painter adds to its own."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from .network import Network


def plain_conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution without a bias: nothing in, nothing out."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate", bias=False)


class DetailAdapter(Network):
    """A few convolutions beside a frozen painter (Mou et al. 2023, "T2I-Adapter", section 3.2).

    None of them has a bias: where no detail is given, nothing is added and the painter paints what it paints without an adapter.

    Args:
        image_size: side of the details in pixels, which is that of the finest features.
        width: of the convolutions, which work at half of `image_size`.
        channels: of the painter's features at its finest resolutions, the last one at `image_size`.
    """

    @register_to_config
    def __init__(self, image_size: int = 256, width: int = 64, channels: tuple[int, ...] = (96, 64, 32)):
        super().__init__()
        if not channels or image_size < 4 or image_size % (1 << max(1, len(channels) - 1)):
            raise ValueError(f"DetailAdapter: image_size {image_size} cannot be halved {len(channels) - 1} times; expected a power of two")
        self.conv1 = plain_conv3x3(16, width)
        self.conv2 = plain_conv3x3(width, width)
        self.sizes = tuple(image_size >> level for level in reversed(range(len(channels))))
        counts = (*channels[:-1], 4 * channels[-1])  # the finest features come packed, as the details go in, at half the resolution
        outputs = [nn.Conv2d(width, count, 1, bias=False) for count in counts]
        for output in outputs:
            nn.init.zeros_(output.weight)  # at first the painter paints what it did
        self.outputs = nn.ModuleList(outputs)

    def forward(self, details: torch.Tensor) -> dict[int, torch.Tensor]:
        """(B, 4, S, S) details as in `aniface.details` -> features to add, by their resolution."""
        x = F.leaky_relu(self.conv1(F.pixel_unshuffle(details, 2)), 0.2)
        x = F.leaky_relu(self.conv2(x), 0.2)
        added = {}
        for size, output in zip(self.sizes, self.outputs, strict=True):
            coarse = F.avg_pool2d(x, x.shape[-1] // size) if size < x.shape[-1] else x
            added[size] = output(coarse) if size <= x.shape[-1] else F.pixel_shuffle(output(coarse), 2)
        return added
