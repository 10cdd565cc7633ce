"""Label a collection of portraits with a trained segmenter (the article's pseudo-labels): a palette PNG a picture.

accelerate launch -m train.label_dataset --train_data_dir PICTURES --output_dir runs/masks \\
    --pretrained_model_name_or_path runs/segmenter/model

Does what `aniface segment` does, by all processes of the launch: each takes its share of the pictures, and one list tells what failed, one
how sure the segmenter is of each mask. Run again, it goes on where it stopped. Machines must share the output folder. On CPUs each process
works on one thread, so that the masks do not depend on how many there are: start one a core.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

import torch

from aniface.folders import list_pictures
from aniface.labelling import label_pictures
from aniface.labels import InputError
from aniface.memory import keep_freed_memory

from .common import join_processes, run_script
from .dataset import segment_with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_data_dir", required=True, help="folder of pictures")
    parser.add_argument("--pretrained_model_name_or_path", help="segmenter folder or hub id; by default the one that ships")
    parser.add_argument("--output_dir", required=True, help="where the masks go")
    parser.add_argument("--crop", action="store_true", help="find the face in pictures that show more than a portrait; label its crop")
    parser.add_argument("--labelme", action="store_true", help="also write NAME.json, to correct masks in labelme")
    args = parser.parse_args()
    keep_freed_memory(everything=True)
    torch.set_num_threads(1)  # the last bits of a sum depend on it, and with them now and then a pixel on a border
    state = join_processes(timeout=timedelta(days=30))  # processes wait for the slowest one
    folder, output = Path(args.train_data_dir), Path(args.output_dir)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of pictures")
    output.mkdir(parents=True, exist_ok=True)
    if output.samefile(folder):
        raise InputError(f"{output}: holds the pictures themselves; choose another folder for their masks")
    pictures = list_pictures(folder)
    segment = segment_with(args.pretrained_model_name_or_path, state.device, args.crop)
    share = {"process": state.process_index, "num_processes": state.num_processes}
    mine = len(pictures[state.process_index :: state.num_processes])
    done = failed = 0
    for outcome in label_pictures(
        segment, pictures, output, resume=True, labelme=args.labelme, wait_for_everyone=state.wait_for_everyone, **share
    ):
        done += 1
        if outcome.error:
            failed += 1
            print(f"failed: {outcome.error}", flush=True)
        elif outcome.note:
            print(f"{outcome.picture.name}: {outcome.note}", flush=True)
        if done % 100 == 0:
            print(f"{done} of {mine} labelled", flush=True)
    print(f"{done - failed} of {mine} labelled, {failed} failed", flush=True)
    state.destroy_process_group()


if __name__ == "__main__":
    run_script(main)
