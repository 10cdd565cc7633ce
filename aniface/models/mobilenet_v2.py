"""MobileNetV2 as a feature pyramid (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks").

Module names follow the checkpoint layout of transformers' `MobileNetV2Model`, so that its safetensors load as they are, and
paddings follow TensorFlow's "same" rule, with which those weights were trained.
"""

from __future__ import annotations

import os

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from ..labels import InputError

# (output channels, stride) of the 16 inverted residual blocks after the stem.
BLOCKS = [(24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1), (96, 1), (96, 1), (96, 1)]
BLOCKS += [(160, 2), (160, 1), (160, 1), (320, 1)]
FEATURE_BLOCKS = (1, 4, 11, 15)  # the last block of each resolution
FEATURE_CHANNELS = (16, 24, 32, 96, 320)  # at strides 2, 4, 8, 16, 32


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and, if asked, ReLU6; padded as TensorFlow pads."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, activate: bool = True):
        super().__init__()
        padding = 1 if kernel == 3 and stride == 1 else 0
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.normalization = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.activate = activate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.convolution.stride[0] == 2:  # "same" puts the odd pixel of padding at the right and the bottom
            x = F.pad(x, (x.shape[-1] % 2, 1, x.shape[-2] % 2, 1))
        x = self.normalization(self.convolution(x))
        return F.relu6(x, inplace=True) if self.activate else x


class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.first_conv = ConvNorm(3, 32, 3, stride=2)
        self.conv_3x3 = ConvNorm(32, 32, 3, groups=32)
        self.reduce_1x1 = ConvNorm(32, FEATURE_CHANNELS[0], activate=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.reduce_1x1(self.conv_3x3(self.first_conv(x)))


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        hidden = 6 * inputs
        self.expand_1x1 = ConvNorm(inputs, hidden)
        self.conv_3x3 = ConvNorm(hidden, hidden, 3, stride, groups=hidden)
        self.reduce_1x1 = ConvNorm(hidden, outputs, activate=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.reduce_1x1(self.conv_3x3(self.expand_1x1(x)))
        return x + y if self.residual else y


class MobileNetV2Features(nn.Module):
    """(B, 3, H, W) picture in [-1, 1] -> five maps with `FEATURE_CHANNELS` channels at strides 2, 4, 8, 16, 32."""

    def __init__(self):
        super().__init__()
        self.conv_stem = Stem()
        self.layer = nn.ModuleList()
        channels = FEATURE_CHANNELS[0]
        for outputs, stride in BLOCKS:
            self.layer.append(InvertedResidual(channels, outputs, stride))
            channels = outputs

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.conv_stem(x)
        features = [x]
        for index, block in enumerate(self.layer):
            x = block(x)
            if index in FEATURE_BLOCKS:
                features.append(x)
        return features

    def load_imagenet(self, path: str | os.PathLike) -> MobileNetV2Features:
        """Take the weights of transformers' `model.safetensors` of google/mobilenet_v2_1.0_224; returns itself.

        Raises:
            InputError: no such file, or it holds something else.
        """
        try:
            self.load_state_dict({k: v for k, v in load_file(path).items() if not k.startswith("conv_1x1.")})
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"{path}: expected the safetensors of a MobileNetV2 in transformers' layout ({reason})") from None
        return self
