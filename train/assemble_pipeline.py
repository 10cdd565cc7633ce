"""Put trained networks together into a pipeline folder with fp16 weights, ready to ship, load or push.

python -m train.assemble_pipeline --segmenter runs/segmenter/model --style_encoder runs/vae/style_encoder --hair_vectors runs/hair \\
    --painter runs/eyes/painter --detail_adapter runs/details/detail_adapter --mask_denoiser runs/mask_diffusion/mask_denoiser \\
    --output_dir aniface/weights/aniface-512
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch

from aniface.labels import InputError
from aniface.models.detail_adapter import DetailAdapter
from aniface.models.hair_colors import HairColors
from aniface.models.mask_denoiser import MaskDenoiser
from aniface.models.painter import FacePainter
from aniface.models.segmenter import FaceSegmenter
from aniface.models.style_encoder import StyleEncoder
from aniface.pipeline import AnifacePipeline
from aniface.random_masks import make_scheduler

from .common import run_script

PARTS = {
    "segmenter": FaceSegmenter,
    "style_encoder": StyleEncoder,
    "hair_vectors": HairColors,
    "painter": FacePainter,
    "detail_adapter": DetailAdapter,
    "mask_denoiser": MaskDenoiser,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in PARTS:
        parser.add_argument(f"--{name}", help="model folder or hub id; by default the one that ships")
    parser.add_argument("--output_dir", required=True)
    args = parser.parse_args()
    networks = {}
    for name, kind in PARTS.items():
        networks[name] = kind.from_pretrained(getattr(args, name))
    networks["mask_scheduler"] = make_scheduler()
    pipe = AnifacePipeline(**networks).to(dtype=torch.float16)
    output = Path(args.output_dir)
    if output.exists() and not (output / "model_index.json").exists():
        raise InputError(f"{output}: exists and is no pipeline folder; choose another --output_dir")
    output.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = output.with_name(output.name + ".new"), output.with_name(output.name + ".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    pipe.save_pretrained(fresh)
    for path in fresh.rglob("*.safetensors"):
        path.chmod(0o644)
    for path in fresh.glob("*/config.json"):  # where the parts lay on this machine is nobody's business
        settings = {key: value for key, value in json.loads(path.read_text()).items() if key != "_name_or_path"}
        path.write_text(json.dumps(settings, indent=2) + "\n")
    if output.exists():
        if (output / "README.md").exists():
            shutil.copy(output / "README.md", fresh)
        output.rename(old)
    fresh.rename(output)
    shutil.rmtree(old, ignore_errors=True)
    total = sum(path.stat().st_size for path in output.rglob("*.safetensors"))
    print(f"{output}: {total / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    run_script(main)
