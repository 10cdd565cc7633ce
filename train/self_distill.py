"""Let a painter learn from its own pictures, mended: both eyes of a face alike, clothes without the one bow that it gives to all, and
backgrounds without scratches.

accelerate launch -m train.self_distill --train_data_dir PICTURES --masks_dir MASKS --pretrained_model_name_or_path runs/painter/painter \\
    --style_encoder runs/vae/style_encoder --output_dir runs/mended

Self-distillation (Furlanello et al. 2018, "Born-again neural networks") for what nothing in a GAN's losses asks for. The two eyes of a face
lie further apart than its critics see, so each side may get a look, and a tint, of its own: here the eyes right of the middle of the face
are to be those that it paints to the left of it when the mask is mirrored, mirrored back. Below a neck it paints one bow, muddled, whatever
the style, and beside hair strokes that belong to nothing: clothes and background are to be as it paints them where there is no person.
"""

from __future__ import annotations

import copy
from functools import reduce
from operator import add

import numpy as np
import torch
from torch.nn import functional as F

from aniface.folders import load_all
from aniface.labels import BACKGROUND, CLOTHES, EYE, FACE, MOUTH
from aniface.losses import edge_loss
from aniface.mask_statistics import pieces, widen
from aniface.memory import keep_freed_memory
from aniface.models.painter import FacePainter
from aniface.models.style_encoder import StyleEncoder
from aniface.processing import one_hot

from .common import Run, make_parser, read_flags, run_script
from .dataset import find_data
from .portraits import PortraitStream, check_resolution, choose_styles, drawn_masks, painter_to_train

# Of the differences in eyes and in clothes, beside that in all of the picture, of which they are a thirtieth and a sixth.
EYES_WEIGHT = 2.0
CLOTHES_WEIGHT = 1.0
BORDER = 3  # px at 256: lashes and their shadows lie so far around an eye
OUTLINE = 4  # px at 256: likewise outlines around a person


