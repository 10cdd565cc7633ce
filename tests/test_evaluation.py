from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from aniface import AnifacePipeline
from aniface.cli import main
from aniface.evaluation import evaluate_painter, eye_tint_difference, mean_of_known, repeated_strokes, strokes_below_neck
from aniface.features import PictureFeatures
from aniface.folders import find_items, split_items
from aniface.labels import CLOTHES, EYE, FACE, SKIN
from aniface.models.painter import FacePainter
from aniface.reports import markdown_table
from aniface.segmentation_evaluation import DISTURBANCES, evaluate_segmenter
from aniface.style_evaluation import evaluate_style
from benchmarks import painters, segmenters
from benchmarks.campaign import score
from train.train_painter import WEIGHTS


@pytest.fixture(scope="module")
def split(toy_folder):
    return split_items(find_items(toy_folder), 4)


def test_segmenter_report(tiny, split):
    report = evaluate_segmenter(tiny, split[1])
    assert report["pictures"] == 4 and 0 <= report["scores"]["miou"] < 0.5  # untrained
    assert set(report["disturbed"]) == set(DISTURBANCES) and 0 <= report["scores"]["boundary_f1"] < 1
    table = markdown_table(report)
    assert f"{report['scores']['miou']:.3f}" in table and "| JPEG quality 40 |" in table


def test_a_table_of_segmenters_names_every_run(tiny, split):
    measured = evaluate_segmenter(tiny, split[1])
    runs = {name: run | {"thousand_pictures": 0.5} | measured for name, run in segmenters.plan(60).items()}
    assert [name for name in runs if "annotations" in name] == [
        f"v4, {n} annotations{more}" for n in (25, 50) for more in ("", ", self-training")
    ]
    table = markdown_table({"what": "segmenters", "pictures": 4, "minutes": 10, "machine": "an H100", "threads": 2, "runs": runs})
    assert (
        all(f"| {name} | " in table for name in ("v1", "v2", "v3", "v4", "v4, self-training"))
        and "on an H100" in table
        and "on 2 threads" in table
    )


def test_a_table_of_divisions_tells_their_mean_and_spread():
    runs = {"0": {"miou": 0.88, "hair": 0.94}, "1": {"miou": 0.90, "hair": 0.95}}
    table = markdown_table({"what": "divisions", "pictures": 40, "machine": "2 threads", "runs": runs})
    rows = ("| seed 1 | 0.900 | 0.950 |", "| mean | 0.890 | 0.945 |", "| standard deviation | 0.014 | 0.007 |")
    assert all(row in table for row in rows)
    alone = markdown_table({"what": "divisions", "pictures": 40, "machine": "2 threads", "runs": {"0": runs["0"]}})
    assert "| mean | 0.880 | 0.940 |" in alone and "deviation" not in alone


def test_a_painter_without_its_fine_blocks_paints_what_it_painted_before():
    whole = FacePainter(channels=(8, 8, 8, 8), rgb_size=16, latent_dim=4, style_channels=8).eval()  # 64 px, its head 128
    coarse = painters.coarse_part(whole, 32).eval()
    assert coarse.sizes == (16, 32)
    layout = torch.nn.functional.one_hot(torch.randint(0, 7, (1, 64, 64)), 7).movedim(-1, 1).float()
    style = torch.randn(1, 5, 4), torch.rand(1, 5, 3), torch.ones(1, 5, 1)
    assert torch.allclose(coarse(layout, *style), whole(layout, *style, size=32), atol=1e-5)


