"""Train the painter's sub-pixel head by itself, the rest of the painter frozen.

accelerate launch -m train.train_head --train_data_dir PICTURES --masks_dir MASKS --pretrained_model_name_or_path runs/painter/painter \\
    --output_dir runs/head

It learns from random square crops of `--resolution` pixels: on halved real pictures to bring them back, on painted ones, which are less
crisp than those, to look real to a patch discriminator (Ledig et al. 2017, "SRGAN"), since what they should have been is not known.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from aniface.folders import load_all
from aniface.labels import InputError
from aniface.losses import hinge_discriminator_loss, hinge_generator_loss, low_pass_loss
from aniface.models.discriminator import MultiscaleDiscriminator
from aniface.models.painter import FacePainter
from aniface.models.style_encoder import StyleEncoder
from aniface.processing import one_hot, pixels_from_uint8, uint8_from_pixels

from .common import Run, keep_large_buffers, make_parser, read_flags, run_script
from .data import contact_sheet
from .dataset import find_data
from .portraits import PortraitStream, choose_styles, drawn_masks

CROPS = 4  # of each portrait


def parse_args():
    parser = make_parser(__doc__, output_dir="runs/head", resolution=128, learning_rate=3e-4, train_batch_size=4, ema_decay=0.995)
    parser.add_argument("--style_encoder", help="style encoder folder or hub id; by default the one that ships")
    parser.add_argument("--discriminator_learning_rate", type=float, default=4e-4)
    parser.add_argument("--adversarial_weight", type=float, default=0.02, help="0 to learn from real pictures alone")
    return read_flags(parser)


def take_crops(pictures: torch.Tensor, uniforms: torch.Tensor, size: int, scale: int = 1) -> torch.Tensor:
    """(B, C, H, H) -> (B * CROPS, C, size, size), at even places set by the samples' numbers (B, 2 * CROPS) in [0, 1).

    With `scale` 2 the same crops of pictures half as large.
    """
    reach = (pictures.shape[-1] * scale - size) // 2 + 1
    places = (uniforms * reach).long() * 2 // scale
    side = size // scale
    return torch.stack(
        [
            picture[:, y : y + side, x : x + side]
            for picture, corners in zip(pictures, places.tolist(), strict=True)
            for y, x in zip(corners[::2], corners[1::2], strict=True)
        ]
    )


def restoration_loss(head, real: torch.Tensor, layout: torch.Tensor, blur: torch.Tensor) -> torch.Tensor:
    """L1 distance of pictures and of their gradients after halving and doubling.

    Args:
        real: (N, 3, S, S). layout: (N, 7, S, S). blur: (N,) in [0, 1], how much each halved picture is blurred.
    """
    half, blur = F.avg_pool2d(real, 2), blur[:, None, None, None]
    half = (1 - blur) * half + blur * F.avg_pool2d(F.pad(half, (1,) * 4, mode="replicate"), 3, stride=1)
    restored = head(half, layout).float()
    edges = sum((restored.diff(dim=d) - real.diff(dim=d)).abs().mean() for d in (-1, -2))
    return (restored - real).abs().mean() + edges


def main() -> None:
    args = parse_args()
    keep_large_buffers()
    torch.manual_seed(args.seed)
    if not args.pretrained_model_name_or_path:
        raise InputError("--pretrained_model_name_or_path is missing; give the painter whose head is to be trained")
    items, _ = find_data(args)
    painter = FacePainter.from_pretrained(args.pretrained_model_name_or_path).eval().requires_grad_(False)
    if painter.head is None:
        raise InputError(f"{args.pretrained_model_name_or_path}: this painter has no sub-pixel head; choose one with head_channels above 0")
    encoder = StyleEncoder.from_pretrained(args.style_encoder).eval().requires_grad_(False)
    size, trunk_size = args.resolution, painter.trunk_size
    pictures, masks = load_all(items, 2 * trunk_size)
    head = painter.head.requires_grad_(True).train().to(memory_format=torch.channels_last)
    discriminator = MultiscaleDiscriminator(num_scales=1, num_layers=3).to(memory_format=torch.channels_last)
    optimizers = {
        "head": torch.optim.Adam(head.parameters(), lr=args.learning_rate, betas=(0.5, 0.99)),
        "discriminator": torch.optim.Adam(discriminator.parameters(), lr=args.discriminator_learning_rate, betas=(0.0, 0.99)),
    }
    run = Run(args, {"head": head, "discriminator": discriminator}, optimizers, ema=("head",))
    head, discriminator = run.networks["head"], run.networks["discriminator"]
    painter.to(run.device, memory_format=torch.channels_last)
    encoder.to(run.device)

    for batch in run.batches(PortraitStream(pictures, masks, encoder.config.image_size, encoder.config.latent_dim, args.seed)):
        places, blur = batch["uniforms"][:, 5 : 5 + 2 * CROPS], batch["uniforms"][:, 13]
        layout = one_hot(drawn_masks(batch))
        with run.accelerator.accumulate(head, discriminator), run.accelerator.autocast():
            with torch.no_grad():
                small = painter(layout, *choose_styles(encoder, batch), size=trunk_size).float()
            small = take_crops(small, places, size, scale=2)
            layout = take_crops(layout, places, size)
            real = take_crops(pixels_from_uint8(batch["pixels"]), places, size)
            true_layout = take_crops(one_hot(batch["ids"]), places, size)
            painted = head(small, layout).float()

            scores = [discriminator(real, true_layout)[0][-1].float()], [discriminator(painted.detach(), layout)[0][-1].float()]
            loss = hinge_discriminator_loss(*scores)
            run.descend(loss, "discriminator")

            # Without its wrapper: it gets no gradients in this step, which DDP would wait for.
            critic = run.accelerator.unwrap_model(discriminator).requires_grad_(False)
            parts = {
                "restoration": restoration_loss(head, real, true_layout, (2 * blur - 1).clamp(min=0).repeat_interleave(CROPS)),
                "adversarial": args.adversarial_weight * hinge_generator_loss([critic(painted, layout)[0][-1].float()]),
                "low_pass": low_pass_loss(painted, F.interpolate(small, scale_factor=2, mode="bilinear"), factor=4),
            }
            run.descend(sum(parts.values()), "head")
            critic.requires_grad_(True)
        run.update_ema()
        run.log(discriminator=loss.item(), **{name: part.item() for name, part in parts.items()})
        if (run.step + 1) % args.validation_steps == 0 and run.accelerator.is_main_process:
            with torch.inference_mode():
                rows = [uint8_from_pixels(x) for x in (F.interpolate(small, size=size), run.ema["head"](small, layout).float(), real)]
            run.show("crops", contact_sheet([list(row[:8]) for row in rows]), run.step + 1)
    if run.accelerator.is_main_process:
        assert painter.head is not None
        painter.head.load_state_dict(run.ema["head"].state_dict())
        run.save(painter, "painter")
        run.finish(painter)


if __name__ == "__main__":
    run_script(main)
