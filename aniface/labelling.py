"""Label a folder of pictures with masks, however many, by one process or by many: resumed, reported, one picture in memory at a time.

Each process keeps a journal of its pictures in the output folder. When all are done, one of them makes of the journals `confidence.csv`
and, if something failed, `failed.txt`. What a killed run leaves, the next one picks up.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .labels import LABELS, NUM_LABELS, InputError, mask_to_labelme, open_picture, write_atomically, write_json
from .segmentation import Segmentation

COLUMNS = ("name", "confidence", *LABELS, "crop")


@dataclass(frozen=True)
class Outcome:
    """What became of one picture: `error` is None if its mask was written or, with `resume`, was there already."""

    picture: Path
    mask: Path
    error: str | None = None
    note: str | None = None


def label_pictures(
    segment: Callable[[Image.Image], Segmentation],
    pictures: list[Path],
    output: Path,
    resume: bool = False,
    labelme: bool = False,
    process: int = 0,
    num_processes: int = 1,
    wait_for_everyone: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Write the mask of each picture into `output`, as NAME.png; yields after each one. A broken picture costs nothing but itself.

    Args:
        segment: picture -> its segmentation.
        pictures: sorted; all of them, whatever the share of this process.
        output: a folder, the same for all processes.
        resume: leave out pictures that have their mask already.
        labelme: also write NAME.json.
        process, num_processes: this process takes every `num_processes`-th picture, beginning with number `process`.
        wait_for_everyone: returns when all processes have called it.
    """
    if process == 0:
        for half_written in output.glob(".aniface-*"):  # by a run that was killed, see `write_atomically`
            half_written.unlink()
        collect(output, keep=resume)
    wait_for_everyone()
    with (output / f".journal-{process:05d}.csv").open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        journal = csv.writer(file)
        for picture in pictures[process::num_processes]:
            target = output / f"{picture.stem}.png"
            if resume and target.exists():
                yield Outcome(picture, target)
                continue
            try:
                found = segment(open_picture(picture))
                journal.writerow([picture.name, "", *confidence_of(found)])
                file.flush()  # before the mask: a mask without its row would be left out by the next run
                save_segmentation(found, target, picture, labelme)
            except InputError as error:
                journal.writerow([picture.name, str(error)])
                file.flush()
                yield Outcome(picture, target, str(error))
                continue
            yield Outcome(picture, target, note=found.note())
    wait_for_everyone()
    if process == 0:
        write_failures(collect(output, keep=resume), output)


def confidence_of(found: Segmentation) -> list[str]:
    """The columns of `confidence.csv` after the name: confidence, share of each class, and the crop as WIDTHxHEIGHT+LEFT+TOP."""
    shares = np.bincount(found.mask.ids.ravel(), minlength=NUM_LABELS) / found.mask.ids.size
    left, top, right, bottom = found.crop or (0, 0, 0, 0)
    return [f"{value:.4f}" for value in (found.confidence, *shares)] + [f"{right - left}x{bottom - top}+{left}+{top}" if found.crop else ""]


def save_segmentation(found: Segmentation, target: Path, source: Path, labelme: bool = False) -> None:
    """Write a mask PNG, the crop that it belongs to as NAME.crop.png and, if asked, the labelme JSON as NAME.json.

    The mask comes last: where it is, everything is.
    """
    crop = target.with_suffix(".crop.png")
    if found.crop:
        write_atomically(crop, lambda temporary: found.picture.save(temporary, format="PNG"))
    elif os.path.lexists(crop):  # of an earlier run: it would be taken for what the mask shows
        crop.unlink()
    if labelme:
        shown = crop.name if found.crop else os.path.relpath(source, target.parent)
        write_json(mask_to_labelme(found.mask, shown), target.with_suffix(".json"))
    found.mask.save(target)


def collect(output: Path, keep: bool) -> dict[str, str]:
    """Make `confidence.csv`, sorted by name, of the processes' journals and, with `keep`, of its own older rows.

    Returns:
        The errors of the pictures that failed, by name.
    """
    path = output / "confidence.csv"
    journals = sorted(output.glob(".journal-*.csv"))
    rows: dict[str, str] = {}  # as text, which is a tenth of lists of fields
    failed: dict[str, str] = {}
    for row in read_rows(path) if keep else ():
        rows[row[0]] = to_line(row)
    for journal in journals:
        for name, error, *fields in read_rows(journal):
            if error:
                failed[name] = error
                rows.pop(name, None)
            elif len(fields) == len(COLUMNS) - 1:  # a killed process may leave a part of a line
                rows[name] = to_line([name, *fields])
    if rows:
        write_atomically(path, lambda temporary: write_lines(temporary, [to_line(COLUMNS)], (rows[name] for name in sorted(rows))))
    else:
        path.unlink(missing_ok=True)
    for journal in journals:
        journal.unlink()
    return failed


def write_failures(failed: dict[str, str], output: Path) -> None:
    """List the pictures that failed, one line each, in `failed.txt`; removes an older list if nothing failed."""
    path = output / "failed.txt"
    if failed:
        write_atomically(path, lambda temporary: write_lines(temporary, (f"{name}\t{failed[name]}\n" for name in sorted(failed))))
    else:
        path.unlink(missing_ok=True)


def read_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV file but for its header; none if it is not there."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield from (row for row in csv.reader(file) if len(row) >= 2 and row[0] != "name")


def to_line(row) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()


def write_lines(path, *parts) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        for lines in parts:
            file.writelines(lines)
