"""The face parser: picture -> 7 class logits a pixel (U-Net, Ronneberger et al. 2015, on a MobileNetV2 down path)."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from ..labels import NUM_LABELS
from .mobilenet_v2 import FEATURE_CHANNELS, MobileNetV2Features
from .network import Network

UPSAMPLINGS = ("transposed", "bilinear")


class UpBlock(nn.Module):
    """Double the resolution, join the skip connection, convolve."""

    def __init__(self, inputs: int, skip: int, outputs: int, upsampling: str):
        super().__init__()
        self.transposed = nn.ConvTranspose2d(inputs, inputs, 4, stride=2, padding=1) if upsampling == "transposed" else None
        self.conv = nn.Conv2d(inputs + skip, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        x = self.transposed(x) if self.transposed is not None else F.interpolate(x, scale_factor=2, mode="bilinear")
        if skip is not None:
            x = torch.cat([x, skip], 1)
        return F.relu(self.norm(self.conv(x)))


class FaceSegmenter(Network):
    """U-Net face parser; the article's versions are configurations of it (see `ARTICLE_VERSIONS`).

    Args:
        image_size: side in pixels of the square picture that the network is fed with; a multiple of 32.
        upsampling: "transposed" (convolutions; checkerboards) or "bilinear" (clean).
        decoder_channels: widths of the four up blocks, from stride 16 to stride 2, and of the last one at full resolution.
        num_labels: number of classes.
    """

    @register_to_config
    def __init__(
        self,
        image_size: int = 512,
        upsampling: str = "bilinear",
        decoder_channels: tuple[int, ...] = (96, 64, 48, 32, 16),
        num_labels: int = NUM_LABELS,
    ):
        super().__init__()
        if image_size % 32 or not 32 <= image_size <= 2048:
            raise ValueError(f"FaceSegmenter: image_size is {image_size}; expected a multiple of 32 from 32 to 2048")
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"FaceSegmenter: upsampling is {upsampling!r}; expected one of {', '.join(UPSAMPLINGS)}")
        if len(decoder_channels) != 5:
            raise ValueError(f"FaceSegmenter: decoder_channels has {len(decoder_channels)} entries; expected 5")
        self.encoder = MobileNetV2Features()
        skips = (*FEATURE_CHANNELS[-2::-1], 0)
        inputs = FEATURE_CHANNELS[-1]
        self.up = nn.ModuleList()
        for skip, outputs in zip(skips, decoder_channels, strict=True):
            self.up.append(UpBlock(inputs, skip, outputs, upsampling))
            inputs = outputs
        self.head = nn.Conv2d(inputs, num_labels, 1)

    def forward(self, pixels: torch.Tensor, return_features: bool = False):
        """(B, 3, H, W) in [-1, 1], sides multiples of 32 -> (B, 7, H, W) logits [and the encoder's five feature maps]."""
        features = self.encoder(pixels)
        x = features[-1]
        for block, skip in zip(self.up, (*features[-2::-1], None), strict=True):
            x = block(x, skip)
        logits = self.head(x)
        return (logits, features) if return_features else logits

    @torch.inference_mode()
    def predict(self, pixels: torch.Tensor, average_mirrored: bool = False) -> torch.Tensor:
        """Class probabilities of pictures of any square size.

        Args:
            pixels: (B, 3, H, H) in [-1, 1].
            average_mirrored: average with the mirrored picture's result; twice the time, a little more exact.

        Returns:
            (B, 7, H, H) probabilities; the network works at `image_size`.
        """
        size = self.config.image_size
        x = pixels if pixels.shape[-1] == size else F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
        x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        logits = self(x)
        if average_mirrored:
            logits = (logits + self(x.flip(-1)).flip(-1)) / 2
        if pixels.shape[-1] != size:
            logits = F.interpolate(logits, size=pixels.shape[-2:], mode="bilinear", antialias=True)
        return logits.float().softmax(1)


# The article's three U-Nets: v1 is blocky and loses mouths, v2 shows checkerboards, v3 is clean.
ARTICLE_VERSIONS = {
    "v1": {"image_size": 128, "upsampling": "transposed"},
    "v2": {"image_size": 512, "upsampling": "transposed"},
    "v3": {"image_size": 512, "upsampling": "bilinear"},
}
