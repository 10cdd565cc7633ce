"""Teach a painter to paint both eyes of a face alike.

accelerate launch -m train.match_eyes --train_data_dir PICTURES --masks_dir MASKS --pretrained_model_name_or_path runs/painter/painter \\
    --style_encoder runs/vae/style_encoder --output_dir runs/eyes

Nothing in a GAN's losses compares the two eyes of a face: they lie further apart than its critics see, so each side may get a look, and
a tint, of its own. Here the painter learns from itself (self-distillation: Furlanello et al. 2018, "Born-again neural networks"): from its
own picture in which the eyes right of the middle of the face are those that it paints to the left of it when the mask is mirrored, mirrored
back.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch.nn import functional as F

from aniface.folders import load_all
from aniface.labels import EYE, FACE, MOUTH
from aniface.losses import edge_loss
from aniface.mask_statistics import pieces, widen
from aniface.memory import keep_freed_memory
from aniface.models.painter import FacePainter
from aniface.models.style_encoder import StyleEncoder
from aniface.processing import one_hot

from .common import Run, make_parser, read_flags, run_script
from .dataset import find_data
from .portraits import PortraitStream, check_resolution, choose_styles, drawn_masks, painter_to_train

EYES_WEIGHT = 2.0  # of the difference in eyes, a thirtieth of the picture, beside that in all of it
BORDER = 3  # px at 256: lashes and their shadows lie so far around an eye


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


@torch.no_grad()
def matched_pictures(teacher: FacePainter, layout, codes, colours, known, zones, size: int) -> torch.Tensor:
    """(B, 3, size, size) pictures of the teacher, the right eyes as it paints left ones."""
    painted, mirrored = (teacher(seen, codes, colours, known, size=size).float() for seen in (layout, layout.flip(-1)))
    return torch.lerp(painted, mirrored.flip(-1), zones[:, 1:])


def differences(painted: torch.Tensor, target: torch.Tensor, zones: torch.Tensor) -> dict[str, torch.Tensor]:
    """L1 distances of (B, 3, H, H) pictures and of their gradients, and once more in the zones of eyes."""
    off = (painted - target).abs().mean(1, keepdim=True)
    eyes = zones.amax(1, keepdim=True)
    of_eyes = EYES_WEIGHT * (off * eyes).sum() / eyes.sum().clamp(min=1)
    return {"picture": off.mean(), "edges": edge_loss(painted, target), "eyes": of_eyes}


def main() -> None:
    parser = make_parser(__doc__, output_dir="runs/eyes", resolution=512, learning_rate=1e-4, ema_decay=0.998)
    parser.add_argument("--style_encoder", help="style encoder folder or hub id; by default the shipped one")
    args = read_flags(parser)
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    painter = painter_to_train(args, "whose eyes are to match")
    items, _ = find_data(args)
    check_resolution(painter, args.resolution)
    size = min(args.resolution, painter.trunk_size)  # the head sees a few pixels at a time and knows no left and right
    if painter.head is not None:
        painter.head.requires_grad_(False)
    encoder = StyleEncoder.from_pretrained(args.style_encoder).eval().requires_grad_(False)
    pictures, masks = load_all(items, args.resolution)
    painter.eval().to(memory_format=torch.channels_last)  # its batch norms keep the statistics that they have
    teacher = copy.deepcopy(painter).requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in painter.parameters() if p.requires_grad], lr=args.learning_rate, betas=(0.0, 0.99))
    run = Run(args, {"painter": painter}, {"painter": optimizer}, ema=("painter",))
    painter = run.networks["painter"]
    encoder.to(run.device)
    teacher.to(run.device)
    stream = PortraitStream(pictures, masks, encoder.config.image_size, encoder.config.latent_dim, args.seed)

    for batch in run.batches(stream):
        drawn = drawn_masks(batch)
        layout, zones = one_hot(drawn), eye_zones(drawn, size)
        codes, colours, known = choose_styles(encoder, batch)
        with run.accelerator.accumulate(painter), run.accelerator.autocast():
            target = matched_pictures(teacher, layout, codes, colours, known, zones, size)
            painted = painter(layout, codes, colours, known, size=size).float()
            parts = differences(painted, target, zones)
            run.descend(parts["picture"] + parts["edges"] + parts["eyes"], "painter")
        run.update_ema()
        run.log(**parts)
    if run.accelerator.is_main_process:
        run.save(run.ema["painter"].eval(), "painter")
        run.finish(run.ema["painter"])


if __name__ == "__main__":
    run_script(main)
