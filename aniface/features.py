"""Features of pictures from a frozen MobileNetV2: what perceptual, kernel and Fréchet distances are measured in."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from .models.mobilenet_v2 import MobileNetV2Features
from .processing import pixels_from_uint8

SIZE = 256


class PictureFeatures:
    """Maps and pooled features of pictures, at 256 px.

    Args:
        encoder: the frozen network.
        name: of the network, to be told beside every distance.
    """

    def __init__(self, encoder: MobileNetV2Features, name: str):
        self.encoder, self.name = encoder, name

    @classmethod
    def choose(cls, pipe, imagenet_weights=None) -> PictureFeatures:
        """ImageNet features if their file is given (see `MobileNetV2Features.load_imagenet`), else those of the pipeline's segmenter."""
        if imagenet_weights:
            encoder = MobileNetV2Features().load_imagenet(imagenet_weights)
            return cls(encoder.eval().requires_grad_(False), "MobileNetV2 1.0 (ImageNet)")
        return cls(pipe.segmenter.encoder, "the segmenter's MobileNetV2")

    @torch.inference_mode()
    def maps(self, pictures: np.ndarray) -> list[torch.Tensor]:
        """(N, H, W, 3) uint8 -> five feature maps (N, C, h, w)."""
        pixels = pixels_from_uint8(np.ascontiguousarray(pictures))
        pixels = F.interpolate(pixels, size=(SIZE, SIZE), mode="bilinear", antialias=True) if pixels.shape[-1] != SIZE else pixels
        return self.encoder(pixels.contiguous(memory_format=torch.channels_last))

    def pooled(self, pictures, batch: int = 8) -> np.ndarray:
        """A sequence of N (H, W, 3) uint8 pictures of one size -> (N, 448): means over the picture at strides 8, 16 and 32."""
        rows = []
        for start in range(0, len(pictures), batch):
            maps = self.maps(np.stack([np.asarray(picture) for picture in pictures[start : start + batch]]))
            rows.append(torch.cat([level.mean((2, 3)) for level in maps[2:]], 1).numpy())
        return np.concatenate(rows)

    def distance(self, first, second) -> float:
        """Perceptual distance of two (H, W, 3) uint8 pictures: squared differences of the unit-normalised channels, averaged over
        places and levels (LPIPS without learnt weights: Zhang et al. 2018, section 3)."""
        maps = self.maps(np.stack([np.asarray(first), np.asarray(second)]))
        units = [F.normalize(level, dim=1) for level in maps]
        return float(sum((u[0] - u[1]).square().sum(0).mean() for u in units) / len(units))