def eyes_of_sides(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where an (H, W) mask has eyes to the left and to the right of the middle of its face, two (H, W) bool maps."""
    sides = np.zeros((2, *ids.shape), bool)
    columns = np.nonzero(np.isin(ids, (FACE, EYE, MOUTH)))[1]
    for piece in pieces(ids == EYE):
        sides[int(piece.column > columns.mean())] |= piece.inside
    return sides[0], sides[1]


def eye_zones(ids: torch.Tensor, size: int) -> torch.Tensor:
    """(B, H, W) masks -> (B, 2, size, size) soft zones around left and right eyes, from 0 to 1."""
    step = ids.shape[-1] // size
    small = ids[:, step // 2 :: step, step // 2 :: step].cpu().numpy()
    border = max(1, BORDER * size // 256)
    zones = np.stack([[widen(side, border) for side in eyes_of_sides(one)] for one in small])
    soft = torch.from_numpy(zones.astype(np.float32)).to(ids.device)
    return F.avg_pool2d(F.pad(soft, (1,) * 4, mode="replicate"), 3, stride=1)


def alone(layout: torch.Tensor, label: int) -> torch.Tensor:
    """(B, 7, S, S) one-hot masks with one class only, before the background or, if it is that, nothing else."""
    only = torch.zeros_like(layout)
    only[:, BACKGROUND] = 1 - layout[:, label]
    only[:, label] += layout[:, label]
    return only


def plain_zones(layout: torch.Tensor, size: int) -> dict[int, torch.Tensor]:
    """From (B, 7, S, S) one-hot masks where clothes and background are to be plain, each (B, 1, size, size) from 0 to 1.

    The background keeps what lies along the person: that is the person's outline.
    """
    shares = F.adaptive_avg_pool2d(layout, size)
    clothes, background = shares[:, CLOTHES : CLOTHES + 1], shares[:, BACKGROUND : BACKGROUND + 1]
    border = max(1, OUTLINE * size // 256)
    inner = F.avg_pool2d(F.pad(background, (border,) * 4, mode="replicate"), 2 * border + 1, stride=1)
    return {CLOTHES: clothes, BACKGROUND: background * (4 * inner - 3).clamp(min=0)}  # never a thin strand of hair


@torch.no_grad()
def mended_pictures(teacher: FacePainter, layout, style, eyes, plain, size: int) -> torch.Tensor:
    """The teacher's pictures with right eyes as it paints left ones, and clothes and background as it paints them alone.

    Args:
        layout: (B, 7, S, S) one-hot masks. style: codes, colours and which are known, as the painter takes them.
        eyes: (B, 2, size, size) zones of left and right eyes. plain: see `plain_zones`.

    Returns:
        (B, 3, size, size) pictures.
    """
    target, mirrored = (teacher(seen, *style, size=size).float() for seen in (layout, layout.flip(-1)))
    target = torch.lerp(target, mirrored.flip(-1), eyes[:, 1:])
    for label, zone in plain.items():
        picture = teacher(alone(layout, label), *style, size=size).float()
        area = zone.sum((2, 3), keepdim=True).clamp(min=1)
        shift = ((target - picture) * zone).sum((2, 3), keepdim=True) / area  # the colour that was asked for stays
        target = torch.lerp(target, picture + shift, zone)
    return target


def differences(painted: torch.Tensor, target: torch.Tensor, eyes: torch.Tensor, clothes: torch.Tensor) -> dict[str, torch.Tensor]:
    """L1 distances of (B, 3, H, H) pictures and of their gradients, and once more in zones of eyes and clothes, see `mended_pictures`."""
    off = (painted - target).abs().mean(1, keepdim=True)

    def inside(zone: torch.Tensor) -> torch.Tensor:
        return (off * zone).sum() / zone.sum().clamp(min=1)

    return {
        "picture": off.mean(),
        "edges": edge_loss(painted, target),
        "eyes": EYES_WEIGHT * inside(eyes.amax(1, keepdim=True)),
        "clothes": CLOTHES_WEIGHT * inside(clothes),
    }


def main() -> None:
    parser = make_parser(__doc__, output_dir="runs/mended", resolution=512, learning_rate=1e-4, ema_decay=0.998)
    parser.add_argument("--style_encoder", help="style encoder folder or hub id; by default the shipped one")
    args = read_flags(parser)
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    painter = painter_to_train(args, "that is to learn from itself")
    items, _ = find_data(args)
    check_resolution(painter, args.resolution)
    size = min(args.resolution, painter.trunk_size)  # the head sees a few pixels at a time and knows no left and right
    if painter.head is not None:
        painter.head.requires_grad_(False)
    encoder = StyleEncoder.from_pretrained(args.style_encoder).eval().requires_grad_(False)
    pictures, masks = load_all(items, args.resolution)
    painter.eval().to(memory_format=torch.channels_last)  # its batch norms keep the statistics that they have
    teacher = copy.deepcopy(painter).requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in painter.parameters() if p.requires_grad], lr=args.learning_rate, betas=(0.9, 0.99))
    run = Run(args, {"painter": painter}, {"painter": optimizer}, ema=("painter",))
    painter = run.networks["painter"]
    encoder.to(run.device)
    teacher.to(run.device)
    stream = PortraitStream(pictures, masks, encoder.config.image_size, encoder.config.latent_dim, args.seed)

    for batch in run.batches(stream):
        drawn = drawn_masks(batch)
        layout, eyes = one_hot(drawn), eye_zones(drawn, size)
        plain = plain_zones(layout, size)
        style = choose_styles(encoder, batch)
        with run.accelerator.accumulate(painter), run.accelerator.autocast():
            target = mended_pictures(teacher, layout, style, eyes, plain, size)
            painted = painter(layout, *style, size=size).float()
            parts = differences(painted, target, eyes, plain[CLOTHES])
            run.descend(reduce(add, parts.values()), "painter")
        run.update_ema()
        run.log(**parts)
    if run.accelerator.is_main_process:
        run.save(run.ema["painter"].eval(), "painter")
        run.finish(run.ema["painter"])


if __name__ == "__main__":
    run_script(main)
