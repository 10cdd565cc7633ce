"""The painter against GauGAN as published, and against itself without each of its losses: trained for the same time on the same data.

python -m benchmarks.painters rivals --minutes 180 --train_data_dir PICTURES --masks_dir MASKS --features MOBILENET \\
    --work_dir runs/rivals -o model_cards/results/rivals.json
python -m benchmarks.painters losses --minutes 7 --pretrained PAINTER --train_data_dir PICTURES ...

`rivals` starts both from nothing at 256 px. `losses` starts from a painter, if one is given, at 128 px, and leaves out one term at a time;
"none" is the run that has them all. Every run is measured on held-out masks; its pictures are scaled to 512 px for that. What the output
file holds already is not trained again and a training that was stopped goes on, so the command can be called until it is done.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from aniface import AnifacePipeline, FacePainter
from aniface.features import PictureFeatures
from aniface.folders import find_items, split_items
from aniface.models.painter import CONFIGURATIONS
from aniface.reports import markdown_table, threads, write_report
from train.train_painter import WEIGHTS

from .campaign import score
from .training import GAUGAN_256

RESOLUTIONS = {"rivals": 256, "losses": 128}


def coarse_part(painter: FacePainter, size: int) -> FacePainter:
    """The painter without its head and the blocks finer than `size`."""
    levels = size.bit_length() - 3  # 8 px, 16 px, ... size
    settings = {"channels": painter.config.channels[:levels], "rgb_size": min(painter.config.rgb_size, size), "head_channels": 0}
    coarse = FacePainter(**{key: value for key, value in painter.config.items() if not key.startswith("_")} | settings)
    wanted = coarse.state_dict()
    coarse.load_state_dict({key: value for key, value in painter.state_dict().items() if key in wanted})
    return coarse


def plan(what: str, start: FacePainter) -> dict[str, tuple[FacePainter, list[str]]]:
    """The runs by name: the painter that each begins with, and flags of its own."""
    if what == "rivals":
        return {"gaugan": (FacePainter(**GAUGAN_256), []), "aniface": (start, [])}
    return {"none": (start, [])} | {name: (start, ["--loss_weight", f"{name}=0"]) for name in WEIGHTS}


def train(painter: FacePainter, flags: list[str], args, folder: Path) -> dict[str, float]:
    """Train one painter in `folder`, going on where it was; returns what was spent."""
    if not (folder / "start").exists():
        painter.save_pretrained(folder / "start")
    command = [sys.executable, "-m", "train.train_painter", "--train_data_dir", args.train_data_dir, "--output_dir", str(folder)]
    command += [part for masks in args.masks_dir for part in ("--masks_dir", masks)]
    command += ["--pretrained_model_name_or_path", str(folder / "start"), "--resolution", str(RESOLUTIONS[args.what])]
    command += ["--holdout", str(args.holdout), "--max_train_minutes", str(args.minutes), "--max_train_steps", "1000000"]
    command += ["--learning_rate", "2e-4", "--checkpointing_steps", "20", "--checkpoints_total_limit", "1", "--validation_steps", "1000000"]
    command += ["--train_batch_size", str(args.train_batch_size)]
    command += ["--logging_steps", "5", "--mixed_precision", args.mixed_precision, "--seed", str(args.seed)]
    command += ["--resume_from_checkpoint", "latest", *flags]
    command += [part for name in ("segmenter", "style_encoder") if getattr(args, name) for part in (f"--{name}", getattr(args, name))]
    subprocess.run(command, check=True, stdout=sys.stderr)
    last = max((path for path in folder.glob("checkpoint-*")), key=lambda path: int(path.name.split("-")[1]))
    spent = json.loads((last / "run.json").read_text())
    return {"minutes": spent["minutes"], "thousand_pictures": spent["step"] * args.train_batch_size / 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(RESOLUTIONS))
    parser.add_argument("--train_data_dir", required=True)
    parser.add_argument("--masks_dir", action="append", default=[])
    parser.add_argument("--pretrained", help="painter that ours starts from; by default a new one")
    parser.add_argument("--segmenter", help="that supervises; by default the one that ships")
    parser.add_argument("--style_encoder", help="by default the one that ships")
    parser.add_argument("--features", help="safetensors of an ImageNet MobileNetV2; without, features are those of the shipped segmenter")
    parser.add_argument("--holdout", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=180, help="of each training")
    parser.add_argument("--train_batch_size", type=int, default=8, help="of each; GauGAN needs 17 GB for 8 pictures, 10 GB for 4")
    parser.add_argument("--mixed_precision", default="no")
    parser.add_argument("--machine", help="what they train on, for the table, such as 'an H100'; by default the threads of this CPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="names of runs, such as gaugan; all by default")
    parser.add_argument("--work_dir", required=True, help="where the trainings and their checkpoints go")
    parser.add_argument("-o", "--output", required=True, help="JSON file; a Markdown table goes beside it")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    held = split_items(find_items(args.train_data_dir, args.masks_dir), args.holdout)[1]
    start = FacePainter.from_pretrained(args.pretrained) if args.pretrained else FacePainter(**CONFIGURATIONS["aniface-512"])
    output, resolution = Path(args.output), RESOLUTIONS[args.what]
    report = {"what": args.what, "pictures": len(held), "resolution": resolution, "minutes": args.minutes, "runs": {}}
    report["machine"] = args.machine or threads(torch.get_num_threads())
    if output.exists():
        report = json.loads(output.read_text(encoding="utf-8"))
    for name, (painter, flags) in plan(args.what, coarse_part(start, resolution)).items():
        if name in report["runs"] or (args.only and name not in args.only):
            continue
        folder = Path(args.work_dir, name)
        spent = train(painter, flags, args, folder)
        pipe = AnifacePipeline.from_pretrained(painter=FacePainter.from_pretrained(folder / "painter"), detail_adapter=None)
        features = PictureFeatures.choose(pipe, args.features)
        report["features"] = features.name
        report["runs"][name] = spent | score(pipe, held, features)
        write_report(report, output)
        print(markdown_table(report), flush=True)


if __name__ == "__main__":
    main()
