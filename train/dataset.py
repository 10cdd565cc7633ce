"""The pictures and masks of a training run: found in folders, or fetched from the hub; missing masks are made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from PIL import Image

from aniface.folders import PICTURE_ENDINGS, Item, find_items, split_items
from aniface.labelling import label_pictures
from aniface.labels import InputError
from aniface.models.segmenter import FaceSegmenter
from aniface.pipeline import lay_out_weights
from aniface.segmentation import Segmentation, segment_picture

from .common import join_processes


def find_data(args) -> tuple[list[Item], list[Item]]:
    """Training and held-out items of a run's flags; pictures without a mask get one, by the segmenter, in OUTPUT_DIR/masks."""
    folder = data_folder(args)
    items = find_items(folder, args.masks_dir, need_masks=False)
    if any(item.mask is None for item in items):
        masks = Path(args.output_dir) / "masks"
        make_masks(items, masks, args.mask_segmenter)
        items = find_items(folder, [*args.masks_dir, masks])
    return split_items(items, args.holdout, args.holdout_seed)


def data_folder(args) -> str:
    """The folder of --train_data_dir, or that of --dataset_name after it was fetched (once, into the hub's cache)."""
    if bool(args.train_data_dir) == bool(args.dataset_name):
        raise InputError("give one of --train_data_dir FOLDER and --dataset_name HUB_ID")
    if args.train_data_dir:
        return args.train_data_dir
    patterns = [f"*{ending}" for ending in sorted(PICTURE_ENDINGS)] + ["*.json"]
    try:
        with join_processes().main_process_first():
            return snapshot_download(args.dataset_name, repo_type="dataset", allow_patterns=patterns)
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        raise InputError(f"--dataset_name {args.dataset_name}: cannot be fetched ({str(error).strip().splitlines()[0]})") from None


def segment_with(segmenter: str | None, device: torch.device, crop: bool = False) -> Callable[[Image.Image], Segmentation]:
    """What `aniface segment` does with a picture, by the segmenter of a folder or hub id, or the one that ships."""
    model = FaceSegmenter.from_pretrained(segmenter).eval()
    lay_out_weights(model)
    model.to(device)
    return lambda picture: segment_picture(model, picture, crop)


def make_masks(items: list[Item], output: Path, segmenter: str | None) -> None:
    """Write `output`/NAME.png for every item without a mask that has none there yet; each process makes its share of them."""
    processes = join_processes()
    without = [item.picture for item in items if item.mask is None and not (output / f"{item.name}.png").exists()]
    processes.wait_for_everyone()  # all have the same list: nobody has begun to write
    if not without:
        return
    output.mkdir(parents=True, exist_ok=True)
    if processes.is_main_process:
        print(f"{len(without)} of {len(items)} pictures have no mask: making them in {output}", flush=True)
    share = {"process": processes.process_index, "num_processes": processes.num_processes}
    segment = segment_with(segmenter, processes.device)
    for outcome in label_pictures(segment, without, output, resume=True, wait_for_everyone=processes.wait_for_everyone, **share):
        if outcome.error:
            raise InputError(outcome.error)
    processes.wait_for_everyone()
