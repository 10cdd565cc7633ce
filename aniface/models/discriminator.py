"""The critic: a PatchGAN at several scales that sees picture and mask (Wang et al. 2018, pix2pixHD, section 3.2)."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ..labels import NUM_LABELS
from .network import Network


class PatchDiscriminator(nn.Module):
    """Strided convolutions with spectral norm (Miyato et al. 2018): one score for each patch."""

    def __init__(self, width: int, num_layers: int):
        super().__init__()
        self.convs = nn.ModuleList()
        inputs = 3 + NUM_LABELS
        for index in range(num_layers):
            outputs = min(width << index, 8 * width)
            self.convs.append(spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)))
            inputs = outputs
        self.last = spectral_norm(nn.Conv2d(inputs, 1, 3, padding=1))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
            features.append(x)
        return [*features, self.last(x)]


class MultiscaleDiscriminator(Network):
    """PatchGANs on the picture at full, half, ... resolution.

    Args:
        num_scales: how many resolutions.
        width: channels of the first layer.
        num_layers: strided layers of each PatchGAN.
    """

    @register_to_config
    def __init__(self, num_scales: int = 2, width: int = 32, num_layers: int = 4):
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(width, num_layers) for _ in range(num_scales))

    def forward(self, pixels: torch.Tensor, layout: torch.Tensor) -> list[list[torch.Tensor]]:
        """(B, 3, H, W) pictures, (B, 7, H, W) masks -> for each scale its layers' features, the patch scores last."""
        x = torch.cat([pixels, layout], 1)
        results = []
        for index, scale in enumerate(self.scales):
            results.append(scale(x if index == 0 else F.avg_pool2d(x, 1 << index)))
        return results
