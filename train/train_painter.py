"""Train the painter (GauGAN) with the codes of a pretrained style encoder, against two critics: a multi-scale patch discriminator of the
pixels, and one of the features that the frozen segmenter sees.

accelerate launch -m train.train_painter --train_data_dir PICTURES --masks_dir MASKS --style_encoder runs/vae/style_encoder \\
    --pretrained_model_name_or_path runs/vae/painter --segmenter runs/segmenter/model --output_dir runs/painter
"""

from __future__ import annotations

import math
import re
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import send_to_device
from safetensors.torch import load_file
from torch.nn import functional as F

from aniface.folders import load_all
from aniface.labels import CLOTHES, EYE, HAIR, NUM_STYLE_REGIONS, PALETTE, InputError, Mask
from aniface.losses import (
    colour_loss,
    detail_loss,
    feature_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    low_pass_loss,
    stray_hue_loss,
    texture_loss,
)
from aniface.memory import keep_freed_memory
from aniface.models.discriminator import MultiscaleDiscriminator
from aniface.models.feature_discriminator import FeatureDiscriminator
from aniface.models.network import check_model_path, read_index
from aniface.models.painter import CONFIGURATIONS, FacePainter
from aniface.models.segmenter import FaceSegmenter
from aniface.models.style_encoder import StyleEncoder, region_means
from aniface.pipeline import AnifacePipeline
from aniface.processing import one_hot, pixels_from_uint8, uint8_from_pixels
from aniface.start_masks import random_face

from .common import Run, make_parser, read_flags, run_script
from .data import contact_sheet, stack_samples
from .dataset import find_data
from .portraits import PortraitStream, check_resolution, choose_styles, drawn_masks, own_count

WEIGHTS = {
    "adversarial": 3.0,
    "semantic": 0.4,
    "matching": 10.0,
    "perceptual": 5.0,
    "segmentation": 3.0,
    "low_pass": 5.0,
    "colour": 25.0,
    "texture": 30.0,
    "detail": 25.0,
    "stray_hue": 150.0,
}


def pipeline_of(path: str | None) -> str | None:
    """`path` as a string if it is a pipeline's folder or hub id, None if it is a painter's or there is none."""
    if path is None:
        return None
    path = check_model_path(path)
    return path if read_index(path) else None


def parse_args():
    parser = make_parser(__doc__, output_dir="runs/painter", resolution=256, learning_rate=1e-4, ema_decay=0.998)
    parser.add_argument(
        "--style_encoder", help="style encoder folder or hub id; by default of the pipeline started from, or the shipped one"
    )
    parser.add_argument("--segmenter", help="segmenter folder or hub id that supervises, best trained at this size; by default likewise")
    parser.add_argument("--configuration", choices=tuple(CONFIGURATIONS), default="aniface-512", help="of a new painter")
    parser.add_argument(
        "--coarse_discriminator",
        help="discriminator.safetensors of a checkpoint at half the resolution: its finest scale starts all, and the critic of features "
        "goes on from the file beside it, if there is one",
    )
    parser.add_argument(
        "--loss_weight",
        action="append",
        default=[],
        metavar="LOSS=NUMBER",
        help=f"another weight than {WEIGHTS}; may be given several times",
    )
    parser.add_argument("--discriminator_learning_rate", type=float, default=4e-4)
    parser.add_argument("--supervised_share", type=float, default=0.25, help="share of a batch that the segmenter looks at")
    return read_flags(parser)


def loss_weights(changes: list[str]) -> dict[str, float]:
    """`WEIGHTS` with the changes of `--loss_weight`."""
    weights = dict(WEIGHTS)
    for change in changes:
        name, _, value = change.partition("=")
        if name not in WEIGHTS or not re.fullmatch(r"\d+(\.\d+)?", value):
            raise InputError(f"--loss_weight {change}: expected LOSS=NUMBER with a loss of {', '.join(WEIGHTS)}")
        weights[name] = float(value)
    return weights


