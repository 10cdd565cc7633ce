"""Put trained networks together into a pipeline folder with fp16 weights, ready to ship, load or push.

python -m train.assemble_pipeline --segmenter runs/segmenter/model --style_encoder runs/vae/style_encoder --painter runs/painter/painter \\
    --output_dir aniface/weights/aniface-512
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import torch

from aniface.labels import InputError
from aniface.pipeline import AnifacePipeline
from aniface.models.painter import FacePainter
from aniface.models.segmenter import FaceSegmenter
from aniface.models.style_encoder import StyleEncoder

from .common import run_script

PARTS = {"segmenter": FaceSegmenter, "style_encoder": StyleEncoder, "painter": FacePainter}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in PARTS:
        parser.add_argument(f"--{name}", required=True, help="model folder or hub id")
    parser.add_argument("--output_dir", required=True)
    args = parser.parse_args()
    networks = {}
    for name, kind in PARTS.items():
        if not Path(getattr(args, name)).is_dir():
            raise InputError(f"--{name} {getattr(args, name)}: no such model folder")
        networks[name] = kind.from_pretrained(getattr(args, name), low_cpu_mem_usage=False)
    pipe = AnifacePipeline(**networks).to(dtype=torch.float16)
    output = Path(args.output_dir)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        pipe.save_pretrained(folder)
        if (output / "README.md").exists():
            shutil.copy(output / "README.md", folder)
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(folder, output)
    total = sum(path.stat().st_size for path in output.rglob("*.safetensors"))
    print(f"{output}: {total / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    run_script(main)
