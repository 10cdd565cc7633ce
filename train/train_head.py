"""Train the painter's sub-pixel head by itself: real pictures, halved, back to full resolution along the mask's edges.

accelerate launch -m train.train_head --train_data_dir PICTURES --masks_dir MASKS --pretrained_model_name_or_path runs/painter/painter \\
    --output_dir runs/head

The head sees random square crops of `--resolution` pixels. Its input is blurred and dotted with noise now and then, since a painted
picture is less crisp than a halved real one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from aniface.folders import load_all
from aniface.labels import InputError
from aniface.losses import edge_loss
from aniface.memory import keep_freed_memory
from aniface.processing import one_hot, pixels_from_uint8

from .common import Run, make_parser, read_flags, run_script
from .data import SampleStream
from .dataset import find_data
from .portraits import painter_to_train


def head_loss(head, batch: dict) -> torch.Tensor:
    """L1 distance of pictures and of their gradients after halving and doubling."""
    real, layout = pixels_from_uint8(batch["pixels"]), one_hot(batch["ids"])
    half = F.avg_pool2d(real, 2)
    blur = batch["blur"][:, None, None, None]
    half = (1 - blur) * half + blur * F.avg_pool2d(F.pad(half, (1,) * 4, mode="replicate"), 3, stride=1)
    half = half + batch["noise"][:, None, None, None] * batch["speckles"]
    painted = head(half, layout).float()
    return (painted - real).abs().mean() + edge_loss(painted, real)


def main() -> None:
    parser = make_parser(__doc__, output_dir="runs/head", resolution=128, learning_rate=1e-3, train_batch_size=16)
    args = read_flags(parser)
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    painter = painter_to_train(args, "whose head is to be trained")
    items, _ = find_data(args)
    if painter.head is None:
        raise InputError(f"{args.pretrained_model_name_or_path}: this painter has no sub-pixel head; choose one with head_channels above 0")
    size = args.resolution
    pictures, masks = load_all(items, max(size, 2 * painter.trunk_size))
    head = painter.to(memory_format=torch.channels_last).head.train()
    run = Run(args, {"head": head}, {"head": torch.optim.Adam(head.parameters(), lr=args.learning_rate)}, ema=("head",))
    head = run.networks["head"]

    def make_sample(index: int, rng: np.random.Generator) -> dict:
        y, x = rng.integers(0, pictures.shape[1] - size + 1, 2) // 2 * 2
        return {
            "pixels": pictures[index, y : y + size, x : x + size],
            "ids": masks[index, y : y + size, x : x + size],
            "blur": np.float32(rng.random() * (rng.random() < 0.5)),
            "noise": np.float32(rng.uniform(0, 0.03) * (rng.random() < 0.5)),
            "speckles": rng.standard_normal((3, size // 2, size // 2), np.float32),
        }

    for batch in run.batches(SampleStream(len(pictures), make_sample, args.seed)):
        with run.accelerator.accumulate(head), run.accelerator.autocast():
            loss = head_loss(head, batch)
            run.descend(loss, "head")
        run.update_ema()
        run.log(loss=loss)
    if run.accelerator.is_main_process:
        painter.head.load_state_dict(run.ema["head"].state_dict())
        run.save(painter.eval(), "painter")
        run.finish(painter)


if __name__ == "__main__":
    run_script(main)