def augment_alike(pixels: torch.Tensor, layout: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """DiffAugment's translation and cutout (Zhao et al. 2020) of pictures and their masks, differentiable, set by the samples' numbers.

    Args:
        pixels: (B, 3, H, H). layout: (B, 7, H, H). uniforms: (B, 4) in [0, 1), on the CPU.
    """
    size = pixels.shape[-1]
    reach = size // 8
    moves = ((uniforms[:, :2] * 2 - 1) * reach).round().long().tolist()
    centres = (uniforms[:, 2:4] * size).long().tolist()
    x = F.pad(torch.cat([pixels, layout], 1), (reach,) * 4)
    # unbind, not indexing: the gradient of x[index] would be a whole batch of zeros for each sample.
    moved = [
        sample[:, reach + dy : reach + dy + size, reach + dx : reach + dx + size]
        for sample, (dy, dx) in zip(x.unbind(), moves, strict=True)
    ]
    x = torch.stack(moved)
    keep = torch.ones(len(x), 1, size, size, device=x.device)
    half = size // 6
    for index, (cy, cx) in enumerate(centres):
        keep[index, :, max(0, cy - half) : cy + half, max(0, cx - half) : cx + half] = 0
    x = x * keep
    return x[:, :3], x[:, 3:]


def criticise(discriminator, real, fake, layout, uniforms) -> tuple[list, list]:
    """One forward of the discriminator on real and painted pictures under the same augmentation: their features, scale by scale.

    Args:
        real: (R, 3, H, H), R at most B. fake: (B, 3, H, H). layout: (B, 7, H, H), the first R of them also those of the real pictures.
        uniforms: (B, 4).
    """
    count = len(real)
    both = augment_alike(torch.cat([real, fake]), torch.cat([layout[:count], layout]), torch.cat([uniforms[:count], uniforms]))
    parts = [[feature.split([count, len(fake)]) for feature in scale] for scale in discriminator(*both)]
    return [[p[0] for p in scale] for scale in parts], [[p[1] for p in scale] for scale in parts]


def group_size(batch: int) -> int:
    """How many pictures the critic of features compares with each other: own styles with own ones, others with others."""
    return math.gcd(own_count(batch), batch - own_count(batch), 4)


def discriminator_losses(critics, real, fake, seen_real, seen_fake, layout, uniforms) -> tuple[torch.Tensor, torch.Tensor]:
    """Hinge losses of both critics on real pictures and detached painted ones, and on the features seen in them."""
    pixels, features = critics
    real_features, fake_features = criticise(pixels, real, fake.detach(), layout, uniforms)
    patches = hinge_discriminator_loss([s[-1].float() for s in real_features], [s[-1].float() for s in fake_features])
    both = [torch.cat([r, f.detach()]) for r, f in zip(seen_real, seen_fake, strict=True)]
    compared = (torch.cat([real, fake.detach()]), torch.cat([layout, layout]))
    scores = [s.float().chunk(2) for s in features(both, *compared, group=group_size(len(real)))]
    return patches, hinge_discriminator_loss([s[0] for s in scores], [s[1] for s in scores])


def fit_segmenter(segmenter: FaceSegmenter, pixels: torch.Tensor) -> torch.Tensor:
    """Pictures at the size that the segmenter was trained at, if they are larger: a multiple of it."""
    return F.avg_pool2d(pixels, max(1, pixels.shape[-1] // segmenter.config.image_size))


def painter_losses(
    critics, segmenter, ids, moves, real, fake, seen_real, seen_fake, drawn, layout, colours, known, supervised: int
) -> dict[str, torch.Tensor]:
    """The painter's losses, by name.

    Args:
        critics: of the pixels and of the features.
        ids: (B, R, R) the portraits' masks. moves: (B, 4) how the critic of pixels sees them moved, see `augment_alike`.
        real, fake: (B, 3, R, R) portraits and painted pictures. seen_real, seen_fake: the segmenter's feature maps of them.
        drawn: (B, R, R) masks as drawn. layout: (B, 7, R, R) the same, one-hot.
        colours, known: what was asked for, see `choose_styles`.
        supervised: how many samples, half own and half other styles, the segmenter labels.
    """
    own = own_count(len(real))
    real_features, fake_features = criticise(critics[0], real[:own], fake, layout, moves)
    painted_colours, painted = region_means(fake, layout)
    parts = {
        "adversarial": hinge_generator_loss([s[-1].float() for s in fake_features]),
        "semantic": hinge_generator_loss([s.float() for s in critics[1](seen_fake, fake, layout, group=group_size(len(fake)))]),
        "matching": reduce(
            add,
            (
                feature_loss([f[:own] for f in fakes[:-1]], [r.detach() for r in reals[:-1]])
                for fakes, reals in zip(fake_features, real_features, strict=True)
            ),
        ),
        "low_pass": low_pass_loss(fake[:own], real[:own]),
        "texture": texture_loss(fake[:own], real[:own]),
        # In any style as many strokes as this portrait has.
        "detail": detail_loss(fake, real, torch.stack([layout[:, EYE], layout[:, HAIR]], 1)),
        # A random style's clothes are one garment and its eyes a pair; nothing but the critics judges them, and they like iridescence.
        "stray_hue": stray_hue_loss(fake[own:], layout[own:, CLOTHES]) + stray_hue_loss(fake[own:], layout[own:, EYE]),
        "colour": colour_loss(painted_colours, colours, known * painted),
        "perceptual": feature_loss([f[:own] for f in seen_fake[:4]], [r[:own] for r in seen_real[:4]]),
    }
    # The segmenter labels some samples of both kinds: the last of the own ones and the first of the others.
    chosen = slice(own - (supervised + 1) // 2, own + supervised // 2)
    with torch.no_grad():
        real_logits = segmenter.decode(fit_segmenter(segmenter, real[chosen]), [r[chosen] for r in seen_real])
    logits = segmenter.decode(fit_segmenter(segmenter, fake[chosen]), [f[chosen] for f in seen_fake])
    step = drawn.shape[-1] // logits.shape[-1]
    drawn, ids = (masks[chosen, step // 2 :: step, step // 2 :: step].long() for masks in (drawn, ids))
    # Where the segmenter fails on the real picture, or the drawing departs from it, its opinion is ignored.
    trusted = (real_logits.argmax(1) == ids) & (drawn == ids)
    entropy = F.cross_entropy(logits.float(), drawn, reduction="none")
    parts["segmentation"] = (entropy * trusted).sum() / trusted.sum().clamp(min=1)
    return parts


@torch.no_grad()
def reestimate_batch_norm(painter: FacePainter, encoder: StyleEncoder, batches: list[dict], size: int) -> None:
    """Set the batch norm statistics to averages over `batches`: those of an EMA copy are of other weights (SPADE issues 37, 81)."""
    norms = [m for m in painter.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    painter.train()
    for batch in batches:
        codes, colours, known = choose_styles(encoder, batch)
        painter(one_hot(drawn_masks(batch)), codes, colours, known, size=size)
    painter.eval()
    for norm in norms:
        norm.momentum = 0.1


@torch.inference_mode()
def paint_sheet(painter: FacePainter, encoder: StyleEncoder, masks: list[Mask], size: int, seed: int = 0):
    """A sheet of masks and, below each, two portraits in random styles, the same ones each time."""
    generator = torch.Generator().manual_seed(seed)
    rows = [[PALETTE[mask.ids] for mask in masks]]
    layout = one_hot(np.stack([mask.fit(size).ids for mask in masks])).to(painter.device)
    for _ in range(2):
        noise = torch.randn(len(masks), NUM_STYLE_REGIONS, painter.config.latent_dim + 3, generator=generator).to(painter.device)
        codes, colours = encoder.sample(noise)
        painted = painter(layout, codes, colours, torch.ones_like(colours[..., :1]), size=size)
        rows.append(list(uint8_from_pixels(painted)))
    return contact_sheet(rows)


def main() -> None:
    args = parse_args()
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    items, _ = find_data(args)
    if args.pretrained_model_name_or_path:
        painter = FacePainter.from_pretrained(args.pretrained_model_name_or_path)
    else:
        painter = FacePainter(**CONFIGURATIONS[args.configuration])
    check_resolution(painter, args.resolution)
    pictures, masks = load_all(items, args.resolution)
    sheet_masks = [random_face(seed) for seed in range(16)]
    if painter.head is not None:
        painter.head.requires_grad_(args.resolution > painter.trunk_size)  # otherwise unused; it is trained by itself first: train_head
    discriminator, feature_discriminator = MultiscaleDiscriminator(), FeatureDiscriminator()
    if args.coarse_discriminator:
        finest = {k.removeprefix("scales.0."): v for k, v in load_file(args.coarse_discriminator).items() if k.startswith("scales.0.")}
        for scale in discriminator.scales:
            scale.load_state_dict(finest)
        beside = Path(args.coarse_discriminator).with_name("feature_discriminator.safetensors")
        if beside.is_file():
            feature_discriminator.load_state_dict(load_file(beside))
    # Fine-tuning a pipeline gives a pipeline again; what no flag names comes from it, or from the one that ships.
    whole = pipeline_of(args.pretrained_model_name_or_path)
    encoder = StyleEncoder.from_pretrained(args.style_encoder or whole).eval().requires_grad_(False)
    segmenter = FaceSegmenter.from_pretrained(args.segmenter or whole).eval().requires_grad_(False)
    painter.train().to(memory_format=torch.channels_last)
    networks = {
        "painter": painter,
        "discriminator": discriminator.to(memory_format=torch.channels_last),
        "feature_discriminator": feature_discriminator.to(memory_format=torch.channels_last),
    }
    optimizers = {
        name: torch.optim.Adam(
            [p for p in network.parameters() if p.requires_grad],
            lr=args.learning_rate if name == "painter" else args.discriminator_learning_rate,
            betas=(0.0, 0.99),
        )
        for name, network in networks.items()
    }
    run = Run(args, networks, optimizers, ema=("painter",))
    painter, *critics = run.networks.values()
    encoder.to(run.device)
    segmenter.to(run.device, memory_format=torch.channels_last)
    stream = PortraitStream(pictures, masks, encoder.config.image_size, encoder.config.latent_dim, args.seed)
    weights = loss_weights(args.loss_weight)
    supervised = max(1, round(args.supervised_share * args.train_batch_size))

    def finished_painter() -> FacePainter:
        first = run.step * args.train_batch_size
        recent = [send_to_device(stack_samples(stream, first + k * 8, 8), run.device) for k in range(24)]
        reestimate_batch_norm(run.ema["painter"], encoder, recent, args.resolution)
        return run.ema["painter"]

    for batch in run.batches(stream):
        uniforms = batch["uniforms"].cpu()  # the only time in a step that anything waits for a GPU
        drawn = drawn_masks(batch)
        real, layout = pixels_from_uint8(batch["pixels"]), one_hot(drawn)
        real = real.contiguous(memory_format=torch.channels_last)
        codes, colours, known = choose_styles(encoder, batch)
        with run.accelerator.accumulate(painter, *critics), run.accelerator.autocast():
            fake = painter(layout, codes, colours, known, size=args.resolution).float()
            with torch.no_grad():
                seen_real = segmenter.encoder(fit_segmenter(segmenter, real))
            seen_fake = segmenter.encoder(fit_segmenter(segmenter, fake))

            losses = discriminator_losses(critics, real, fake, seen_real, seen_fake, layout, uniforms[:, 6:10])
            for name, loss in zip(("discriminator", "feature_discriminator"), losses, strict=True):
                run.descend(loss, name)

            # Without their wrappers: they get no gradients in this step, which DDP would wait for.
            judges = [run.accelerator.unwrap_model(critic).requires_grad_(False) for critic in critics]
            moves = uniforms[:, 10:14]
            parts = painter_losses(
                judges, segmenter, batch["ids"], moves, real, fake, seen_real, seen_fake, drawn, layout, colours, known, supervised
            )
            parts = {name: weights[name] * value for name, value in parts.items()}
            run.descend(reduce(add, parts.values()), "painter")
            for judge in judges:
                judge.requires_grad_(True)
        run.update_ema()
        run.log(
            discriminator=losses[0],
            feature_discriminator=losses[1],
            **parts,
        )
        if (run.step + 1) % args.validation_steps == 0 and run.accelerator.is_main_process:
            run.show("sheets", paint_sheet(finished_painter(), encoder, sheet_masks, args.resolution), run.step + 1)
    if run.accelerator.is_main_process:
        finished = finished_painter().eval()
        run.save(finished, "painter")
        if whole:
            finished = AnifacePipeline.from_pretrained(whole, painter=finished, style_encoder=encoder)
            run.save(finished, "pipeline")
        run.finish(finished)


if __name__ == "__main__":
    run_script(main)
