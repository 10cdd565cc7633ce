"""Measured results as the Markdown of the model cards."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev

from .labels import write_atomically, write_json


def write_report(report: dict, path: Path) -> None:
    """Write a report as JSON, and its table as Markdown beside it, NAME.md."""
    table = markdown_table(report)
    write_json(report, path)
    write_atomically(path.with_suffix(".md"), lambda temporary: Path(temporary).write_text(table, encoding="utf-8"))


def markdown_table(report: dict) -> str:
    """A report as Markdown."""
    tables = {
        "segmenter": segmenter_table,
        "segmenters": segmenters_table,
        "divisions": divisions_table,
        "painter": painter_table,
        "rivals": painters_table,
        "losses": painters_table,
        "style": style_table,
        "masks": masks_table,
        "latency": latency_table,
    }
    return tables[report["what"]](report)


def score_rows(scores: dict[str, dict], title: str) -> list[str]:
    """Rows of equal keys as a Markdown table."""
    columns = list(next(iter(scores.values())))
    lines = [f"| {title} | " + " | ".join(column.replace("_", " ") for column in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in scores.items():
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(number(row[column]) for column in columns) + " |")
    return lines


def number(value: float) -> str:
    """Shares with three digits, larger figures with one, counts with none."""
    return str(value) if isinstance(value, int) else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def segmenter_table(report: dict) -> str:
    specks, blockiness, whole = report["specks"], report["blockiness"], report["scores"]["miou"]
    lines = score_rows({"segmenter": report["scores"]}, f"{report['pictures']} pictures, {report['resolution']} px")
    lines += [
        "",
        f"Specks (pieces of less than 64 pixels) a picture: {specks['segmented']:.1f}, annotated {specks['annotated']:.1f}. Blockiness of "
        f"the borders (1 smooth, 4 stairs of four pixels): {blockiness['segmented']:.2f}, annotated {blockiness['annotated']:.2f}.",
        "",
    ]
    changes = {name: {"mIoU": miou, "change": miou - whole} for name, miou in report["disturbed"].items()}
    return "\n".join([*lines, *score_rows(changes, "disturbed pictures"), "", speed_line(report)]) + "\n"


def segmenters_table(report: dict) -> str:
    lines = [
        f"Each trained for {report['minutes']:g} minutes on {report['machine']} and measured on {report['pictures']} held-out portraits; "
        f"the time is that of a whole segmentation on {threads(report['threads'])} of a CPU.",
        "",
    ]
    rows = {
        name: {
            "annotations": run["annotations"],
            "thousand pictures": run["thousand_pictures"],
            **{key: run["scores"][key] for key in ("miou", "eye", "mouth", "hair", "boundary_f1")},
            "specks": run["specks"]["segmented"],
            "blockiness": run["blockiness"]["segmented"],
            "ms": run["milliseconds"],
        }
        for name, run in report["runs"].items()
    }
    return "\n".join([*lines, *score_rows(rows, "segmenter")]) + "\n"


def divisions_table(report: dict) -> str:
    """Scores of one recipe on several divisions, their mean and, with more than one, their standard deviation."""
    runs = report["runs"]
    columns = {key: [run[key] for run in runs.values()] for key in next(iter(runs.values()))}
    rows = {f"seed {division}": run for division, run in runs.items()} | {"mean": {key: mean(each) for key, each in columns.items()}}
    if len(runs) > 1:
        rows["standard deviation"] = {key: stdev(each) for key, each in columns.items()}
    return "\n".join(score_rows(rows, f"{report['pictures']} pictures held out, drawn by")) + "\n"


def painter_table(report: dict) -> str:
    lines = score_rows(report["scores"], f"{report['pictures']} pictures, {report['resolution']} px")
    lines += ["", f"Judge: {report['judge']}.", ""]
    lines += score_rows(report["distances"], f"distance to the real pictures in features of {report['features']}")
    noise, tints, nearest = report["hair_noise"], report["eye_tint_difference"], report.get("nearest_training_portrait")
    repeated = report["repeated_strokes"]
    lines += [
        "",
        f"Hair noise (RMS of the Laplacian of the luma inside hair): {noise['no_reference']:.1f} painted without a reference, "
        f"{noise['own_reference']:.1f} with the own one, {noise['real']:.1f} real.",
        f"The tints of a face's two eyes are {tints['no_reference']:.2f} apart in the a*b* plane without a reference, "
        f"{tints['own_reference']:.2f} with the own one, {tints['real']:.2f} in real portraits.",
        f"Strokes on the clothes below the neck correlate by {repeated['no_reference']:.3f} between portraits painted without a reference, "
        f"by {repeated['own_reference']:.3f} with the own one, by {repeated['real']:.3f} between real ones.",
        f"Two styles of one mask differ by {report['diversity']:.1f} in those features, two real portraits by "
        f"{report['diversity_of_real_pictures']:.1f}.",
    ]
    if nearest:
        lines.append(
            f"Mean distance to the nearest training portrait: {nearest['no_reference']:.1f} painted, {nearest['real']:.1f} real held-out."
        )
    return "\n".join([*lines, "", speed_line(report)]) + "\n"


def painters_table(report: dict) -> str:
    """Painters that were trained for the same time: rivals by name, or ours by the loss that was left out."""
    lines = [
        f"Each trained for {report['minutes']:g} minutes on {report['machine']} at "
        f"{report['resolution']} px and measured on {report['pictures']} held-out masks; distances in features of {report['features']}.",
        "",
    ]
    hidden = {"minutes", "miou_of_real_pictures"}
    rows = {name: {key: value for key, value in run.items() if key not in hidden} for name, run in report["runs"].items()}
    return "\n".join([*lines, *score_rows(rows, "loss left out" if report["what"] == "losses" else "painter")]) + "\n"


def style_table(report: dict) -> str:
    hair, rest = report["hair"], report["rest_of_picture"]
    smooth, latent = report["interpolation"], report["latent_space"]
    own, other, own_codes, other_codes = (report[f"{name}_distance"] for name in ("own", "random", "own_by_codes", "random_by_codes"))
    correlations = ", ".join(f"{region} {value:.2f}" for region, value in report["reference_correlation"].items())
    lines = [f"| hair asked to be | named so | median CIEDE2000 ({hair['masks']} masks) |", "|---|---|---|"]
    lines += [f"| {name} | {row['named_so']:.0%} | {row['median_ciede2000']:.1f} |" for name, row in hair["colours"].items()]
    lines += [
        "",
        f"All names together: named so in {hair['named_so']:.1%}, median CIEDE2000 {hair['median_ciede2000']:.1f}; random #rrggbb: median "
        f"{hair['random_median_ciede2000']:.1f}.",
        f"Outside the hair: mean CIEDE2000 {rest['mean_ciede2000']:.2f} between before and after; segmented again, the two agree to a mIoU "
        f"of {rest['miou']:.3f}.",
        f"The measured colour moves monotonically with strength in {report['monotonic']:.0%} of the cases.",
        f"Correlation of a region's colour with the reference's over {report['pairs']} random pairs: {correlations}.",
        f"From the true picture, painted in its own style and in another's: mean CIEDE2000 of the pixels {own['ciede2000']:.1f} and "
        f"{other['ciede2000']:.1f}, a factor of {other['ciede2000'] / own['ciede2000']:.2f}; perceptual distance ({report['features']}) "
        f"{own['perceptual']:.3f} and {other['perceptual']:.3f}, a factor of {other['perceptual'] / own['perceptual']:.2f}. By codes and "
        f"mean colours alone, without details: {own_codes['perceptual']:.3f} and {other_codes['perceptual']:.3f}, a factor of "
        f"{other_codes['perceptual'] / own_codes['perceptual']:.2f}.",
        f"Eight steps from style to style: the greatest step is {smooth['mean_greatest']:.2f} times the mean one on average, "
        f"{smooth['greatest']:.2f} at worst.",
        f"A linear probe on the hair's code names its colour in {latent['probe_accuracy']:.1%} of held-out portraits; KL divergence "
        f"{latent['divergence']:.1f} nats a region; kernel distance to real pictures {latent['kernel_random']:.3f} with random codes, "
        f"{latent['kernel_encoded']:.3f} with encoded ones of other portraits.",
    ]
    return "\n".join(lines) + "\n"


def masks_table(report: dict) -> str:
    lines = score_rows(report["valid"], f"share of {report['masks']} random masks that keep the rule")
    lines += ["", f"Wasserstein distances to {report['train_masks']} training masks; half of them from the other half, for comparison:", ""]
    rows = {
        f"{figure}: {name}": row
        for figure in ("area", "row", "column", "pieces")
        for name, row in ((name, report["wasserstein"][name][figure]) for name in report["wasserstein"])
    }
    lines += score_rows(rows, "area, centroid (shares of the side), count")
    lines += ["", *score_rows(report["nearest_training_iou"], "mIoU with the nearest training mask")]
    done, painted = report["completed"], report["painted"]
    varied = ", ".join(f"{value:.2f} at {amount}" for amount, value in report["varied_miou"].items())
    finished = {name: [f"{row[key]:.0%}" for key in ("kept", "eyes_and_mouth", "valid")] for name, row in done.items()}
    gaps, whole = finished["gaps"], finished["whole face"]
    lines += [
        "",
        f"{report['different']} of {report['masks']} random masks differ from each other.",
        f"mIoU of a real mask and its variation, by amount: {varied}.",
        f"Hair and face of real masks, completed: every drawn pixel stays in {gaps[0]}, eyes and a mouth are there in {gaps[1]}, all rules "
        f"are kept in {gaps[2]}; where the face is drawn without gaps, {whole[0]} (but for what lies on the face), {whole[1]}, {whole[2]}.",
        f"Kernel distance of pictures painted from {painted['pictures']} random masks to training portraits: {painted['random']:.3f}; from "
        f"held-out real masks: {painted['real']:.3f}; ratio {painted['ratio']:.2f} ({painted['features']}).",
    ]
    return "\n".join([*lines, "", speed_line(report)]) + "\n"


def latency_table(report: dict) -> str:
    columns = list(report["threads"])
    lines = ["| median ms | " + " | ".join(threads(int(c)) for c in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for part in report["threads"][columns[0]]:
        values = [report["threads"][c][part] for c in columns]
        cells = [f"{v['median']:.0f}" if isinstance(v, dict) else f"{v:.0f} x" for v in values]
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Peak memory of a whole `aniface paint` process: {report['paint_peak_mb']:.0f} MB."]) + "\n"


def speed_line(report: dict) -> str:
    return f"Median time: {report['milliseconds']:.0f} ms on {threads(report['threads'])}."


def threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"
