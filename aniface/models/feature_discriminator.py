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
    The picture itself stands beside them, as coarse as they are: a face parser's features care little for colours. And it sees, place by
    place, how much the pictures of a group differ there (minibatch standard deviation, Karras et al. 2018, "Progressive Growing of
    GANs", section 3), so that what is painted everywhere alike can be told from portraits.

    Args:
        levels: which of the five feature maps, from the one at stride 2 on.
        width: channels of the hidden layers.
        deviations: maps of the group's standard deviation, each the mean over some hidden channels; divides `width`.
    """

    @register_to_config
    def __init__(self, levels: tuple[int, ...] = (1, 2, 3, 4), width: int = 64, deviations: int = 8):
        super().__init__()
        self.enter = nn.ModuleList(spectral_norm(nn.Conv2d(FEATURE_CHANNELS[level] + NUM_LABELS + 3, width, 1)) for level in levels)
        self.judge = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(width + deviations, width, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, 1, 3, padding=1)),
            )
            for _ in levels
        )

    def forward(self, features: list[torch.Tensor], pixels: torch.Tensor, layout: torch.Tensor, group: int = 1) -> list[torch.Tensor]:
        """Score pictures by their features.

        Args:
            features: five maps (B, C, h, w). pixels: (B, 3, H, W). layout: (B, 7, H, W).
            group: each so many pictures, one after the other, are compared with each other; divides B.

        Returns:
            For each level the scores (B, 1, h / 2, w / 2).
        """
        scores = []
        for level, enter, judge in zip(self.config.levels, self.enter, self.judge, strict=True):
            x = features[level].float()
            x = x * (x.square().mean((1, 2, 3), keepdim=True) + 1e-6).rsqrt()  # levels differ in scale
            known = F.adaptive_avg_pool2d(torch.cat([layout, pixels], 1), x.shape[-2:])
            x = F.leaky_relu(enter(torch.cat([x, known], 1)), 0.2)
            scores.append(judge(torch.cat([x, self._deviations(x, group)], 1)))
        return scores

    def _deviations(self, x: torch.Tensor, group: int) -> torch.Tensor:
        """(B, width, h, w) -> (B, deviations, h, w), the same for all pictures of a group."""
        deviation = (x.float().unflatten(0, (-1, group)).var(1, correction=0) + 1e-8).sqrt()
        return deviation.unflatten(1, (self.config.deviations, -1)).mean(2).repeat_interleave(group, 0).to(x.dtype)
