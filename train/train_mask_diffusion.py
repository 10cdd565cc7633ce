"""Train the mask diffusion: from noise, and from parts of a mask, to whole masks.

accelerate launch -m train.train_mask_diffusion --train_data_dir PICTURES --masks_dir ANNOTATIONS --masks_dir runs/masks \\
    --output_dir runs/mask_diffusion
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from aniface.folders import Item
from aniface.labels import BACKGROUND, EYE, FACE, MOUTH, NUM_LABELS, InputError
from aniface.mask_statistics import is_valid
from aniface.memory import keep_freed_memory
from aniface.models.mask_denoiser import MaskDenoiser
from aniface.random_masks import MaskSampler, class_shares, make_scheduler

from .common import Run, make_parser, read_flags, run_script
from .data import SampleStream, contact_sheet
from .dataset import find_data


def load_shares(items: list[Item], size: int) -> np.ndarray:
    """(N, 7, size, size) uint8 class shares (of 255) of the items' masks that keep the rules of a face map."""

    def load(item: Item) -> np.ndarray | None:
        mask = item.open_mask()
        return (class_shares(mask, size)[0] * 255).round().byte().numpy() if is_valid(mask) else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shares = [loaded for loaded in pool.map(load, items) if loaded is not None]
    if not shares:
        raise InputError(f"none of {len(items)} masks is a valid face map; see aniface.mask_statistics.validity for the rules")
    return np.stack(shares)


def hide(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a user might have drawn of a mask: nothing, or some of its classes, or a window of them; (7, S, S) shares, the rest background.

    A face is sometimes drawn whole, with no gaps for the eyes and the mouth that are yet to come.
    """
    drawn = np.zeros_like(shares)
    if rng.random() < 0.5:
        return drawn
    chosen = np.flatnonzero(rng.random(NUM_LABELS) < 0.5)
    drawn[chosen] = shares[chosen]
    if FACE in chosen and rng.random() < 0.5:
        for feature in {EYE, MOUTH} - set(chosen.tolist()):
            drawn[FACE] += shares[feature]
    if rng.random() < 0.25:
        size = shares.shape[-1]
        low, high = np.sort(rng.integers(0, size + 1, (2, 2)), axis=0)
        outside = np.ones((size, size), bool)
        outside[low[0] : high[0], low[1] : high[1]] = False
        drawn *= outside if rng.random() < 0.5 else ~outside
    drawn[BACKGROUND] = 0
    return drawn


def shift(shares: np.ndarray, rng: np.random.Generator, most: int = 3) -> np.ndarray:
    """(7, S, S) moved by whole cells, up to `most` in each direction; what comes in repeats the rim. Masks are few."""
    size = shares.shape[-1]
    down, across = (np.clip(np.arange(size) + rng.integers(-most, most + 1), 0, size - 1) for _ in range(2))
    return shares[:, down[:, None], across]


def make_stream(shares: np.ndarray, num_timesteps: int, seed: int) -> SampleStream:
    """Samples with keys shares, drawn: (7, S, S) float32 in [0, 1]; noise: (7, S, S) N(0, 1); timestep: int."""

    def make(index: int, rng: np.random.Generator) -> dict:
        mirror = slice(None, None, -1 if rng.random() < 0.5 else 1)
        chosen = shift(shares[index], rng) if rng.random() < 0.5 else shares[index]
        clean = np.ascontiguousarray(chosen[:, :, mirror], np.float32) / 255
        return {
            "shares": clean,
            "drawn": hide(clean, rng),
            "noise": rng.standard_normal(clean.shape, np.float32),
            "timestep": int(rng.integers(num_timesteps)),
        }

    return SampleStream(len(shares), make, seed)


def denoising_loss(denoiser, scale, scheduler, batch: dict) -> torch.Tensor:
    """Cross-entropy of the guessed masks against the clean ones."""
    noisy = scheduler.add_noise(scale(batch["shares"]), batch["noise"], batch["timestep"])
    logits = denoiser(noisy, batch["timestep"], batch["drawn"])
    return -(batch["shares"] * logits.float().log_softmax(1)).sum(1).mean()


def main() -> None:
    defaults = {"train_batch_size": 32, "learning_rate": 1e-3, "lr_warmup_steps": 200, "resolution": 64, "ema_decay": 0.998}
    args = read_flags(make_parser(__doc__, output_dir="runs/mask_diffusion", lr_decay_share=0.5, **defaults))
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    items, _ = find_data(args)
    if args.pretrained_model_name_or_path:
        denoiser = MaskDenoiser.from_pretrained(args.pretrained_model_name_or_path)
    else:
        denoiser = MaskDenoiser(mask_size=args.resolution)
    shares = load_shares(items, denoiser.config.mask_size)
    print(f"{len(shares)} of {len(items)} masks are valid", flush=True)
    denoiser.to(memory_format=torch.channels_last)
    scale, scheduler = denoiser.scale, make_scheduler()
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=args.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3)
    run = Run(args, {"mask_denoiser": denoiser}, {"mask_denoiser": optimizer}, ema=("mask_denoiser",))
    network = run.networks["mask_denoiser"]
    sampler = MaskSampler(run.ema["mask_denoiser"], make_scheduler())
    for batch in run.batches(make_stream(shares, scheduler.config.num_train_timesteps, args.seed)):
        with run.accelerator.accumulate(network), run.accelerator.autocast():
            loss = denoising_loss(network, scale, scheduler, batch)
            run.descend(loss, "mask_denoiser", max_norm=1.0)
        run.update_ema()
        run.log(loss=loss)
        if run.accelerator.is_main_process and (run.step + 1) % args.validation_steps == 0:
            masks = [sampler.random(seed, attempts=1) for seed in range(16)]
            run.show("samples", contact_sheet([[mask.to_rgb() for mask in masks[row : row + 8]] for row in (0, 8)]), run.step + 1)
    if run.accelerator.is_main_process:
        run.save(run.ema["mask_denoiser"], "mask_denoiser")
        run.finish(run.ema["mask_denoiser"])


if __name__ == "__main__":
    run_script(main)
