"""Folders of pictures, and of pictures with their masks, for training and measuring."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .labels import InputError, Mask, open_picture
from .processing import fit_picture, to_rgb_picture

PICTURE_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
SUFFIXES_OF_MASKS = (".mask.png", ".mask.crop.png")  # what lies beside a picture and is none of the collection


@dataclass(frozen=True)
class Item:
    """A picture on disk and, if it has one, its mask (labelme JSON or mask PNG)."""

    name: str
    picture: Path
    mask: Path | None

    def open_mask(self) -> Mask:
        """The mask, for items that have one."""
        assert self.mask is not None
        return Mask.open(self.mask)


def find_items(train_data_dir: str | Path, masks_dirs: Sequence[str | Path] = (), need_masks: bool = True) -> list[Item]:
    """The pictures of a folder and their masks.

    A mask lies beside its picture as `NAME.json` (labelme) or `NAME.mask.png`, or in one of `masks_dirs` as `NAME.json` or `NAME.png`; what
    lies beside the picture wins, then the first folder that has one. Pictures without a mask are left out if `need_masks`.
    A mask of a crop has that crop beside it as `NAME.crop.png` (see `aniface.labelling`), which is then the item's picture.

    Raises:
        InputError: the folder is missing or holds nothing usable.
    """
    folder = Path(train_data_dir)
    for path in (folder, *map(Path, masks_dirs)):
        if not path.is_dir():
            raise InputError(f"{path}: no such folder; expected a folder of pictures or masks")
    pictures = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_ENDINGS and not p.name.endswith(SUFFIXES_OF_MASKS))
    items = []
    for picture in pictures:
        candidates = [picture.with_suffix(".json"), picture.with_suffix(".mask.png")]
        candidates += [p / f"{picture.stem}{ending}" for p in map(Path, masks_dirs) for ending in (".json", ".png")]
        mask = next((p for p in candidates if p.is_file()), None)
        if mask or not need_masks:
            crop = mask and mask.with_suffix(".crop.png")
            items.append(Item(picture.stem, crop if crop and crop.is_file() else picture, mask))
    if not items:
        raise InputError(
            f"{folder}: holds {len(pictures)} pictures and none with a mask; expected NAME.png with NAME.json or NAME.mask.png"
        )
    return items


def split_items(items: list[Item], holdout: int, seed: int = 0) -> tuple[list[Item], list[Item]]:
    """Split off `holdout` items, drawn by `seed` among those that a person annotated (a labelme JSON); the same for every script.

    A larger holdout contains the smaller one, so that what one network is tested on, no other network has seen.
    """
    annotated = [item for item in items if item.mask and item.mask.suffix == ".json"]
    if holdout and holdout >= len(annotated):
        raise InputError(f"--holdout {holdout} leaves nothing of {len(annotated)} annotated pictures to train on; choose a smaller number")
    order = np.random.default_rng(seed).permutation(len(annotated))[:holdout]
    held = {annotated[i].name for i in order}
    return [i for i in items if i.name not in held], [annotated[i] for i in order]


def load_item(item: Item, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """(R, R, 3) uint8 picture and (R, R) uint8 mask of an item; all background if it has none."""
    picture = fit_picture(to_rgb_picture(open_picture(item.picture)), resolution)
    mask = item.open_mask().fit(resolution).ids if item.mask else np.zeros((resolution, resolution), np.uint8)
    return np.array(picture), mask


def load_all(items: list[Item], resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Decode everything into two arrays: (N, R, R, 3) pictures and (N, R, R) masks, uint8."""
    pictures = np.zeros((len(items), resolution, resolution, 3), np.uint8)
    masks = np.zeros((len(items), resolution, resolution), np.uint8)

    def load(index: int) -> None:
        pictures[index], masks[index] = load_item(items[index], resolution)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(load, range(len(items))))
    return pictures, masks


def list_pictures(folder: Path) -> list[Path]:
    """The picture files of a folder, sorted by name.

    Raises:
        InputError: there are none, or two would get the same mask name.
    """
    pictures = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_ENDINGS)
    if not pictures:
        raise InputError(f"{folder}: holds no pictures ({', '.join(sorted(PICTURE_ENDINGS))})")
    stems: dict[str, Path] = {}
    for picture in pictures:
        other = stems.setdefault(picture.stem, picture)
        if other is not picture:
            raise InputError(f"{folder}: {other.name} and {picture.name} would both become {picture.stem}.png; rename one of them")
    for stem, picture in stems.items():
        if crop := stems.get(f"{stem}.crop"):
            raise InputError(f"{folder}: the mask of {crop.name} would have the name of a crop of {picture.name}; rename one of them")
    return pictures
