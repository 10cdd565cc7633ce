from __future__ import annotations

import csv
import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from aniface.folders import find_items, list_pictures, load_item
from aniface.labelling import COLUMNS, label_pictures
from aniface.labels import LABELS, InputError, Mask
from aniface.processing import to_rgb_picture
from aniface.segmentation import Segmentation

CROP = (2, 3, 12, 13)


def segment(picture: Image.Image) -> Segmentation:
    """By the red channel; pictures wider than high are cropped."""
    picture = to_rgb_picture(picture)
    crop = CROP if picture.width > picture.height else None
    part = picture.crop(crop) if crop else picture
    ids = np.asarray(part)[..., 0] % 7
    return Segmentation(Mask(ids), float(ids.mean() / 7), part, crop)


def write_pictures(folder, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        array = rng.integers(0, 256, (16, 16 + 8 * (number % 3 == 0), 3), dtype=np.uint8)
        Image.fromarray(array).save(folder / f"p,{number:03d}.png")


@pytest.fixture()
def folder(tmp_path):
    """12 pictures, two of them broken."""
    write_pictures(tmp_path / "pictures", 12)
    for number in (3, 8):
        (tmp_path / "pictures" / f"p,{number:03d}.png").write_bytes(b"broken")
    return tmp_path / "pictures"


def label(folder, output, **kwargs) -> list:
    output.mkdir(exist_ok=True)
    return list(label_pictures(segment, list_pictures(folder), output, **kwargs))


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_written(folder, tmp_path):
    outcomes = label(folder, tmp_path / "masks", labelme=True)
    assert [outcome.picture.name for outcome in outcomes if outcome.error] == ["p,003.png", "p,008.png"]
    assert [outcome.picture.name for outcome in outcomes if outcome.note] == ["p,000.png", "p,006.png", "p,009.png"]
    assert outcomes[0].note == "face found, cropped to 10x10 at (2, 3)"
    names = set(contents(tmp_path / "masks"))
    good = [f"p,{number:03d}" for number in range(12) if number not in (3, 8)]
    expected = {f"{name}.{ending}" for name in good for ending in ("png", "json")}
    assert names == expected | {f"p,{number:03d}.crop.png" for number in (0, 6, 9)} | {"confidence.csv", "failed.txt"}
    failed = (tmp_path / "masks" / "failed.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in failed] == ["p,003.png", "p,008.png"] and all("is not a picture" in line for line in failed)
    with (tmp_path / "masks" / "confidence.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and [row["name"] for row in rows] == [f"{name}.png" for name in good]
    assert [row["crop"] for row in rows] == ["10x10+2+3" if number in (0, 6, 9) else "" for number in range(12) if number not in (3, 8)]
    for row in rows:
        ids = Mask.open(tmp_path / "masks" / row["name"]).ids
        assert [row[label] for label in LABELS] == [f"{(ids == index).mean():.4f}" for index in range(7)]
        assert row["confidence"] == f"{ids.mean() / 7:.4f}"


def test_two_processes_write_what_one_does(folder, tmp_path):
    label(folder, tmp_path / "one")
    (tmp_path / "two").mkdir()
    meeting = threading.Barrier(2)
    pictures = list_pictures(folder)

    def work(process: int) -> None:
        list(label_pictures(segment, pictures, tmp_path / "two", process=process, num_processes=2, wait_for_everyone=meeting.wait))

    threads = [threading.Thread(target=work, args=(process,)) for process in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_stopped_run_is_picked_up(folder, tmp_path):
    label(folder, tmp_path / "whole")
    (tmp_path / "stopped").mkdir()
    outcomes = label_pictures(segment, list_pictures(folder), tmp_path / "stopped")
    for _ in range(6):
        next(outcomes)
    outcomes.close()
    assert not (tmp_path / "stopped" / "confidence.csv").exists()
    journal = tmp_path / "stopped" / ".journal-00000.csv"
    journal.write_text(journal.read_text() + 'p,007.png,,0.5,"0.1')  # a line that was cut off
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "stopped").glob("p*")}
    assert len(written) == 5 + 1  # one failed; one has a crop
    label(folder, tmp_path / "stopped", resume=True)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in written} == written
    again = label(folder, tmp_path / "stopped", resume=True)
    assert len(again) == 12 and contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_what_was_mended_is_no_longer_listed(folder, tmp_path):
    label(folder, tmp_path / "masks")
    for number in (3, 8):
        Image.new("RGB", (16, 16)).save(folder / f"p,{number:03d}.png")
    label(folder, tmp_path / "masks", resume=True)
    assert not (tmp_path / "masks" / "failed.txt").exists()
    with (tmp_path / "masks" / "confidence.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [f"p,{number:03d}.png" for number in range(12)]


def test_masks_of_crops_train_with_their_crops(folder, tmp_path):
    """And a crop of an earlier run does not stay when its mask is made anew of the whole picture."""
    label(folder, tmp_path / "masks")
    items = {item.name: item for item in find_items(folder, [tmp_path / "masks"])}
    assert len(items) == 10 and items["p,000"].picture == tmp_path / "masks" / "p,000.crop.png"
    assert items["p,001"].picture == folder / "p,001.png"
    picture, ids = load_item(items["p,000"], 10)
    assert np.array_equal(picture[..., 0] % 7, ids)
    whole = lambda picture: segment(picture.crop((0, 0, 16, 16)))  # noqa: E731
    list(label_pictures(whole, list_pictures(folder), tmp_path / "masks"))
    assert not list((tmp_path / "masks").glob("*.crop.png"))


def test_names_that_would_collide_are_refused(tmp_path):
    write_pictures(tmp_path / "pictures", 1)
    Image.new("RGB", (16, 16)).save(tmp_path / "pictures" / "p,000.crop.jpg")
    with pytest.raises(InputError, match=r"p,000\.crop\.jpg would have the name of a crop of p,000\.png"):
        list_pictures(tmp_path / "pictures")


def test_memory_stays_flat(tmp_path):
    """However many pictures: four times as many take no more but for their names."""
    peaks = []
    for count in (100, 400):
        write_pictures(tmp_path / f"{count}", count)
        pictures = list_pictures(tmp_path / f"{count}")
        (tmp_path / f"masks{count}").mkdir()
        tracemalloc.start()
        for _ in label_pictures(segment, pictures, tmp_path / f"masks{count}"):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 300 * 600, peaks
