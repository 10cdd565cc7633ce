"""Masks that nobody drew: sampling, varying and completing masks by diffusion, and the way from class shares to clean ids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch.nn import functional as F

from .labels import BACKGROUND, CLOTHES, EYE, FACE, HAIR, MOUTH, NUM_LABELS, SKIN, Mask, fill_by_majority, regions
from .mask_statistics import is_valid, pieces, widen
from .models.mask_denoiser import NUM_TIMESTEPS, MaskDenoiser
from .outlines import redraw
from .processing import mask_one_hot, resized_argmax, seeded_generator

SIZE = 512  # of random masks
STEPS = 20  # of DDIM, from pure noise
ETA = 0.7  # between DDIM's (0) and ancestral sampling (1): fresh noise mends mistakes, much of it makes all faces alike
ATTEMPTS = 6  # so many sub-seeds are tried for a mask that keeps the rules of a face map

# Eye and mouth count more in a cell, or lines of 5-7 px would vanish in cells of 8 px.
FEATURE_WEIGHT = 1.5
MOST_MOUTH_WEIGHT = 8.0

STRAY = 12 / 512**2  # share of the longer side's square: smaller pieces of a finished mask are no part of a face
# Within which share of the longer side a class's border is drawn anew, where class shares leave waves; from back to front.
OUTLINES = {CLOTHES: 5 / 512, FACE: 3 / 512, HAIR: 8 / 512, EYE: 3 / 512, MOUTH: 1 / 512}

CLEANING_SIZE = 128
SMALLEST = np.full(NUM_LABELS, 24)  # pieces of fewer pixels at CLEANING_SIZE are specks,
SMALLEST[[EYE, MOUTH]] = 10, 4  # of each class
LOOSE_PIECE, LOOSE_CLOTHES = 330, 160  # 2 and 1 % of CLEANING_SIZE squared: what is smaller and lies off its body is no part of it


def make_scheduler() -> DDIMScheduler:
    """The noise levels of training and sampling (DDIM, Song et al. 2021): cosine, down to no signal at all, guessing the clean mask."""
    return DDIMScheduler(
        num_train_timesteps=NUM_TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def class_shares(mask: Mask, size: int) -> torch.Tensor:
    """(1, 7, size, size): which share of each cell a class has. A mask that is not square is letterboxed."""
    shares = F.adaptive_avg_pool2d(mask_one_hot(mask, SIZE), size)
    shares[:, [EYE, MOUTH]] *= FEATURE_WEIGHT
    return shares / shares.sum(1, keepdim=True)


def weigh_mouth(planes: np.ndarray) -> np.ndarray:
    """(7, S, S) class shares with the mouth's scaled up until it is the greatest on as large an area as it has.

    A mouth is mostly a line thinner than a cell, whose share is nowhere the greatest; the sum of its shares is its area all the same.
    """
    mouth, others = planes[MOUTH].clip(1e-6, 1), np.delete(planes, MOUTH, 0).max(0)
    area = round(float((mouth / (FEATURE_WEIGHT - (FEATURE_WEIGHT - 1) * mouth)).sum()))
    weights_needed = np.sort((others / mouth).ravel())
    planes = planes.copy()
    planes[MOUTH] *= np.clip(weights_needed[min(area, weights_needed.size - 1)], 1, MOST_MOUTH_WEIGHT)
    return planes


def without_specks(planes: np.ndarray, tidy: bool = False) -> np.ndarray:
    """(7, S, S) class shares, S = CLEANING_SIZE, changed so that no piece of the likeliest classes is a speck or loose
    (see `loose_pieces`).

    What is removed takes the class around it.
    """
    planes = planes.copy()
    for _ in range(3):  # what is filled may join or part others
        ids = planes.argmax(0).astype(np.uint8)
        numbers, count = regions(ids)
        label_of = np.zeros(count, np.uint8)
        label_of[numbers] = ids
        wrong = (np.bincount(numbers.ravel()) < SMALLEST[label_of])[numbers] | loose_pieces(ids, tidy)
        if not wrong.any() or wrong.all():
            break
        filled = fill_by_majority(ids, ~wrong, rounds=CLEANING_SIZE)
        planes[:, wrong] = filled[wrong] == np.arange(NUM_LABELS)[:, None]
    return planes


def loose_pieces(ids: np.ndarray, tidy: bool) -> np.ndarray:
    """Where an (S, S) mask, S = CLEANING_SIZE, has small pieces that lie off what they belong to: of the head off its greatest piece and,
    if `tidy`, of skin off the face, as hands and stumps of arms do, and of clothes off the lower rim, as ribbons and splinters do."""
    head, face, rim = np.isin(ids, (FACE, EYE, MOUTH, HAIR)), widen(ids == FACE, 2), np.zeros(ids.shape, bool)
    rim[-1] = True
    kinds: list[tuple[np.ndarray, np.ndarray | None, int]] = [(head, None, LOOSE_PIECE)]
    if tidy:
        kinds += [(ids == SKIN, face, LOOSE_PIECE), (ids == CLOTHES, rim, LOOSE_CLOTHES)]
    loose = np.zeros(ids.shape, bool)
    for part, anchor, least in kinds:
        if part.any():
            numbers, count = regions(part.astype(np.uint8))
            areas = np.bincount(numbers[part], minlength=count)
            held = areas == areas.max() if anchor is None else np.bincount(numbers[part & anchor], minlength=count) > 0
            loose |= part & (~held & (areas < least))[numbers]
    return loose


def ids_of_shares(planes: np.ndarray, width: int, height: int, tidy: bool = False) -> np.ndarray:
    """(7, S, S) class shares or probabilities -> (height, width) ids without specks; S x S is their letterbox.

    Their borders are clean strokes.

    Args:
        tidy: leave out small loose skin and clothes, too: what nobody asked for had better not be there.
    """
    planes = without_specks(weigh_mouth(np.stack([_resized(plane, CLEANING_SIZE) for plane in planes])), tidy)
    side = max(width, height)
    left, top = ((side - length) / 2 * CLEANING_SIZE / side for length in (width, height))
    window = (left, top, CLEANING_SIZE - left, CLEANING_SIZE - top)
    ids = resized_argmax(planes, width, height, window, Image.Resampling.BICUBIC)
    ids = redraw(ids, {label: share * side for label, share in OUTLINES.items()})
    return without_strays(ids, STRAY * side**2)


def without_strays(ids: np.ndarray, smallest: float) -> np.ndarray:
    """Pieces of fewer pixels than `smallest`, which scaling leaves where borders meet, become what is around them; mouths may be small."""
    numbers, _ = regions(ids)
    stray = (np.bincount(numbers.ravel()) < smallest)[numbers] & (ids != MOUTH)
    return fill_by_majority(ids, ~stray, rounds=4)


def _resized(plane: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((size, size), Image.Resampling.BICUBIC))


def has_gaps_in_face(partial: Mask) -> bool:
    """Whether the drawn face leaves gaps, as for eyes: undrawn pieces of 0.3 % of the mask in all that are mostly surrounded by face."""
    ids = partial.fit(CLEANING_SIZE).ids
    gaps = 0
    for piece in pieces(ids == BACKGROUND, gap=0):
        around = widen(piece.inside) & ~piece.inside
        if (ids[around] == FACE).mean() > 0.5:
            gaps += piece.area
    return gaps >= 0.003 * ids.size


def near(places: np.ndarray, cells: int) -> np.ndarray:
    """Of an (H, W) map, the cells (so many a side) that hold one of the `places`, and their neighbours."""
    height, width = places.shape
    shares = Image.fromarray(places.astype(np.float32)).resize((cells, cells), Image.Resampling.BOX)
    grown = Image.fromarray(widen(np.asarray(shares) > 0).astype(np.uint8))
    return np.asarray(grown.resize((width, height), Image.Resampling.NEAREST)) > 0


def first_valid(draw: Callable[[int], np.ndarray], attempts: int = ATTEMPTS) -> Mask:
    """The first of the masks draw(0), draw(1), ... that keeps the rules of a face map; if none of `attempts` does, the very first."""
    first = Mask(draw(0))
    if is_valid(first):
        return first
    return next((mask for mask in (Mask(draw(attempt)) for attempt in range(1, attempts)) if is_valid(mask)), first)


class MaskSampler:
    """Draws masks with a trained denoiser.

    Args:
        denoiser: guesses clean masks.
        scheduler: its noise levels, as from `make_scheduler`.
    """

    def __init__(self, denoiser: MaskDenoiser, scheduler: DDIMScheduler):
        self.denoiser, self.scheduler = denoiser, scheduler

    def random(self, seed: int, attempts: int = ATTEMPTS) -> Mask:
        """A 512x512 mask.

        Args:
            attempts: a mask that breaks a rule of a face map is drawn anew, by sub-seeds of the seed, until so many were.
        """
        nothing = torch.zeros(1, NUM_LABELS, self._cells, self._cells)

        def draw(attempt: int) -> np.ndarray:
            return ids_of_shares(self._denoise(nothing, nothing, STEPS, seed, attempt), SIZE, SIZE, tidy=True)

        return first_valid(draw, attempts)

    def vary(self, mask: Mask, amount: float, seed: int) -> Mask:
        """The mask with so much noise added and taken away again (SDEdit, Meng et al. 2022): 0 gives it back, 1 is another face.

        Where noise leaves a cell and its neighbours as they were, the mask's own pixels stay. The result has the mask's size.
        """
        if amount == 0:
            return mask
        steps = max(1, round(amount**0.3 * STEPS))  # a face keeps its shape under much noise: most of the change is near the end
        shares = class_shares(mask, self._cells)
        coarse = ids_of_shares(shares[0].numpy(), mask.width, mask.height)

        def draw(attempt: int) -> np.ndarray:
            varied = ids_of_shares(self._denoise(shares, torch.zeros_like(shares), steps, seed, attempt), mask.width, mask.height)
            return np.where(near(varied != coarse, self._cells), varied, mask.ids) if steps < STEPS else varied

        return first_valid(draw)

    def complete(self, partial: Mask, seed: int) -> Mask:
        """A whole mask with every drawn pixel of `partial`; what is background there counts as not drawn.

        Eyes and a mouth that are missing go into the gaps left for them; where a face is drawn without gaps they go on top of it.
        """
        drawn = class_shares(partial, self._cells)
        features = () if has_gaps_in_face(partial) else [label for label in (EYE, MOUTH) if not (partial.ids == label).any()]

        def draw(attempt: int) -> np.ndarray:
            ids = ids_of_shares(self._denoise(torch.zeros_like(drawn), drawn, STEPS, seed, attempt), partial.width, partial.height)
            on_face = np.isin(ids, features) & (partial.ids == FACE)
            return np.where((partial.ids == BACKGROUND) | on_face, ids, partial.ids)

        return first_valid(draw)

    @property
    def _cells(self) -> int:
        return self.denoiser.config.mask_size

    @torch.inference_mode()
    def _denoise(self, shares: torch.Tensor, drawn: torch.Tensor, steps: int, seed: int, attempt: int = 0) -> np.ndarray:
        """Shares under the noise of the last `steps` of STEPS levels -> (7, S, S) probabilities of a clean mask.

        One mask at a time: the last bits of a batch depend on its size, and a mask must not depend on its neighbours.
        """
        device, dtype = self.denoiser.device, self.denoiser.dtype
        generator = seeded_generator(seed, attempt)
        noise = torch.randn(shares.shape, generator=generator).to(device)
        self.scheduler.set_timesteps(STEPS)
        timesteps = self.scheduler.timesteps[-steps:]
        drawn = drawn.to(device, dtype)
        noisy = self.scheduler.add_noise(self.denoiser.scale(shares.to(device)), noise, timesteps[:1])
        for timestep in timesteps:
            clean = self.denoiser(noisy.to(dtype), timestep[None].to(device), drawn).float().softmax(1)
            noisy = self.scheduler.step(self.denoiser.scale(clean), timestep, noisy, eta=ETA, generator=generator).prev_sample
        return clean[0].cpu().numpy()
