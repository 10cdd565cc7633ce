from __future__ import annotations

import json

import numpy as np

from aniface.cli import main
from aniface.labels import LABELS_15, Mask, mask_from_labelme, mask_to_labelme


def box(label: str, left: int, top: int, right: int, bottom: int) -> dict:
    return {"label": label, "points": [[left, top], [right, top], [right, bottom], [left, bottom]], "shape_type": "polygon"}


def annotation(*shapes: dict) -> dict:
    return {"imageWidth": 20, "imageHeight": 20, "shapes": list(shapes)}


def lines(text: str) -> dict[str, list[str]]:
    """The report by label: class, polygons, pixels."""
    rows = [line.split() for line in text.replace("(not drawn)", "-").splitlines() if "->" in line]
    return {row[0]: [row[2], row[3], row[5]] for row in rows}


def test_the_report_of_15_labels(tmp_path, capsys):
    shapes = [box("hair", 0, 0, 9, 9), box("pupil", 0, 0, 1, 1), box("eyelash", 1, 1, 3, 3), box("pupil", 5, 5, 5, 5)]
    (tmp_path / "a.json").write_text(json.dumps(annotation(*shapes)))
    assert main(["convert", "labelme", str(tmp_path / "a.json"), str(tmp_path / "a.png")]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(tmp_path / "a.png")
    report = {"hair": ["hair", "1", "87"], "pupil": ["eye", "2", "4"], "eyelash": ["eye", "1", "9"], "-": ["background", "0", "300"]}
    assert lines(captured.err) == report
    assert list(lines(captured.err)) == ["pupil", "eyelash", "hair", "-"]  # in the order of the labels
    ids = Mask.open(tmp_path / "a.png").ids
    assert (ids == 3).sum() == 13 and (ids == 5).sum() == 87


def test_every_label_becomes_its_class():
    shapes = [box(label, number, 0, number, 0) for number, label in enumerate(LABELS_15)]
    ids = mask_from_labelme(annotation(*shapes)).ids
    assert ids[0, :15].tolist() == [0, 1, 1, 2, 3, 3, 3, 2, 4, 5, 6, 2, 2, 6, 1]


def test_folders_both_ways(tmp_path, capsys, toy_mask):
    masks = {"a": toy_mask, "b": Mask(toy_mask.ids[:, ::-1]), "c": Mask(np.full((20, 30), 5))}
    (tmp_path / "masks").mkdir()
    for name, mask in masks.items():
        mask.save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "masks" / "c.crop.png").write_bytes(b"the picture that c is the mask of")
    (tmp_path / "masks" / "confidence.csv").write_text("name\n")
    assert main(["convert", "labelme", str(tmp_path / "masks"), str(tmp_path / "json")]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == f"3 labelme files in {tmp_path / 'json'}"
    pixels = {name: row[2] for name, row in lines(captured.err).items()}
    assert pixels["hair"] == str(sum(int((mask.ids == 5).sum()) for mask in masks.values())) and "-" not in pixels
    read = json.loads((tmp_path / "json" / "c.json").read_text())
    assert read["imagePath"] == "../masks/c.crop.png" and read["imageWidth"] == 30
    assert main(["convert", "labelme", str(tmp_path / "json"), str(tmp_path / "back")]) == 0
    assert capsys.readouterr().out.strip() == f"3 masks in {tmp_path / 'back'}"
    assert {name: Mask.open(tmp_path / "back" / f"{name}.png") for name in masks} == masks


def test_broken_files_of_a_folder_cost_nothing_but_themselves(tmp_path, capsys, toy_mask):
    source = tmp_path / "json"
    source.mkdir()
    (source / "good.json").write_text(json.dumps(mask_to_labelme(toy_mask)))
    (source / "beard.json").write_text(json.dumps(annotation(box("beard", 0, 0, 9, 9))))
    (source / "none.json").write_text("{")
    assert main(["convert", "labelme", str(source), str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert captured.out.strip() == f"1 masks in {tmp_path / 'out'}, 2 failed"
    errors = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert len(errors) == 2 and "beard.json: shape 1 has the unknown label 'beard'" in errors[0] and "is not valid JSON" in errors[1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_wrong_pairs(tmp_path, capsys, toy_mask):
    toy_mask.save(tmp_path / "m.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "same").mkdir()
    (tmp_path / "one").mkdir()
    toy_mask.save(tmp_path / "one" / "m.png")
    for ending in (".png", ".bmp"):
        toy_mask.to_image().save(tmp_path / "same" / f"m{ending}")
    for source, target, message in (
        ("m.png", "n.png", "m.png -> n.png: expected a .json to a .png, or a mask picture to a .json"),
        ("m.json", "n.png", "no such file"),
        ("m.json", "n.json", "m.json -> n.json: expected a .json to a .png"),
        ("empty", "out", "holds neither labelme files (.json) nor masks"),
        ("same", "out", "m.bmp and m.png would both become m.json"),
        ("one", "m.png", "cannot be made a folder"),
    ):
        assert main(["convert", "labelme", str(tmp_path / source), str(tmp_path / target)]) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error, error