def test_a_table_of_painters_names_every_run(tiny, split):
    smaller = {"painter": painters.coarse_part(tiny.painter, tiny.painter.trunk_size // 2), "detail_adapter": None}
    tiny_128 = AnifacePipeline(**tiny.components | smaller)
    row = score(tiny_128, split[1], PictureFeatures.choose(tiny))  # of smaller pictures than the masks
    runs = {name: {"minutes": 5.0, "thousand_pictures": 0.5} | row for name in painters.plan("losses", tiny.painter)}
    assert list(runs) == ["none", *WEIGHTS]
    about = {"pictures": 4, "minutes": 5, "machine": "1 thread", "resolution": 128, "features": "these", "runs": runs}
    table = markdown_table({"what": "losses", **about})
    assert all(f"| {name.replace('_', ' ')} | 0.500 | " in table for name in runs) and "loss left out" in table
    assert "| painter | thousand pictures | " in markdown_table({"what": "rivals", **about})


def test_a_table_of_times_has_a_column_for_each_number_of_threads():
    times = {"painter": {"median": 51.4, "min": 50.0, "max": 60.0}, "gaugan : painter": 81.2}
    table = markdown_table({"what": "latency", "threads": {"2": times, "1": times}, "paint_peak_mb": 612.3})
    assert "| median ms | 2 threads | 1 thread |" in table and "| painter | 51 | 51 |" in table
    assert "| gaugan : painter | 81 x | 81 x |" in table and "process: 612 MB." in table


def test_eyes_are_compared_by_tint_not_by_light():
    ids = np.full((512, 512), FACE, np.uint8)
    left, right = np.s_[200:250, 100:160], np.s_[200:250, 300:360]
    ids[left] = ids[right] = EYE
    picture = np.full((512, 512, 3), 128, np.uint8)
    picture[left], picture[right] = (60, 60, 60), (180, 180, 180)
    assert eye_tint_difference(picture, ids) < 0.1
    picture[right] = (180, 60, 60)
    assert eye_tint_difference(picture, ids) > 30
    assert np.isnan(eye_tint_difference(picture, np.where(np.arange(512) > 256, FACE, ids)))  # one eye
    assert np.isnan(mean_of_known([np.nan])) and mean_of_known([1.0, np.nan, 2.0]) == 1.5


def test_the_same_strokes_on_all_clothes_are_found_wherever_the_necks_are():
    rng = np.random.default_rng(0)

    def portrait(strokes: np.ndarray, x: int, y: int):
        ids = np.zeros((512, 512), np.uint8)
        ids[y:, x - 120 : x + 120] = CLOTHES
        ids[y - 100 : y, x - 30 : x + 30] = SKIN
        picture = rng.integers(100, 140, (512, 512, 3)).astype(np.uint8)
        picture[y + 20 : y + 84, x - 32 : x + 32] = 120 + np.kron(strokes, np.ones((8, 8)))[..., None]
        return strokes_below_neck(picture, ids)

    places = [(160 + 4 * n, 300 + 8 * n) for n in range(12)]
    bow = rng.choice([-60, 60], (8, 8))
    assert repeated_strokes([portrait(bow, x, y) for x, y in places]) > 0.8
    assert abs(repeated_strokes([portrait(rng.choice([-60, 60], (8, 8)), x, y) for x, y in places])) < 0.1
    picture = np.zeros((512, 512, 3), np.uint8)
    assert strokes_below_neck(picture, np.full((512, 512), CLOTHES)) is None  # no neck
    assert np.isnan(repeated_strokes([None])) and np.isnan(repeated_strokes([portrait(bow, 200, 300), None]))
    assert portrait(bow, 120, 428)[0].shape == (40, 48)  # partly beyond the picture


def test_painter_report(tiny, split):
    train, held = split
    report = evaluate_painter(tiny, held, PictureFeatures.choose(tiny), judge=tiny, train_items=train)
    assert report["judge"] == "a second segmenter"
    assert set(report["scores"]) == {"real", "no_reference", "own_reference"} == set(report["nearest_training_portrait"])
    assert report["distances"]["no_reference"]["frechet"] > report["distances"]["training portraits"]["frechet"]
    assert report["hair_noise"]["real"] > 0 and report["diversity"] > 0
    assert set(report["eye_tint_difference"]) == set(report["scores"]) == set(report["repeated_strokes"])
    table = markdown_table(report)
    assert "| no reference |" in table and "Hair noise" in table and "tints" in table and report["features"] in table


def test_real_portraits_are_no_distance_from_themselves(tiny, split):
    """What painted pictures are compared with is scaled as they are: another way of scaling would be a distance by itself."""
    _, held = split
    report = evaluate_painter(tiny, held, PictureFeatures.choose(tiny), train_items=held)
    assert report["nearest_training_portrait"]["real"] < 1e-6


def test_style_report(tiny, split):
    report = evaluate_style(tiny, split[1], split[0], PictureFeatures.choose(tiny))
    assert report["hair"]["masks"] == 8 and set(report["reference_correlation"]) == {"hair", "clothes", "background"}
    assert 0 <= report["latent_space"]["probe_accuracy"] <= 1 and report["interpolation"]["greatest"] >= 1
    assert min(report[f"{name}_distance"]["perceptual"] for name in ("own", "random", "own_by_codes", "random_by_codes")) > 0
    assert "| pink |" in markdown_table(report) and "By codes and mean colours alone" in markdown_table(report)


def test_the_command_writes_json_and_markdown(tmp_path, toy_folder, tiny):
    tiny.save_pretrained(tmp_path / "model")
    arguments = ["--data_dir", str(toy_folder), "--holdout", "4", "--model", str(tmp_path / "model"), "--train_pictures", "6"]
    assert main(["evaluate", "painter", *arguments, "--judge", str(tmp_path / "model"), "-o", str(tmp_path / "p.json")]) == 0
    assert json.loads((tmp_path / "p.json").read_text())["what"] == "painter" and (tmp_path / "p.md").read_text().startswith("| 4 pictures")
    assert main(["evaluate", "style", "--data_dir", str(toy_folder), "--model", str(tmp_path / "model")]) == 2
    assert main(["evaluate", "painter", *arguments, "--features", str(tmp_path / "none")]) == 2
