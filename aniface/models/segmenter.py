"""The face parser: picture -> 7 class logits a pixel (U-Net, Ronneberger et al. 2015, on a MobileNetV2 down path)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional as F

from ..labels import NUM_LABELS
from .mobilenet_v2 import FEATURE_CHANNELS, MobileNetV2Features
from .network import Network

UPSAMPLINGS = ("transposed", "bilinear")
CONTEXT_WIDTH = 160
AFFINITY_BLOCK = 2  # the up block that ends at stride 4


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
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Detail(nn.Module):
    """Features of the picture itself, at full resolution: the down path begins at half of it, too coarse for thin strands of hair."""

    def __init__(self, channels: int):
        super().__init__()
        layers = []
        for inputs in (3, channels):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.layers(pixels)


class GlobalContext(nn.Module):
    """Let every place of the coarsest feature map see all others: self-attention (Vaswani et al. 2017) with learnt positions.

    What is hair and what is a dark background is told by the whole picture; where clothes begin, by the place in it.
    """

    def __init__(self, inputs: int, width: int, side: int, layers: int, heads: int = 4):
        super().__init__()
        self.side = side
        self.enter = nn.Conv2d(inputs, width, 1)
        self.position = nn.Parameter(0.02 * torch.randn(1, side * side, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def positions(self, sides: Sequence[int]) -> torch.Tensor:
        """(1, places, width) for a feature map of these sides: interpolated where it is not that of training."""
        position: torch.Tensor = self.position
        if tuple(sides) == (self.side, self.side):
            return position
        position = position.transpose(1, 2).unflatten(2, (self.side, self.side))
        return F.interpolate(position, size=sides, mode="bilinear").flatten(2).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.enter(x)
        sides = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2) + self.positions(sides)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens).transpose(1, 2).unflatten(2, sides).contiguous(memory_format=torch.channels_last)


class ColourAffinity(nn.Module):
    """Let places of like colour near each other agree: what is drawn in one flat colour is mostly one thing.

    The bilateral kernel of a dense CRF (Krähenbühl & Koltun 2011, eq. 3), exp(-|f_q - f_k|^2 / 2), is attention whose logits are
    f_q . f_k - |f_k|^2 / 2. It starts as such a kernel of colour and place; training goes on from there and adds what the features tell.
    Every fourth pixel asks, every eighth answers.

    Args:
        channels: of the feature map, which has a quarter of the picture's resolution.
        width: of what is passed on; f has one number less, since attention is fastest on queries, keys and values of one width.
        colour_deviation: of the first kernel, colours in [-1, 1]. place_deviation: likewise, the picture's side being 1.
    """

    def __init__(self, channels: int, width: int, colour_deviation: float = 0.05, place_deviation: float = 0.4):
        super().__init__()
        self.kernel = nn.Conv2d(5 + channels, width - 1, 1, bias=False)
        self.message = nn.Conv2d(channels, width, 1)
        self.join = nn.Conv2d(width, channels, 1)
        with torch.no_grad():
            self.kernel.weight[:, :5] = 0
            self.kernel.weight[:5, 5:] = 0
            for index, deviation in enumerate([colour_deviation] * 3 + [place_deviation] * 2):
                self.kernel.weight[index, index] = 1 / deviation
            for weights in self.join.parameters():
                weights.zero_()  # nothing is heard at first

    def _places(self, x: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """f of every place of a feature map: (B, places, width - 1)."""
        height, width = x.shape[-2:]
        step = pixels.shape[-1] // width
        colours = pixels[:, :, step // 2 :: step, step // 2 :: step]  # of one pixel: a mean would mix both sides of an outline
        down = (torch.arange(height, device=x.device, dtype=x.dtype) + 0.5) / height
        across = (torch.arange(width, device=x.device, dtype=x.dtype) + 0.5) / width
        places = torch.stack(torch.meshgrid(down, across, indexing="ij")).expand(len(x), -1, -1, -1)
        return F.conv2d(torch.cat([colours, places, x], 1), self.kernel.weight.float()).flatten(2).transpose(1, 2)

    def forward(self, x: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H / 4, W / 4) features and their (B, 3, H, W) pictures -> features."""
        with torch.autocast(x.device.type, enabled=False):  # squares of differences: half precision would lose them
            x = x.to(self.join.weight.dtype)
            coarse = F.avg_pool2d(x, 2)
            asking, answering = (self._places(features.float(), pixels.float()) for features in (x, coarse))
            asking = torch.cat([asking, torch.ones_like(asking[..., :1])], -1)
            answering = torch.cat([answering, -answering.square().sum(-1, keepdim=True) / 2], -1)
            message = self.message(coarse).float().flatten(2).transpose(1, 2)
            heard = F.scaled_dot_product_attention(asking[:, None], answering[:, None], message[:, None], scale=1.0)[:, 0]
            heard = heard.transpose(1, 2).unflatten(2, x.shape[-2:]).to(x.dtype)
            return x + self.join(heard.contiguous(memory_format=torch.channels_last))


