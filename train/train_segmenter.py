"""Train the face parser on annotated (and, with --masks_dir, pseudo-labelled) pictures.

accelerate launch -m train.train_segmenter --train_data_dir PICTURES --masks_dir ANNOTATIONS --output_dir runs/segmenter
"""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import torch
from PIL import Image

from aniface.folders import find_items, load_all, split_items
from aniface.labels import NUM_LABELS, PALETTE
from aniface.losses import segmentation_loss
from aniface.metrics import confusion, segmentation_scores
from aniface.models.segmenter import ARTICLE_VERSIONS, FaceSegmenter
from aniface.processing import pixels_from_uint8

from .augment import augment_pair
from .common import Run, keep_large_buffers, make_parser, read_flags, run_script
from .data import SampleStream, contact_sheet
from .dataset import data_folder


def parse_args():
    parser = make_parser(__doc__, output_dir="runs/segmenter", train_batch_size=12, learning_rate=1e-3, resolution=512)
    parser.add_argument("--version", choices=tuple(ARTICLE_VERSIONS), default="v3", help="which of the article's U-Nets")
    parser.add_argument("--encoder_weights", help="safetensors file of an ImageNet MobileNetV2 (transformers' layout)")
    parser.add_argument("--encoder_learning_rate", type=float, default=3e-4)
    return read_flags(parser)


def build_segmenter(args) -> FaceSegmenter:
    """A pretrained segmenter, or a new one whose encoder starts from ImageNet weights if given."""
    if args.pretrained_model_name_or_path:
        return FaceSegmenter.from_pretrained(args.pretrained_model_name_or_path)
    model = FaceSegmenter(**ARTICLE_VERSIONS[args.version])
    if args.encoder_weights:
        model.encoder.load_imagenet(args.encoder_weights)
    return model


def class_weights(masks: np.ndarray) -> torch.Tensor:
    """1 / sqrt(share of the class), normalised to mean 1: rare classes count more."""
    shares = np.bincount(masks.ravel(), minlength=NUM_LABELS) / masks.size
    weights = 1 / np.sqrt(np.maximum(shares, 1e-4))
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


@torch.no_grad()
def undo_class_weights(model: FaceSegmenter, weights: torch.Tensor) -> None:
    """Take the class weights of the loss out of the trained logits again: they help learning, yet inflate the rare classes.

    A network trained with weights w estimates w * p / sum(w * p), so log(w) is subtracted from its logits (prior correction; Menon et al.
    2021, "Long-Tail Learning via Logit Adjustment").
    """
    model.head.bias -= weights.log()


@torch.inference_mode()
def predict(model: FaceSegmenter, pictures: np.ndarray) -> np.ndarray:
    """(N, R, R, 3) uint8 -> (N, R, R) uint8 class ids."""
    return np.concatenate([model(pixels_from_uint8(batch)).argmax(1).byte().numpy() for batch in np.array_split(pictures, len(pictures))])


def validate(model: FaceSegmenter, pictures: np.ndarray, masks: np.ndarray) -> tuple[dict[str, float], Image.Image]:
    """Scores on held-out pairs and a sheet of true and guessed masks (never the pictures)."""
    guesses = predict(model, pictures)
    sheet = contact_sheet([[PALETTE[t] for t in masks[:8]], [PALETTE[g] for g in guesses[:8]]])
    return segmentation_scores(reduce(add, (confusion(t, g) for t, g in zip(masks, guesses, strict=True)))), sheet


def main() -> None:
    args = parse_args()
    keep_large_buffers()
    torch.manual_seed(args.seed)
    train_items, held_items = split_items(find_items(data_folder(args), args.masks_dir), args.holdout, args.holdout_seed)
    pictures, masks = load_all(train_items, args.resolution)
    held_pictures, held_masks = load_all(held_items, args.resolution)
    model = build_segmenter(args).to(memory_format=torch.channels_last)
    decoder = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    groups = [
        {"params": decoder, "lr": args.learning_rate},
        {"params": list(model.encoder.parameters()), "lr": args.encoder_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    run = Run(args, {"segmenter": model}, {"segmenter": optimizer}, ema=("segmenter",))
    network = run.networks["segmenter"]
    weights = class_weights(masks).to(run.device)

    def make_sample(index: int, rng: np.random.Generator) -> dict:
        pixels, ids = augment_pair(pixels_from_uint8(pictures[index]), torch.from_numpy(masks[index]).long(), rng)
        return {"pixels": pixels, "ids": ids}

    def report_on_held_out(step: int) -> None:
        scores, sheet = validate(run.ema["segmenter"], held_pictures, held_masks)
        run.show("validation", sheet, step)
        print({name: round(value, 4) for name, value in scores.items()}, flush=True)

    for batch in run.batches(SampleStream(len(pictures), make_sample, args.seed)):
        network.train()
        with run.accelerator.accumulate(network):
            logits = network(batch["pixels"].to(memory_format=torch.channels_last))
            loss = segmentation_loss(logits.float(), batch["ids"], weights)
            run.descend(loss, "segmenter", max_norm=1.0)
        run.update_ema()
        run.log(loss=loss.item())
        if len(held_pictures) and (run.step + 1) % args.validation_steps == 0 and run.accelerator.is_main_process:
            report_on_held_out(run.step + 1)
    if run.accelerator.is_main_process:
        undo_class_weights(run.ema["segmenter"], weights)
        if len(held_pictures):
            report_on_held_out(run.step)
        run.save(run.ema["segmenter"], "model")
        run.finish(run.ema["segmenter"])


if __name__ == "__main__":
    run_script(main)
