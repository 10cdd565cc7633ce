"""Train the style VAE: the encoder gives each region of a portrait a code, a painter decodes mask and codes.

accelerate launch -m train.train_style_vae --train_data_dir PICTURES --masks_dir MASKS --features runs/segmenter/model --output_dir runs/vae
"""

from __future__ import annotations

import numpy as np
import torch

from aniface.folders import load_all
from aniface.labels import NUM_STYLE_REGIONS
from aniface.losses import feature_loss, low_pass_loss, vae_divergence
from aniface.memory import keep_freed_memory
from aniface.models.painter import FacePainter
from aniface.models.segmenter import FaceSegmenter
from aniface.models.style_encoder import StyleEncoder, region_means
from aniface.processing import one_hot, pixels_from_uint8, uint8_from_pixels

from .common import Run, make_parser, read_flags, run_script
from .data import contact_sheet
from .dataset import find_data
from .portraits import PortraitStream, encode_style, shrink


def parse_args():
    parser = make_parser(__doc__, output_dir="runs/vae", resolution=128, learning_rate=1e-3, train_batch_size=16, ema_decay=0.995)
    parser.add_argument("--features", help="segmenter folder or hub id whose frozen encoder gives the perceptual loss; by default it ships")
    parser.add_argument("--divergence_weight", type=float, default=0.02, help="weight of the KL divergence")
    parser.add_argument("--colour_dropout", type=float, default=0.5, help="how often a region's colour is hidden from the decoder")
    return read_flags(parser)


def vae_loss(encoder, decoder, features, batch: dict, divergence_weight: float, colour_dropout: float):
    """Reconstruction and divergence of a batch: (loss, parts, painted, real)."""
    real, layout = pixels_from_uint8(batch["pixels"]), one_hot(batch["ids"])
    style_picture, style_layout = pixels_from_uint8(batch["style_pixels"]), one_hot(batch["style_ids"])
    mean, log_variance = encoder(style_picture, style_layout)
    colours, present = region_means(style_picture, style_layout)
    codes = mean + batch["noise"][..., : mean.shape[-1]] * (0.5 * log_variance).exp()
    known = present * (batch["uniforms"][:, : present.shape[1], None] > colour_dropout)
    painted = decoder(layout, codes, colours, known, size=real.shape[-1]).float()
    with torch.no_grad():
        wanted = features.encoder(real)[:4]
    parts = {
        "pixel": 5 * (painted - real).abs().mean(),
        "low_pass": 5 * low_pass_loss(painted, real),
        "perceptual": feature_loss(features.encoder(painted)[:4], wanted),
        "divergence": divergence_weight * vae_divergence(mean.float(), log_variance.float()),
    }
    return sum(parts.values()), parts, painted, real


@torch.no_grad()
def fit_prior(encoder: StyleEncoder, pictures: np.ndarray, masks: np.ndarray, seed: int, batch: int = 64) -> None:
    """Fit what random styles are drawn from (see `StyleEncoder.fit_prior`) to the codes of all training portraits."""
    generator = torch.Generator().manual_seed(seed)
    pictures, masks = shrink(pictures, masks, encoder.config.image_size)
    encoder.eval()
    found = []
    for start in range(0, len(pictures), batch):
        part = slice(start, start + batch)
        noise = torch.randn(len(pictures[part]), NUM_STYLE_REGIONS, encoder.config.latent_dim, generator=generator)
        found.append(encode_style(encoder, torch.tensor(pictures[part]), torch.tensor(masks[part]), noise))
    encoder.fit_prior(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def main() -> None:
    args = parse_args()
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    items, _ = find_data(args)
    pictures, masks = load_all(items, args.resolution)
    encoder, decoder = StyleEncoder(), FacePainter().to(memory_format=torch.channels_last)
    features = FaceSegmenter.from_pretrained(args.features).eval().requires_grad_(False)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=args.learning_rate, betas=(0.5, 0.99))
    run = Run(args, {"encoder": encoder, "decoder": decoder}, {"both": optimizer}, ema=("encoder", "decoder"))
    style_size, latent_dim = encoder.config.image_size, encoder.config.latent_dim
    encoder, decoder = run.networks["encoder"], run.networks["decoder"]
    features.to(run.device, memory_format=torch.channels_last)
    stream = PortraitStream(pictures, masks, style_size, latent_dim, args.seed)
    for batch in run.batches(stream):
        with run.accelerator.accumulate(encoder, decoder), run.accelerator.autocast():
            loss, parts, painted, real = vae_loss(encoder, decoder, features, batch, args.divergence_weight, args.colour_dropout)
            run.descend(loss, "both", max_norm=5.0)
        run.update_ema()
        run.log(**parts)
        if (run.step + 1) % args.validation_steps == 0 and run.accelerator.is_main_process:
            sheet = [list(uint8_from_pixels(real[:8])), list(uint8_from_pixels(painted[:8]))]
            run.show("reconstructions", contact_sheet(sheet), run.step + 1)
    if run.accelerator.is_main_process:
        fit_prior(run.ema["encoder"].cpu(), pictures, masks, args.seed)
        run.save(run.ema["encoder"], "style_encoder")
        run.save(run.ema["decoder"], "painter")
        run.finish(run.ema["encoder"])


if __name__ == "__main__":
    run_script(main)
