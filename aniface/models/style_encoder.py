"""The encoder of the style VAE: reference picture and its mask -> a normal distribution of one code a style region."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from ..labels import NUM_LABELS, NUM_STYLE_REGIONS, STYLE_REGION_OF_LABEL
from .network import Network

LABELS_OF_REGION = F.one_hot(torch.tensor(STYLE_REGION_OF_LABEL), NUM_STYLE_REGIONS).T.float()  # (5, 7)


def style_region_shares(layout: torch.Tensor) -> torch.Tensor:
    """(B, 7, H, W) class shares -> (B, 5, H, W) shares of the style regions."""
    return torch.einsum("sl,blhw->bshw", LABELS_OF_REGION.to(layout.device, layout.dtype, non_blocking=True), layout)


def region_means(values: torch.Tensor, layout: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean of (B, C, H, W) values inside each style region.

    Returns:
        (B, 5, C) means, zero where a region is absent, and (B, 5, 1) ones where it is present.
    """
    shares = style_region_shares(layout).flatten(2)
    area = shares.sum(-1, keepdim=True)
    means = torch.bmm(shares, values.flatten(2).movedim(1, 2)) / area.clamp(min=1e-6)
    present = (area > 0.5).to(values.dtype)
    return means * present, present


NORMAL = torch.distributions.Normal(0.0, 1.0, validate_args=False)  # checking would wait for a GPU
QUANTILE_LEVELS = (torch.arange(64) + 0.5) / 64
# Brightness, red against green, yellow against blue. Drawn channel by channel, pale colours would become colourful and skin grey.
OPPONENT_AXES = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])


class StyleEncoder(Network):
    """Convolutions, then the mean inside each style region (SEAN, Zhu et al. 2020, section 3.1) and a mean and a log variance of its
    code (VAE, Kingma & Welling 2014). A region that the picture does not show gets N(0, I).

    Args:
        image_size: side in pixels of the picture and mask it is fed with.
        channels: widths of the convolutions; the first two halve the resolution.
        latent_dim: size of a region's code.
    """

    @register_to_config
    def __init__(self, image_size: int = 128, channels: tuple[int, ...] = (32, 64, 96, 96), latent_dim: int = 16):
        super().__init__()
        if latent_dim < 1 or len(channels) < 2:
            raise ValueError(f"StyleEncoder: latent_dim {latent_dim} and {len(channels)} channels; expected at least 1 and 2")
        self.convs = nn.ModuleList()
        inputs = 3 + NUM_LABELS
        for index, outputs in enumerate(channels):
            self.convs.append(nn.Conv2d(inputs, outputs, 3, stride=2 if index < 2 else 1, padding=1))
            inputs = outputs
        # A region's mean colour and mean squared colour at full resolution join its mean features.
        self.heads = nn.ModuleList(nn.Linear(inputs + 6, 2 * latent_dim) for _ in range(NUM_STYLE_REGIONS))
        width = NUM_STYLE_REGIONS * (latent_dim + 3)
        self.register_buffer("prior_root", torch.eye(width))
        self.register_buffer("prior_quantiles", NORMAL.icdf(QUANTILE_LEVELS)[:, None].repeat(1, width))

    def forward(self, pixels: torch.Tensor, layout: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, S, S) in [-1, 1] and (B, 7, S, S) class shares -> mean and log variance, each (B, 5, latent_dim)."""
        x = torch.cat([pixels, layout], 1)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        colours, present = region_means(torch.cat([pixels, pixels**2], 1), layout)
        features, _ = region_means(x, F.adaptive_avg_pool2d(layout, (x.shape[-2], x.shape[-1])))
        pooled = torch.cat([features, colours], -1)
        mean, log_variance = torch.stack([head(pooled[:, i]) for i, head in enumerate(self.heads)], 1).chunk(2, -1)
        return mean * present, log_variance.clamp(-8, 4) * present

    def sample(self, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z from N(0, I), (B, 5, latent_dim + 3) -> codes (B, 5, latent_dim) and mean colours (B, 5, 3) distributed as portraits' are.

        The codes of portraits fill only a part of N(0, I) (Dai & Wipf 2019, "Diagnosing and enhancing VAE models"), and hair, skin and
        clothes go together; z outside that part would be painted badly. So z goes through a Gaussian copula fitted to them (Nelsen 2006,
        "An introduction to copulas", section 2.3): correlated by `prior_root`, then each number to its own distribution, colours along
        `OPPONENT_AXES`.
        """
        levels = NORMAL.cdf(noise.flatten(1).float() @ self.prior_root.float().T)
        quantiles = self.prior_quantiles.float()
        last = len(quantiles) - 1
        places = (levels * (last + 1) - 0.5).clamp(0, last)
        below = places.long().clamp(max=last - 1)
        values = torch.lerp(quantiles.gather(0, below), quantiles.gather(0, below + 1), places - below)
        codes, colours = values.view(noise.shape).split([noise.shape[-1] - 3, 3], -1)
        return codes, (colours @ OPPONENT_AXES.inverse().T.to(colours, non_blocking=True)).clamp(-1, 1)

    @torch.no_grad()
    def fit_prior(self, codes: torch.Tensor, colours: torch.Tensor, present: torch.Tensor) -> None:
        """Fit what `sample` draws from to portraits: codes (N, 5, latent_dim) drawn from their distributions, mean colours (N, 5, 3),
        and which regions are `present` (N, 5, 1); one that is not counts as the mean one."""
        values = torch.cat([codes, colours @ OPPONENT_AXES.T.to(colours)], -1).double()
        mean = (values * present).sum(0) / present.sum(0).clamp(min=1)
        values = torch.where(present > 0, values, mean).flatten(1)
        ranks = (values.argsort(0).argsort(0) + 0.5) / len(values)
        eigenvalues, vectors = torch.linalg.eigh(torch.cov(NORMAL.icdf(ranks).T))
        self.prior_root.copy_(vectors * eigenvalues.clamp(min=0).sqrt() @ vectors.T)
        self.prior_quantiles.copy_(torch.quantile(values, QUANTILE_LEVELS.double(), dim=0))
