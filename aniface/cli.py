"""The `aniface` command. Thin: every subcommand reads its arguments, calls the library, writes the result.

Exit codes: 0 done; 1 some pictures of a folder failed; 2 bad arguments or input, told in one line.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from .conversion import Report, convert, list_conversions
from .labels import InputError, Mask, check_target, open_picture, write_atomically


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = build_parser().parse_args(arguments)
    try:
        return args.run(args) or 0
    except InputError as error:
        print(f"aniface {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"aniface {args.command}: interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="aniface", description="Draw a flat 7-colour map of a face, get an anime portrait that follows it."
    )
    parser.add_argument("--version", action="version", version=f"aniface {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    paint = commands.add_parser("paint", help="paint a portrait of a mask")
    paint.add_argument("mask", help="mask picture (palette PNG, or a picture in the palette's colours) or labelme JSON")
    paint.add_argument("-o", "--output", required=True, help="picture to write; with -n, NAME-1.png, NAME-2.png, ...")
    paint.add_argument("--reference", action="append", help="portrait whose style is taken; given several times, they are blended")
    paint.add_argument("--style-strength", type=float, default=1.0, help="how much of that style, 0 to 1 (default 1)")
    paint.add_argument(
        "--region-reference", action="append", default=[], metavar="REGION=PICTURE", help="style of one region, e.g. hair=other.png"
    )
    paint.add_argument(
        "--region-color", action="append", default=[], metavar="REGION=#RRGGBB", help="mean colour of one region, e.g. clothes=#203060"
    )
    paint.add_argument("--hair-color", help="a colour name such as pink, or #rrggbb")
    paint.add_argument("--strength", type=float, default=1.0, help="of the hair colour, 0 to 1.5 (default 1)")
    paint.add_argument("-n", "--num-images", type=int, default=1, help="how many variants (default 1)")
    paint.add_argument("--seed", type=int, default=0, help="of the random style (default 0)")
    add_model_argument(paint)
    paint.set_defaults(run=run_paint)

    segment = commands.add_parser(
        "segment",
        help="get the mask of a picture, or of each one in a folder",
        description="Get the mask of a picture, or of each one in a folder. A picture that shows more than a portrait is cropped to the "
        "square around its face: its mask is that of the crop, which is saved beside it as NAME.crop.png. A folder gets a list of all "
        "masks (confidence.csv: confidence, share of each class, crop) and one of the pictures that failed (failed.txt).",
    )
    segment.add_argument("picture", help="a picture, or a folder of pictures")
    segment.add_argument("-o", "--output", required=True, help="mask PNG to write, or a folder for them")
    segment.add_argument("--resume", action="store_true", help="leave out pictures of a folder that have their mask already")
    segment.add_argument("--labelme", action="store_true", help="also write NAME.json, to correct the mask in labelme")
    segment.add_argument("--no-crop", dest="crop", action="store_false", help="segment every picture as it is, the whole of it")
    add_model_argument(segment)
    segment.set_defaults(run=run_segment)

    random_mask = commands.add_parser("random-mask", help="write random face maps to start from")
    random_mask.add_argument("-n", "--num-masks", type=int, default=1, help="how many (default 1)")
    random_mask.add_argument("--seed", type=int, default=0, help="of the first one; the others count up (default 0)")
    source = random_mask.add_mutually_exclusive_group()
    source.add_argument("--vary", metavar="MASK", help="draw variations of this mask")
    source.add_argument("--complete", metavar="MASK", help="complete what is drawn in this mask; its background counts as not drawn")
    random_mask.add_argument(
        "--amount", type=float, default=0.5, help="how far --vary goes: 0 the mask itself, 1 another face (default 0.5)"
    )
    random_mask.add_argument("-o", "--output", required=True, help="mask PNG to write; with -n, NAME-1.png, NAME-2.png, ...")
    add_model_argument(random_mask)
    random_mask.set_defaults(run=run_random_mask)

    animation = commands.add_parser("hair-animation", help="a portrait whose hair turns from colour to colour, in a loop")
    animation.add_argument("mask", help="mask picture or labelme JSON")
    animation.add_argument("-o", "--output", required=True, help="animation to write: .gif, .webp or .mp4")
    animation.add_argument("--reference", help="portrait whose style is taken")
    animation.add_argument("--colors", nargs="+", help="two or more names or #rrggbb (default: all names)")
    animation.add_argument("--frames-per-color", type=int, default=8, help="from one colour to the next (default 8)")
    animation.add_argument("--fps", type=float, default=12, help="frames a second, 1 to 60 (default 12)")
    animation.add_argument("--seed", type=int, default=0, help="of the random style (default 0)")
    add_model_argument(animation)
    animation.set_defaults(run=run_hair_animation)

    style_map = commands.add_parser("style-map", help="a map (t-SNE) of styles, each shown as a portrait painted in it")
    style_map.add_argument("-o", "--output", required=True, help="map to write: .png, or .html to zoom into")
    style_map.add_argument("--pictures", help="folder of portraits whose styles are shown (default: random styles)")
    style_map.add_argument("-n", "--num-styles", type=int, default=300, help="how many styles, at most (default 300)")
    style_map.add_argument("--region", default="hair", help="style region that is mapped, or all (default hair)")
    add_model_argument(style_map)
    style_map.set_defaults(run=run_style_map)

    convert = commands.add_parser("convert", help="labelme JSON to mask PNG, or a mask to labelme JSON, and tell what was mapped")
    convert.add_argument("format", choices=("labelme",))
    convert.add_argument("input", help="a .json file of labelme or a mask picture; or a folder of .json files or, without such, of masks")
    convert.add_argument("output", help="the .png or .json file to write; or a folder for them")
    convert.set_defaults(run=run_convert)

    evaluate = commands.add_parser("evaluate", help="measure a network on annotated pictures: the tables of the model card")
    evaluate.add_argument("network", choices=("segmenter", "painter", "style", "masks"))
    evaluate.add_argument("--data_dir", required=True, help="folder of pictures")
    evaluate.add_argument("--masks_dir", action="append", default=[], help="folder with NAME.json or NAME.png masks")
    evaluate.add_argument("--holdout", type=int, default=0, help="measure on these held-out annotated pictures, as drawn in training")
    evaluate.add_argument("--holdout_seed", type=int, default=0)
    evaluate.add_argument("--features", help="safetensors of an ImageNet MobileNetV2 to measure distances in (default: the segmenter's)")
    evaluate.add_argument("--judge", help="model folder or hub id whose segmenter judges painted pictures (default: the model's own)")
    evaluate.add_argument("--train_pictures", type=int, default=1000, help="so many of the other pictures stand for the training set")
    evaluate.add_argument("-n", "--num-masks", type=int, default=1000, help="so many random masks (default 1000)")
    evaluate.add_argument("-o", "--output", help="JSON file to write; a Markdown table goes beside it as NAME.md")
    add_model_argument(evaluate)
    evaluate.set_defaults(run=run_evaluate)

    app = commands.add_parser("app", help="start the studio in the browser")
    app.add_argument("--host", default="127.0.0.1")
    app.add_argument("--port", type=int, default=7860)
    add_model_argument(app)
    app.set_defaults(run=run_app)
    return parser


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="model folder or hub id (default: the weights inside the package)")


def load_pipeline(model: str | None):
    """The pipeline of `--model`."""
    # The libraries make a million objects that live to the end: collecting garbage among them costs a third of the start and of the exit.
    gc.disable()
    from .pipeline import AnifacePipeline

    try:
        return AnifacePipeline.from_pretrained(model)
    finally:
        gc.freeze()
        gc.enable()


def check_output(path: str) -> Path:
    """An output file's path, refused before any work is done if its folder cannot take it."""
    target = check_target(path)
    if not os.access(target.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise InputError(f"{target.parent}: may not be written; choose a folder you may write to")
    return target


def make_folder(path: str | Path) -> Path:
    """An output folder, made if it is not there, that files may be written into."""
    folder = Path(path)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder ({error.strerror})") from None
    check_output(str(folder / "file"))
    return folder


def run_paint(args) -> None:
    target = check_output(args.output)
    formats = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
    if target.suffix.lower() not in formats:
        raise InputError(f"{target}: ends in {target.suffix or 'nothing'}; expected {', '.join(formats)}")
    mask = Mask.open(args.mask)
    references = [open_picture(path, what="reference picture") for path in args.reference or ()]
    region_references = {
        region: open_picture(path, what=f"reference picture for {region}")
        for region, path in read_pairs(args.region_reference, "--region-reference").items()
    }
    region_colors = read_pairs(args.region_color, "--region-color")
    from .styles import check_region_colors, check_regions

    check_regions(region_references, "--region-reference")
    check_region_colors(region_colors)
    if args.hair_color:
        from .hair import parse_hair_color

        parse_hair_color(args.hair_color)
    pipe = load_pipeline(args.model)
    images = pipe(
        mask,
        reference=references or None,
        hair_color=args.hair_color,
        strength=args.strength,
        num_images=args.num_images,
        seed=args.seed,
        style_strength=args.style_strength,
        region_references=region_references,
        region_colors=region_colors,
    ).images
    for name, image in zip(numbered(target, len(images)), images, strict=True):
        write_atomically(name, lambda temporary, image=image: image.save(temporary, format=formats[target.suffix.lower()]))
        print(name)


def read_pairs(texts: list[str], flag: str) -> dict[str, str]:
    """REGION=VALUE arguments as a dictionary."""
    pairs = {}
    for text in texts:
        region, equals, value = text.partition("=")
        if not equals or not value:
            raise InputError(f"{flag} {text}: expected REGION=VALUE, such as hair=...")
        pairs[region] = value
    return pairs


def run_segment(args) -> int:
    source = Path(args.picture)
    if not source.is_dir():
        target = check_output(args.output)
        if target.suffix.lower() != ".png":
            raise InputError(f"{target}: ends in {target.suffix or 'nothing'}; expected .png")
        picture = open_picture(source)
        if target.exists() and target.samefile(source):
            raise InputError(f"{target}: is the picture itself; choose another name for its mask")
        segmenter = load_pipeline(args.model).segmenter
        from .labelling import save_segmentation
        from .segmentation import segment_picture

        found = segment_picture(segmenter, picture, args.crop)
        save_segmentation(found, target, source, args.labelme)
        print(*filter(None, (f"{source.name}: confidence {found.confidence:.3f}", found.note())), sep=", ", file=sys.stderr)
        print(target)
        return 0

    from tqdm import tqdm

    from .folders import list_pictures

    pictures = list_pictures(source)
    output = make_folder(args.output)
    if output.samefile(source):
        raise InputError(f"{output}: holds the pictures themselves; choose another folder for their masks")
    segmenter = load_pipeline(args.model).segmenter
    from .labelling import label_pictures
    from .segmentation import segment_picture

    failed = 0
    outcomes = label_pictures(lambda picture: segment_picture(segmenter, picture, args.crop), pictures, output, args.resume, args.labelme)
    progress = tqdm(outcomes, total=len(pictures), unit="picture", file=sys.stderr)
    for outcome in progress:
        failed += outcome.error is not None
        if outcome.error:
            progress.write(f"failed: {outcome.error}", file=sys.stderr)
        elif outcome.note:
            progress.write(f"{outcome.picture.name}: {outcome.note}", file=sys.stderr)
    print(f"{len(pictures) - failed} masks in {output}" + (f", {failed} failed: see {output / 'failed.txt'}" if failed else ""))
    return 1 if failed else 0


def run_random_mask(args) -> None:
    target = check_output(args.output)
    if target.suffix.lower() != ".png":
        raise InputError(f"{target}: ends in {target.suffix or 'nothing'}; expected .png")
    if not 1 <= args.num_masks <= 10_000:
        raise InputError(f"-n is {args.num_masks}; expected 1 to 10000")
    start = Mask.open(args.vary or args.complete) if args.vary or args.complete else None
    pipe = load_pipeline(args.model)
    for seed, name in enumerate(numbered(target, args.num_masks), start=args.seed):
        if args.vary:
            mask = pipe.vary_mask(start, args.amount, seed=seed)
        else:
            mask = pipe.complete_mask(start, seed=seed) if args.complete else pipe.random_mask(seed=seed)
        print(mask.save(name))


def run_hair_animation(args) -> None:
    target = check_output(args.output)
    from .animation import FORMATS, hair_animation, save_animation
    from .hair import parse_hair_color

    if target.suffix.lower() not in FORMATS:
        raise InputError(f"{target}: ends in {target.suffix or 'nothing'}; expected {', '.join(FORMATS)}")
    if not 1 <= args.fps <= 60:
        raise InputError(f"--fps is {args.fps:g}; expected 1 to 60")
    for color in args.colors or ():
        parse_hair_color(color)
    mask = Mask.open(args.mask)
    reference = open_picture(args.reference, what="reference picture") if args.reference else None
    from tqdm import tqdm

    frames = hair_animation(
        load_pipeline(args.model),
        mask,
        reference,
        args.colors,
        args.frames_per_color,
        args.seed,
        progress=lambda frames, total: tqdm(frames, total=total, unit="frame", file=sys.stderr),
    )
    print(save_animation(frames, target, args.fps))


def run_style_map(args) -> None:
    target = check_output(args.output)
    if target.suffix.lower() not in (".png", ".html"):
        raise InputError(f"{target}: ends in {target.suffix or 'nothing'}; expected .png or .html")
    if not 10 <= args.num_styles <= 5000:
        raise InputError(f"-n is {args.num_styles}; expected 10 to 5000")
    from tqdm import tqdm

    from .folders import list_pictures
    from .style_map import make_dots, save_map

    pictures, count = None, args.num_styles
    if args.pictures:
        if not Path(args.pictures).is_dir():
            raise InputError(f"{args.pictures}: no such folder; expected a folder of portraits")
        paths = list_pictures(Path(args.pictures))
        paths = paths[:: max(1, len(paths) // count)][:count]
        pictures, count = map(open_picture, paths), len(paths)
    dots = make_dots(load_pipeline(args.model), pictures, count, args.region)
    print(save_map(list(tqdm(dots, total=count, unit="style", file=sys.stderr)), target, f"{count} styles by their {args.region} code"))


def numbered(target: Path, count: int) -> list[Path]:
    """`target` alone, or NAME-1, NAME-2, ... for more than one file."""
    return [target] if count == 1 else [target.with_stem(f"{target.stem}-{number}") for number in range(1, count + 1)]


def run_convert(args) -> int:
    source = Path(args.input)
    if source.is_dir():
        output = Path(args.output)
        pairs = list_conversions(source, output)
        make_folder(output)
    else:
        pairs = [(source, check_output(args.output))]
    report, failed = Report(), 0
    for path, target in pairs:
        try:
            convert(path, target, report)
        except InputError as error:
            if not source.is_dir():
                raise
            failed += 1
            print(f"failed: {error}", file=sys.stderr)
    for line in report.lines():
        print(line, file=sys.stderr)
    made = "labelme files" if pairs[0][1].suffix == ".json" else "masks"
    print(f"{len(pairs) - failed} {made} in {output}" + (f", {failed} failed" if failed else "") if source.is_dir() else target)
    return 1 if failed else 0


def run_evaluate(args) -> None:
    target = check_output(args.output) if args.output else None
    from .folders import Item, find_items, split_items
    from .reports import markdown_table, write_report

    items = find_items(args.data_dir, args.masks_dir)
    others: list[Item] = []
    if args.holdout:
        others, items = split_items(items, args.holdout, args.holdout_seed)
        others = others[:: max(1, len(others) // max(1, args.train_pictures))]
    pipe = load_pipeline(args.model)
    report = measure(args, pipe, items, others)
    if target:
        write_report(report, target)
    print(markdown_table(report))


def measure(args, pipe, items: list, others: list) -> dict:
    """The report that `aniface evaluate` was asked for."""
    from .evaluation import evaluate_painter
    from .features import PictureFeatures

    if args.network == "segmenter":
        from .segmentation_evaluation import evaluate_segmenter

        return evaluate_segmenter(pipe, items)
    features = PictureFeatures.choose(pipe, args.features)
    if args.network == "painter":
        return evaluate_painter(pipe, items, features, load_pipeline(args.judge) if args.judge else None, others)
    if not others:
        raise InputError("--holdout is 0; expected some pictures to measure on and others that stand for the training set")
    if args.network == "masks":
        from .mask_evaluation import draw_masks, evaluate_masks

        return evaluate_masks(pipe, items, others, features, *draw_masks(pipe, range(args.num_masks)))
    from .style_evaluation import evaluate_style

    return evaluate_style(pipe, items, others, features)


def run_app(args) -> None:
    try:
        from .ui.studio import build_studio, launch_studio
    except ModuleNotFoundError as error:
        raise InputError(f"the studio needs {error.name}; install it with: pip install 'aniface[app]'") from None
    launch_studio(build_studio(load_pipeline(args.model)), host=args.host, port=args.port)


if __name__ == "__main__":
    raise SystemExit(main())
