"""The seeded order in which training sees its samples, and sheets of pictures to look at."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, default_collate


class SampleStream(Dataset):
    """An endless seeded sequence of samples: number n is the same whoever asks, on whichever process, after any resume.

    Each epoch visits every item once in an order drawn from (seed, epoch); `make_sample(index, rng)` gets a generator seeded by
    (seed, n), so a training run that stops after sample n goes on with n + 1 and needs no saved state.
    """

    def __init__(self, num_items: int, make_sample, seed: int):
        self.num_items, self.make_sample, self.seed = num_items, make_sample, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, n: int):
        epoch, position = divmod(n, self.num_items)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, 1, epoch]).permutation(self.num_items)
        return self.make_sample(int(self._order[position]), np.random.default_rng([self.seed, 2, n]))

    def __len__(self) -> int:
        return sys.maxsize


def stack_samples(stream: SampleStream, first: int, count: int) -> dict[str, torch.Tensor]:
    """Samples first, first + 1, ... of a stream as one batch."""
    return default_collate([stream[first + k] for k in range(count)])


def contact_sheet(rows: Sequence[Sequence[np.ndarray | Image.Image]], size: int = 192) -> Image.Image:
    """A sheet of pictures to look at: one list a row, each scaled to `size`."""
    sheet = Image.new("RGB", (size * max(map(len, rows)), size * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
            sheet.paste(picture.convert("RGB").resize((size, size), Image.Resampling.LANCZOS), (x * size, y * size))
    return sheet
