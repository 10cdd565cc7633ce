"""Label a collection of portraits with a trained segmenter (the article's pseudo-labels): a palette PNG a picture.

accelerate launch -m train.label_dataset --train_data_dir PICTURES --output_dir runs/masks \\
    --pretrained_model_name_or_path runs/segmenter/model

Each process of the launch takes its share of the pictures. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from accelerate import PartialState

from aniface.folders import list_pictures, segment_folder, write_failures
from aniface.labels import InputError
from aniface.models.segmenter import FaceSegmenter

from .common import keep_large_buffers, run_script
from .dataset import segment_with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_data_dir", required=True, help="folder of pictures")
    parser.add_argument("--pretrained_model_name_or_path", help="segmenter folder or hub id; by default the one that ships")
    parser.add_argument("--output_dir", required=True, help="where the masks go")
    args = parser.parse_args()
    keep_large_buffers()
    state = PartialState()
    folder, output = Path(args.train_data_dir), Path(args.output_dir)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of pictures")
    output.mkdir(parents=True, exist_ok=True)
    segment = segment_with(FaceSegmenter.from_pretrained(args.pretrained_model_name_or_path), state.device)
    mine = list_pictures(folder)[state.process_index :: state.num_processes]
    outcomes = []
    for outcome in segment_folder(segment, mine, output, resume=True):
        outcomes.append(outcome)
        if outcome.error:
            print(f"failed: {outcome.error}", flush=True)
        if len(outcomes) % 100 == 0:
            print(f"{len(outcomes)} of {len(mine)} labelled", flush=True)
    print(f"{len(outcomes)} of {len(mine)} labelled, {sum(o.error is not None for o in outcomes)} failed")
    if state.num_processes == 1:
        write_failures(outcomes, output)


if __name__ == "__main__":
    run_script(main)
