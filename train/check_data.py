"""Check a training folder before hours are spent on it: which file is bad, and what is wrong with it.

python -m train.check_data FOLDER [--masks_dir MASKS]

Exit code 0: all is well; 1: the listed files are not; 2: a mistake in the arguments.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from aniface.folders import Item, find_items
from aniface.labels import FACE, LABELS, NUM_LABELS, InputError, Mask, open_picture
from aniface.processing import to_rgb_picture

from .common import run_script

SMALLEST = 64


def check_item(item: Item) -> tuple[list[str], np.ndarray]:
    """What is wrong with a picture and its mask, one line each, and the (7,) shares of the classes (zeros without a mask)."""
    problems, shares = [], np.zeros(NUM_LABELS)
    picture = mask = None
    try:
        picture = to_rgb_picture(open_picture(item.picture))
        if min(picture.size) < SMALLEST:
            problems.append(f"{item.picture}: is {picture.width}x{picture.height}; expected at least {SMALLEST}x{SMALLEST}")
    except InputError as error:
        problems.append(str(error))
    if item.mask is None:
        return problems, shares
    try:
        mask = Mask.open(item.mask)
    except InputError as error:
        return [*problems, str(error)], shares
    shares = np.bincount(mask.ids.ravel(), minlength=NUM_LABELS) / mask.ids.size
    shape = mask.width / mask.height  # a square one may be of the letterboxed picture, as label_dataset makes them
    if picture and shape != 1 and abs(picture.width / picture.height - shape) > 0.02 * shape:
        problems.append(
            f"{item.mask}: is {mask.width}x{mask.height}, of another shape than its picture of {picture.width}x{picture.height}; "
            "expected a mask of the whole picture"
        )
    if not shares[FACE]:
        problems.append(f"{item.mask}: shows no face; expected a portrait's mask, in the 7 classes {', '.join(LABELS)}")
    return problems, shares


def lonely_masks(folder: Path, items: list[Item]) -> list[str]:
    """Masks beside the pictures that belong to no picture."""
    names = {item.name for item in items}
    masks = [(path, path.name.removesuffix(".mask.png")) for path in folder.glob("*.mask.png")]
    masks += [(path, path.stem) for path in folder.glob("*.json")]
    return [
        f"{path}: there is no picture {name}.png (or .jpg, ...) that it belongs to" for path, name in sorted(masks) if name not in names
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train_data_dir", help="folder of pictures, with their masks beside them or in a --masks_dir")
    parser.add_argument("--masks_dir", action="append", default=[])
    args = parser.parse_args()
    items = find_items(args.train_data_dir, args.masks_dir, need_masks=False)
    problems, shares = lonely_masks(Path(args.train_data_dir), items), np.zeros(NUM_LABELS)
    stems: dict[str, Item] = {}
    for item in items:
        if stems.setdefault(item.name, item) is not item:
            problems.append(
                f"{item.picture}: has the name of {stems[item.name].picture.name}, whose mask it would take; rename one of them"
            )
        found, share = check_item(item)
        problems += found
        shares += share
    for problem in problems:
        print(problem)
    masked = [item for item in items if item.mask]
    annotated = sum(item.mask is not None and item.mask.suffix == ".json" for item in masked)
    print(f"{len(items)} pictures: {len(masked)} with a mask, {annotated} of them annotated in labelme")
    if masked:
        print("classes: " + ", ".join(f"{name} {share:.1%}" for name, share in zip(LABELS, shares / len(masked), strict=True)))
    print(f"{len(problems)} problems" if problems else "no problems")
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    run_script(main)
