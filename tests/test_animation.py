from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aniface import InputError
from aniface.animation import hair_animation, save_animation
from aniface.cli import main
from aniface.hair import HAIR_COLORS, ciede2000, measure_hair_color, srgb_to_lab


@pytest.fixture(scope="module")
def frames(bundled, toy_mask):
    return hair_animation(bundled, toy_mask, colors=["pink", "green"], frames_per_color=3)


def test_the_hair_passes_through_the_colours_and_comes_back(frames, toy_mask):
    labs = [measure_hair_color(np.asarray(frame), toy_mask.ids)[0] for frame in frames]
    assert len(frames) == 6
    for number, name in ((0, "pink"), (3, "green")):
        assert ciede2000(labs[number], srgb_to_lab(np.array(HAIR_COLORS[name]))) < 12
    steps = [ciede2000(a, b) for a, b in zip(labs, [*labs[1:], labs[0]], strict=True)]
    assert max(steps) < 0.8 * ciede2000(labs[0], labs[3])  # no jump, the last step back to the first included


@pytest.mark.parametrize("ending", [".gif", ".webp", ".mp4"])
def test_saving(frames, tmp_path, ending):
    path = save_animation(frames, tmp_path / f"hair{ending}")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending == ".mp4":
        import av

        with av.open(str(path)) as container:
            decoded = [frame.to_image() for frame in container.decode(video=0)]
    else:
        with Image.open(path) as image:
            assert image.info["loop"] == 0
            decoded = []
            for number in range(image.n_frames):
                image.seek(number)
                decoded.append(image.convert("RGB"))
    assert len(decoded) == 6 and decoded[0].size == (512, 512)
    assert np.abs(np.asarray(decoded[3]).astype(int) - np.asarray(frames[3])).mean() < 8


def test_bad_animations(tiny, toy_mask, tmp_path, capsys):
    with pytest.raises(InputError, match="an animation of 1 colours"):
        hair_animation(tiny, toy_mask, colors=["pink"])
    with pytest.raises(InputError, match="expected 1 to 600 frames"):
        hair_animation(tiny, toy_mask, frames_per_color=1000)
    with pytest.raises(InputError, match=r"ends in .avi; expected .gif"):
        save_animation([Image.new("RGB", (8, 8))], tmp_path / "x.avi")
    toy_mask.save(tmp_path / "m.png")
    assert main(["hair-animation", str(tmp_path / "m.png"), "-o", str(tmp_path / "x.avi")]) == 2
    assert main(["hair-animation", str(tmp_path / "m.png"), "-o", str(tmp_path / "x.gif"), "--colors", "pink", "beige"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_the_command_writes_an_animation(tmp_path, toy_mask):
    toy_mask.save(tmp_path / "m.png")
    arguments = ["--colors", "pink", "#2040c0", "--frames-per-color", "2"]
    assert main(["hair-animation", str(tmp_path / "m.png"), "-o", str(tmp_path / "x.webp"), *arguments]) == 0
    with Image.open(tmp_path / "x.webp") as image:
        assert image.n_frames == 4