class FaceSegmenter(Network):
    """U-Net face parser; the article's versions and ours are configurations of it (see `VERSIONS`).

    Args:
        image_size: side in pixels of the square picture that the network is fed with; a multiple of 32.
        upsampling: "transposed" (convolutions; checkerboards) or "bilinear" (clean).
        decoder_channels: widths of the four up blocks, from stride 16 to stride 2, and of the last one at full resolution.
        context_layers: attention layers over the coarsest feature map (`image_size` / 32 on a side); 0 for none.
        detail_channels: width of a skip connection from the picture itself to the last up block; 0 for none.
        affinity_channels: width of the messages between places of like colour at stride 4; 0 for none.
        num_labels: number of classes.
    """

    @register_to_config
    def __init__(
        self,
        image_size: int = 512,
        upsampling: str = "bilinear",
        decoder_channels: tuple[int, ...] = (96, 64, 48, 32, 16),
        context_layers: int = 0,
        detail_channels: int = 0,
        affinity_channels: int = 0,
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
        self.detail = Detail(detail_channels) if detail_channels else None
        skips = (*FEATURE_CHANNELS[-2::-1], detail_channels)
        inputs = FEATURE_CHANNELS[-1]
        self.context = None
        if context_layers:
            self.context = GlobalContext(inputs, CONTEXT_WIDTH, image_size // 32, context_layers)
            inputs = CONTEXT_WIDTH
        self.up = nn.ModuleList()
        for skip, outputs in zip(skips, decoder_channels, strict=True):
            self.up.append(UpBlock(inputs, skip, outputs, upsampling))
            inputs = outputs
        self.affinity = ColourAffinity(decoder_channels[AFFINITY_BLOCK], affinity_channels) if affinity_channels else None
        self.head = nn.Conv2d(inputs, num_labels, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1], sides multiples of 32 -> (B, 7, H, W) logits."""
        pixels = pixels.to(self.dtype)
        return self.decode(pixels, self.encoder(pixels))

    def decode(self, pixels: torch.Tensor, features: list[torch.Tensor]) -> torch.Tensor:
        """(B, 3, H, W) pictures and the encoder's five feature maps of them -> (B, 7, H, W) logits."""
        x = self.context(features[-1]) if self.context is not None else features[-1]
        detail = self.detail(pixels) if self.detail is not None else None
        for index, (block, skip) in enumerate(zip(self.up, (*features[-2::-1], detail), strict=True)):
            x = block(x, skip)
            if index == AFFINITY_BLOCK and self.affinity is not None:
                x = self.affinity(x, pixels)
        return self.head(x)

    def at_size(self, image_size: int) -> FaceSegmenter:
        """A copy that works at another image size; learnt positions are interpolated.

        Raises:
            ValueError: the size is no multiple of 32 from 32 to 2048.
        """
        copy = FaceSegmenter(**{key: value for key, value in self.config.items() if not key.startswith("_")} | {"image_size": image_size})
        weights = self.state_dict()
        if self.context is not None and copy.context is not None:
            weights["context.position"] = self.context.positions((copy.context.side,) * 2)
        copy.load_state_dict(weights)
        return copy.to(self.device, self.dtype).train(self.training)

    @torch.inference_mode()
    def predict(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, H) pictures in [-1, 1] of any square size -> (B, 7, H, H) class probabilities; the network works at `image_size`."""
        return logits_at(self, pixels, self.config.image_size).softmax(1)


def logits_at(network: nn.Module, pixels: torch.Tensor, size: int) -> torch.Tensor:
    """(B, 3, H, H) pictures -> (B, 7, H, H) fp32 logits of a segmenter, wrapped for training or not, that sees them at `size` px."""
    side = pixels.shape[-1]
    x = pixels if side == size else F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
    logits = network(x.contiguous(memory_format=torch.channels_last)).float()
    return logits if side == size else F.interpolate(logits, size=(side, side), mode="bilinear", antialias=side < size)


# The article's three U-Nets: v1 is blocky and loses mouths, v2 shows checkerboards, v3 is clean. v4 is ours: portraits hold little detail
# beyond 256 px (masks halved and doubled again keep mIoU 0.993), so it works there, in a third of the time, and sees the whole face.
VERSIONS = {
    "v1": {"image_size": 128, "upsampling": "transposed"},
    "v2": {"image_size": 512, "upsampling": "transposed"},
    "v3": {"image_size": 512, "upsampling": "bilinear"},
    "v4": {
        "image_size": 256,
        "upsampling": "bilinear",
        "decoder_channels": (128, 96, 64, 40, 16),
        "context_layers": 2,
        "detail_channels": 16,
        "affinity_channels": 32,
    },
}

# A wider v4 to teach it: for training alone, where its cost does not matter.
TEACHER = VERSIONS["v4"] | {
    "decoder_channels": (256, 160, 96, 64, 32),
    "context_layers": 4,
    "detail_channels": 32,
    "affinity_channels": 48,
}
