"""Train the detail adapter: a frozen painter, shown what a portrait has beyond its style, brings the portrait back.

accelerate launch -m train.train_detail_adapter --train_data_dir PICTURES --masks_dir MASKS \\
    --pretrained_model_name_or_path runs/eyes/painter --style_encoder runs/vae/style_encoder --output_dir runs/details

Each portrait is painted from its own mask and style. Some of its details are withheld, here and there and by class, as if its mask agreed
with the drawn one in parts only; there the painter has to paint what it paints without them. Of some regions only lighter and darker is
shown, as when they get another colour.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch.nn import functional as F

from aniface.details import residue, without_hue
from aniface.folders import load_all
from aniface.labels import NUM_LABELS, NUM_STYLE_REGIONS, InputError
from aniface.losses import edge_loss, feature_loss
from aniface.memory import keep_freed_memory
from aniface.models.detail_adapter import DetailAdapter
from aniface.models.segmenter import FaceSegmenter
from aniface.models.style_encoder import StyleEncoder, style_region_shares
from aniface.processing import one_hot, pixels_from_uint8, uint8_from_pixels

from .common import Run, make_parser, read_flags, run_script
from .data import contact_sheet
from .dataset import find_data
from .portraits import PortraitStream, encode_style, painter_to_train

WHOLE, KEPT, GREY = 0.3, 0.75, 0.3  # shares of portraits shown in all their details, of classes shown, of regions shown without hues
BLOB = 8  # withheld parts are blobs of about an eighth of the picture


def shown_share(layout: torch.Tensor, noise: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """How much of the details is shown at each place.

    Args:
        layout: (B, 7, S, S) one-hot.
        noise: (B, BLOB * BLOB) N(0, 1).
        uniforms: (B, 8) in [0, 1).

    Returns:
        (B, 1, S, S) from 0 to 1.
    """
    coarse = noise.view(-1, 1, BLOB, BLOB)
    blobs = (4 * F.interpolate(coarse, size=layout.shape[-1], mode="bicubic") + 3).clamp(0, 1)
    kept = (uniforms[:, :NUM_LABELS] < KEPT).float()
    parts = blobs * torch.einsum("bl,blhw->bhw", kept, layout)[:, None]
    whole = (uniforms[:, NUM_LABELS] < WHOLE)[:, None, None, None]
    return torch.where(whole, torch.ones_like(parts), parts)


def shown_details(pixels: torch.Tensor, layout: torch.Tensor, share: torch.Tensor, grey: torch.Tensor) -> torch.Tensor:
    """(B, 4, S, S) details as in `aniface.details`, `share` (B, 1, S, S) of them, without hues in the `grey` (B, 5) regions."""
    details = torch.cat([share * residue(pixels, layout), share], 1)
    return without_hue(details, torch.einsum("bs,bshw->bhw", grey, style_region_shares(layout))[:, None])


def main() -> None:
    parser = make_parser(__doc__, output_dir="runs/details", resolution=256, learning_rate=1e-3, ema_decay=0.998)
    parser.add_argument("--style_encoder", help="style encoder folder or hub id; by default the shipped one")
    parser.add_argument("--features", help="segmenter folder or hub id whose frozen encoder gives the perceptual loss; by default it ships")
    args = read_flags(parser)
    keep_freed_memory(everything=True)
    torch.manual_seed(args.seed)
    painter = painter_to_train(args, "that is to paint details").eval().requires_grad_(False)
    items, _ = find_data(args)
    size = painter.trunk_size
    if args.resolution != size:
        raise InputError(f"--resolution {args.resolution}: details enter this painter up to {size} px; choose that")
    encoder = StyleEncoder.from_pretrained(args.style_encoder).eval().requires_grad_(False)
    features = FaceSegmenter.from_pretrained(args.features).eval().requires_grad_(False)
    adapter = DetailAdapter(image_size=size, channels=tuple(painter.config.channels[-3:]))
    pictures, masks = load_all(items, size)
    optimizer = torch.optim.Adam(adapter.parameters(), lr=args.learning_rate, betas=(0.9, 0.99))
    run = Run(args, {"adapter": adapter.to(memory_format=torch.channels_last)}, {"adapter": optimizer}, ema=("adapter",))
    adapter = run.networks["adapter"]
    encoder.to(run.device)
    for network in (painter, features):
        network.to(run.device, memory_format=torch.channels_last)
    stream = PortraitStream(pictures, masks, encoder.config.image_size, encoder.config.latent_dim, args.seed)

    for batch in run.batches(stream):
        real, layout = pixels_from_uint8(batch["pixels"]), one_hot(batch["ids"])
        codes, colours, present = encode_style(encoder, batch["style_pixels"], batch["style_ids"], 0 * batch["noise"])
        share = shown_share(layout, batch["noise"].flatten(1)[:, : BLOB * BLOB], batch["uniforms"])
        grey = (batch["uniforms"][:, -NUM_STYLE_REGIONS:] < GREY).float()
        details = shown_details(real, layout, share, grey)
        with run.accelerator.accumulate(adapter), run.accelerator.autocast():
            with torch.no_grad():
                target = torch.lerp(painter(layout, codes, colours, present, size=size).float(), real, share)
                wanted = features.encoder(target.contiguous(memory_format=torch.channels_last))[:4]
            painted = painter(layout, codes, colours, present, size=size, added=adapter(details)).float()
            parts = {
                "picture": 5 * (painted - target).abs().mean(),
                "edges": 5 * edge_loss(painted, target),
                "perceptual": feature_loss(features.encoder(painted)[:4], wanted),
            }
            run.descend(reduce(add, parts.values()), "adapter", max_norm=5.0)
        run.update_ema()
        run.log(**parts)
        if (run.step + 1) % args.validation_steps == 0 and run.accelerator.is_main_process:
            sheet = [list(uint8_from_pixels(one[:8])) for one in (real, target, painted)]
            run.show("details", contact_sheet(sheet), run.step + 1)
    if run.accelerator.is_main_process:
        run.save(run.ema["adapter"].eval(), "detail_adapter")
        run.finish(run.ema["adapter"])


if __name__ == "__main__":
    run_script(main)
