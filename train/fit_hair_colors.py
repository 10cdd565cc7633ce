"""Fit the attribute vectors of hair: encode portraits and relate the codes of their hair to its mean colour.

python -m train.fit_hair_colors --train_data_dir PICTURES --masks_dir MASKS --style_encoder runs/vae/style_encoder --output_dir runs/hair
"""

from __future__ import annotations

import argparse

import torch

from aniface.folders import find_items, load_all, split_items
from aniface.labels import STYLE_REGIONS
from aniface.memory import keep_freed_memory
from aniface.models.hair_colors import HairColors
from aniface.models.style_encoder import StyleEncoder, region_means
from aniface.processing import one_hot, pixels_from_uint8

from .common import run_script

HAIR = STYLE_REGIONS.index("hair")


@torch.inference_mode()
def encode_hair(encoder: StyleEncoder, pictures, masks) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean colours (N, 3) and mean codes (N, latent_dim) of the hair of those pictures that show hair."""
    colours, codes = [], []
    for picture, ids in zip(pictures, masks, strict=True):
        pixels, layout = pixels_from_uint8(picture[None]), one_hot(ids[None])
        means, present = region_means(pixels, layout)
        if present[0, HAIR]:
            colours.append(means[0, HAIR])
            codes.append(encoder(pixels, layout)[0][0, HAIR])
    return torch.stack(colours), torch.stack(codes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--train_data_dir", required=True, help="folder of pictures, with their masks beside them or in a --masks_dir")
    add("--masks_dir", action="append", default=[])
    add("--style_encoder", help="style encoder folder or hub id; by default the one that ships")
    add("--output_dir", default="runs/hair")
    add("--max_pictures", type=int, default=1000)
    add("--holdout", type=int, default=0)
    add("--holdout_seed", type=int, default=0)
    args = parser.parse_args()
    keep_freed_memory(everything=True)
    items, _ = split_items(find_items(args.train_data_dir, args.masks_dir), args.holdout, args.holdout_seed)
    encoder = StyleEncoder.from_pretrained(args.style_encoder).eval()
    pictures, masks = load_all(items[:: max(1, len(items) // args.max_pictures)], encoder.config.image_size)
    vectors = HairColors(encoder.config.latent_dim)
    colours, codes = encode_hair(encoder, pictures, masks)
    explained = vectors.fit(colours, codes)
    vectors.save_pretrained(args.output_dir)
    print(f"{len(codes)} portraits: colour explains {explained:.0%} of the variance of the hair's codes")


if __name__ == "__main__":
    run_script(main)
