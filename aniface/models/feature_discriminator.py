"""The second critic: it judges a frozen network's features of a picture, and so what a thing looks like as a whole."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ..labels import NUM_LABELS
from .mobilenet_v2 import FEATURE_CHANNELS
from .network import Network


class FeatureDiscriminator(Network):
    """A small critic on each level of a frozen MobileNetV2's features (Sauer et al. 2021, "Projected GANs Converge Faster", section 3).

    A PatchGAN that starts from nothing lets pass what is well drawn and out of place; these features know what clothes and hair look like.
    The picture itself stands beside them, as coarse as they are: a face parser's features care little for colours.

    Args:
        levels: which of the five feature maps, from the one at stride 2 on.
        width: channels of the hidden layers.
    """

    @register_to_config
    def __init__(self, levels: tuple[int, ...] = (1, 2, 3, 4), width: int = 64):
        super().__init__()
        self.critics = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(FEATURE_CHANNELS[level] + NUM_LABELS + 3, width, 1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, width, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, 1, 3, padding=1)),
            )
            for level in levels
        )

    def forward(self, features: list[torch.Tensor], pixels: torch.Tensor, layout: torch.Tensor) -> list[torch.Tensor]:
        """Five feature maps (B, C, h, w) of (B, 3, H, W) pictures, (B, 7, H, W) masks -> for each level its scores (B, 1, h / 2, w / 2)."""
        scores = []
        for level, critic in zip(self.config.levels, self.critics, strict=True):
            x = features[level].float()
            x = x * (x.square().mean((1, 2, 3), keepdim=True) + 1e-6).rsqrt()  # levels differ in scale
            known = F.adaptive_avg_pool2d(torch.cat([layout, pixels], 1), x.shape[-2:])
            scores.append(critic(torch.cat([x, known], 1)))
        return scores
