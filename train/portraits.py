"""What the style VAE and the painter train on: portraits, their masks, a partner's style, and every random number of a step.

All randomness comes from the sample stream, so a step is the same after any resume and on any number of processes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from aniface.labels import EYE, FACE, MOUTH, NUM_STYLE_REGIONS, InputError, vote_resize
from aniface.models.painter import FacePainter
from aniface.models.style_encoder import StyleEncoder, region_means
from aniface.processing import one_hot, pixels_from_uint8

from .augment import random_grid
from .data import SampleStream

NUM_UNIFORMS = 16


def painter_to_train(args, which: str) -> FacePainter:
    """The painter that --pretrained_model_name_or_path names; raises InputError, which says `which` one to give, if it names none."""
    if not args.pretrained_model_name_or_path:
        raise InputError(f"--pretrained_model_name_or_path is missing; give the painter {which}")
    return FacePainter.from_pretrained(args.pretrained_model_name_or_path)


def check_resolution(painter: FacePainter, resolution: int) -> None:
    """Raise InputError if the painter does not paint pictures of this side."""
    if resolution not in painter.sizes:
        raise InputError(f"--resolution {resolution}: this painter paints at {', '.join(map(str, painter.sizes))} px; choose one of them")


def sloppy_ids(ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask as a hurried hand would draw it: bent a little, its shapes simplified, now and then without mouth or an eye."""
    size = len(ids)
    grid = random_grid(rng, size, rotate=2, scale=(0.97, 1.03), shift=0.01, warp=0.008)
    if grid[0, 0, 0, 0] > grid[0, 0, -1, 0]:
        grid = grid.flip(2)  # never mirrored: the picture stays as it is
    bent = F.grid_sample(torch.tensor(ids)[None, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    ids = bent[0, 0].numpy().astype(np.uint8)
    if rng.random() < 0.7:
        ids = vote_resize(vote_resize(ids, int(size * rng.uniform(0.15, 0.5))), size)
    if rng.random() < 0.15:
        ids = np.where(ids == MOUTH, FACE, ids)
    if rng.random() < 0.05:
        columns = np.arange(size) < size / 2
        ids = np.where((ids == EYE) & columns, FACE, ids)
    return ids.astype(np.uint8)


class PortraitStream(SampleStream):
    """Samples with keys

    pixels: (R, R, 3) uint8 portrait; ids: (R, R) uint8 its mask; drawn: the mask as drawn, sloppy in half of the samples;
    style_pixels, style_ids: picture and mask, at the encoder's size, of this portrait; other_pixels, other_ids: of another one;
    noise: (5, latent_dim + 3) N(0, 1); uniforms: (16,) in [0, 1).
    """

    def __init__(self, pictures: np.ndarray, masks: np.ndarray, style_size: int, latent_dim: int, seed: int):
        self.pictures, self.masks, self.latent_dim = pictures, masks, latent_dim
        self.small_pictures, self.small_masks = shrink(pictures, masks, style_size)
        super().__init__(len(pictures), self._make, seed)

    def _make(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        other = int(rng.integers(len(self.pictures)))
        mirror = slice(None, None, -1 if rng.random() < 0.5 else 1)
        ids = np.ascontiguousarray(self.masks[index][:, mirror])
        return {
            "pixels": np.ascontiguousarray(self.pictures[index][:, mirror]),
            "ids": ids,
            "drawn": sloppy_ids(ids, rng) if rng.random() < 0.5 else ids,
            "style_pixels": np.ascontiguousarray(self.small_pictures[index][:, mirror]),
            "style_ids": np.ascontiguousarray(self.small_masks[index][:, mirror]),
            "other_pixels": self.small_pictures[other],
            "other_ids": self.small_masks[other],
            "noise": rng.standard_normal((NUM_STYLE_REGIONS, self.latent_dim + 3), np.float32),
            "uniforms": rng.random(NUM_UNIFORMS, np.float32),
        }


def shrink(pictures: np.ndarray, masks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, R, R, 3) and masks (N, R, R) by whole blocks to `size`: mean colours, the ids of the blocks' middles."""
    factor = pictures.shape[1] // size
    if factor <= 1:
        return pictures, masks
    small = np.empty((len(pictures), size, size, 3), np.uint8)
    for target, picture in zip(small, pictures, strict=True):
        target[:] = picture.reshape(size, factor, size, factor, 3).mean((1, 3)).round()
    return small, np.ascontiguousarray(masks[:, factor // 2 :: factor, factor // 2 :: factor])


@torch.no_grad()
def encode_style(encoder, pixels: torch.Tensor, ids: torch.Tensor, noise: torch.Tensor):
    """uint8 pictures and ids -> codes drawn from the encoder's distribution, mean colours and which regions are there."""
    picture, layout = pixels_from_uint8(pixels), one_hot(ids)
    mean, log_variance = encoder(picture, layout)
    colours, present = region_means(picture, layout)
    return mean + noise[..., : mean.shape[-1]] * (0.5 * log_variance).exp(), colours, present


def own_count(batch_size: int) -> int:
    """How many of a batch, the first ones, are painted in their own style; the others in another's or a random one."""
    return (batch_size + 1) // 2


def choose_styles(encoder: StyleEncoder, batch: dict):
    """Codes, colours and which colours are known, for each sample of a batch.

    The first half: its own code, each region's colour known half of the time. The others: another portrait's code or one from
    N(0, I) by the encoder's prior, the other portrait's colour known half of the time, so that a colour can be asked for with any code.
    """
    own = own_count(len(batch["pixels"]))
    pixels = torch.cat([batch["style_pixels"][:own], batch["other_pixels"][own:]])
    ids = torch.cat([batch["style_ids"][:own], batch["other_ids"][own:]])
    codes, colours, present = encode_style(encoder, pixels, ids, batch["noise"])
    uniforms = batch["uniforms"]
    regions = present.shape[1]
    known = present * (uniforms[:, :regions, None] < 0.5)
    random_code = (uniforms[:, -1] < 0.5) & (torch.arange(len(codes), device=codes.device) >= own)
    codes = torch.where(random_code[:, None, None], encoder.sample(batch["noise"])[0], codes)
    everything_free = random_code & (uniforms[:, -2] < 0.5)
    return codes, colours, known * ~everything_free[:, None, None]


def drawn_masks(batch: dict) -> torch.Tensor:
    """The masks that a batch is painted from, (B, H, H): exact for the own styles, perhaps sloppy for the others.

    A picture that must come back pixel by pixel from a mask with shifted borders would be taught blurred borders with halos.
    """
    own = own_count(len(batch["ids"]))
    return torch.cat([batch["ids"][:own], batch["drawn"][own:]])
