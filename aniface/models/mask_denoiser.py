"""The denoiser of the mask diffusion: a noisy mask -> which class each of its cells has (diffusers' UNet2DModel inside)."""

from __future__ import annotations

import torch
from diffusers import UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from ..labels import BACKGROUND, NUM_LABELS
from .network import Network

NUM_TIMESTEPS = 1000  # of the noise levels that it knows


class MaskDenoiser(Network):
    """Sees class shares under Gaussian noise and guesses the clean ones (diffusion on one-hot data: Chen et al. 2023, "Analog Bits").

    A softmax over its logits is the expected clean mask, because it is trained by cross-entropy (Dieleman et al. 2022, "Continuous
    diffusion for categorical data", section 3.1). Blocks of cells are packed into channels, so that the U-Net works on a coarse grid;
    that it need not tell the noise itself but the mask makes such wide patches possible. Convolutions over the cells themselves then mend
    the outlines, which do not pass through so few channels.

    Args:
        mask_size: side of the masks in cells.
        patch_size: side of the blocks of cells that are packed into channels.
        channels: widths of the U-Net; each after the first halves the resolution.
        attention: which of these resolutions have self-attention.
        layers_per_block: residual blocks of a resolution.
        time_dim: size of the embedding of the noise level.
        fine_channels: width of the convolutions over the cells; 0 for none.
        signal: clean shares 0 and 1 become -signal and signal: the smaller, the sooner noise drowns them (Chen 2023, "On the importance of
            noise scheduling", section 2.2).
    """

    @register_to_config
    def __init__(
        self,
        mask_size: int = 64,
        patch_size: int = 4,
        channels: tuple[int, ...] = (96, 160),
        attention: tuple[bool, ...] = (False, True),
        layers_per_block: int = 1,
        time_dim: int = 128,
        fine_channels: int = 64,
        signal: float = 0.3,
    ):
        super().__init__()
        grid, halvings = mask_size // patch_size, len(channels) - 1
        if mask_size % patch_size or grid % (1 << halvings):
            raise ValueError(f"MaskDenoiser: mask_size is {mask_size}; expected a multiple of {patch_size << halvings}")
        if len(attention) != len(channels):
            raise ValueError(f"MaskDenoiser: attention has {len(attention)} entries; expected {len(channels)}, as many as channels")
        packed = patch_size**2
        self.unet = UNet2DModel(
            sample_size=grid,
            in_channels=packed * (NUM_LABELS + NUM_LABELS - 1),
            out_channels=packed * NUM_LABELS,
            block_out_channels=tuple(channels),
            down_block_types=tuple("AttnDownBlock2D" if here else "DownBlock2D" for here in attention),
            up_block_types=tuple("AttnUpBlock2D" if here else "UpBlock2D" for here in reversed(attention)),
            layers_per_block=layers_per_block,
            norm_num_groups=8,
            attention_head_dim=min(32, channels[-1]),
            time_embedding_dim=time_dim,
        )
        nn.init.zeros_(self.unet.conv_out.weight)
        self.fine = None
        if fine_channels:
            layers: list[nn.Module] = []
            inputs = NUM_LABELS + (NUM_LABELS - 1) + NUM_LABELS + 1
            for _ in range(3):
                layers += [nn.Conv2d(inputs, fine_channels, 3, padding=1), nn.SiLU()]
                inputs = fine_channels
            last = nn.Conv2d(inputs, NUM_LABELS, 3, padding=1)
            for weights in last.parameters():
                nn.init.zeros_(weights)  # nothing is mended at first
            self.fine = nn.Sequential(*layers, last)

    def scale(self, shares: torch.Tensor) -> torch.Tensor:
        """Shares in [0, 1] -> what noise is added to, in [-signal, signal]."""
        return self.config.signal * (2 * shares - 1)

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Guess clean masks.

        Args:
            noisy: (B, 7, S, S) scaled shares with noise, S = `mask_size`.
            timesteps: (B,) of the noise scheduler.
            drawn: (B, 7, S, S) shares of what a user has drawn; its background is ignored: it says that nothing is drawn there.

        Returns:
            (B, 7, S, S) logits.
        """
        inputs = torch.cat([noisy, drawn[:, BACKGROUND + 1 :]], 1)
        packed = F.pixel_unshuffle(inputs, self.config.patch_size).contiguous(memory_format=torch.channels_last)
        logits = F.pixel_shuffle(self.unet(packed, timesteps).sample, self.config.patch_size)
        if self.fine is None:
            return logits
        level = (timesteps / NUM_TIMESTEPS).to(inputs.dtype)[:, None, None, None].expand(len(inputs), 1, *inputs.shape[-2:])
        seen = torch.cat([inputs, logits.softmax(1).to(inputs.dtype), level], 1)
        return logits + self.fine(seen.contiguous(memory_format=torch.channels_last))
