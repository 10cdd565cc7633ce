"""labelme JSON to masks and back, a file or a folder of them, with a report of what became what."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .labels import ID_OF_LABEL, LABELS, InputError, Mask, draw_labelme, mask_from_drawn, mask_to_labelme, read_labelme, write_json

LABEL_NAMES = tuple(ID_OF_LABEL)
MASK_ENDINGS = (".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")  # a JPEG holds no exact colours


class Report:
    """What was mapped: polygons and visible pixels of each label that was found, and the pixels that no polygon covers."""

    def __init__(self) -> None:
        self.polygons: Counter[str] = Counter()
        self.pixels: Counter[str] = Counter()
        self.bare = 0

    def add(self, annotation: dict) -> np.ndarray:
        """Count an annotation; returns its (H, W) drawn labels, see `draw_labelme`."""
        drawn = draw_labelme(annotation)
        self.polygons.update(shape["label"] for shape in annotation["shapes"])
        for number, count in enumerate(np.bincount(drawn.ravel(), minlength=len(LABEL_NAMES) + 1).tolist()):
            if number == 0:
                self.bare += count
            elif count:
                self.pixels[LABEL_NAMES[number - 1]] += count
        return drawn

    def lines(self) -> Iterator[str]:
        for label in sorted(self.polygons, key=LABEL_NAMES.index):
            yield f"{label:14} -> {LABELS[ID_OF_LABEL[label]]:10} {self.polygons[label]:8} polygons {self.pixels[label]:10} pixels"
        if self.bare:
            yield f"{'(not drawn)':14} -> {LABELS[0]:10} {0:8} polygons {self.bare:10} pixels"


def convert(source: Path, target: Path, report: Report) -> None:
    """Write the mask of a labelme JSON file, or the labelme JSON of a mask picture, whichever `source` is not.

    Raises:
        InputError: the endings are not those of such a pair, or the file is not what it should be.
    """
    from_json, to_json = source.suffix.lower() == ".json", target.suffix.lower() == ".json"
    if from_json == to_json or not (to_json or target.suffix.lower() == ".png"):
        raise InputError(f"{source.name} -> {target.name}: expected a .json to a .png, or a mask picture to a .json")
    if from_json:
        mask_from_drawn(report.add(read_labelme(source))).save(target)
        return
    crop = source.with_suffix(".crop.png")  # what the mask shows; without it, labelme shows the mask itself
    annotation = mask_to_labelme(Mask.open(source), os.path.relpath(crop if crop.is_file() else source, target.parent))
    report.add(annotation)
    write_json(annotation, target)


def list_conversions(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """The files of a folder and what they become in another: its JSON files masks, or if it has none, its masks JSON files.

    Raises:
        InputError: the folder holds neither, or two files would become the same.
    """
    files = sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
    found, ending = [path for path in files if path.suffix.lower() == ".json"], ".png"
    if not found:
        found = [path for path in files if path.suffix.lower() in MASK_ENDINGS and not path.name.endswith(".crop.png")]
        ending = ".json"
    if not found:
        raise InputError(f"{source}: holds neither labelme files (.json) nor masks ({', '.join(MASK_ENDINGS)})")
    pairs: dict[Path, Path] = {}
    for path in found:
        other = pairs.setdefault(target / f"{path.stem}{ending}", path)
        if other is not path:
            raise InputError(f"{source}: {other.name} and {path.name} would both become {path.stem}{ending}; rename one of them")
    return [(path, name) for name, path in pairs.items()]
