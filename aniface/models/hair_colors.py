"""Attribute vectors of hair: where in the latent space of hair styles a colour lies, and how to move a code there."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn

from .network import Network


class HairColors(Network):
    """A linear map from a hair's mean colour to the mean of its style code, fitted to encoded portraits.

    Its three columns are the directions along which a code moves when the hair gets redder, greener or bluer (the latent attribute
    vectors of the article, for every colour at once instead of one a colour's name).

    Args:
        latent_dim: size of a style region's code.
    """

    @register_to_config
    def __init__(self, latent_dim: int = 16):
        super().__init__()
        if latent_dim < 3:
            raise ValueError(f"HairColors: latent_dim is {latent_dim}; expected at least 3")
        self.directions = nn.Parameter(torch.zeros(latent_dim, 3), requires_grad=False)
        self.offset = nn.Parameter(torch.zeros(latent_dim), requires_grad=False)

    @torch.no_grad()
    def fit(self, colours: torch.Tensor, codes: torch.Tensor) -> float:
        """Least squares of codes (N, latent_dim) on colours (N, 3) in [-1, 1]; returns the share of the codes' variance explained."""
        inputs = torch.cat([colours, torch.ones(len(colours), 1)], 1)
        solution = torch.linalg.lstsq(inputs, codes).solution
        self.directions.copy_(solution[:3].T)
        self.offset.copy_(solution[3])
        left = (codes - inputs @ solution).var(0).sum()
        return float(1 - left / codes.var(0).sum())

    def forward(self, codes: torch.Tensor, colours: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
        """Move codes (B, latent_dim) towards colours (B, 3) in [-1, 1].

        What a code says of colour is its part in the span of the directions; at `strength` 1 that part is replaced by the asked colour's
        and all else stays.
        """
        directions = self.directions.float()
        basis = torch.linalg.qr(directions).Q
        towards = colours @ directions.T + self.offset.float() - codes
        return codes + strength * (towards @ basis) @ basis.T
