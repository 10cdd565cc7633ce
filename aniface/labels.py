"""The classes of a face map, its palette, and the `Mask` that carries them. Needs numpy and Pillow only.

Two label sets exist: the 7 classes everything here works with, and the 15 finer ones of the annotation scheme they were
reduced from (SteinsFu 2022, "Drawing Anime Face with Simple Segmentation Mask", section "Classes").
"""

from __future__ import annotations

import json
import os
import reprlib
import stat
import tempfile
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageSequence, UnidentifiedImageError

LABELS = ("background", "skin", "face", "eye", "mouth", "hair", "clothes")
NUM_LABELS = len(LABELS)
BACKGROUND, SKIN, FACE, EYE, MOUTH, HAIR, CLOTHES = range(NUM_LABELS)

# The 15 annotation classes and the class of LABELS that each belongs to. A hair accessory is clothes, so that recolouring
# the hair leaves ribbons alone.
LABELS_15 = {
    "background": "background",
    "body": "skin",
    "ear": "skin",
    "face": "face",
    "eyeball": "eye",
    "pupil": "eye",
    "eyelash": "eye",
    "nose": "face",
    "mouth": "mouth",
    "hair": "hair",
    "hair_accessory": "clothes",
    "eyebrow": "face",
    "glasses": "face",
    "clothes": "clothes",
    "hand": "skin",
}
ID_OF_LABEL = {name: LABELS.index(seven) for name, seven in LABELS_15.items()} | {name: index for index, name in enumerate(LABELS)}

# Styles are given per style region. Skin, face and mouth share one: a neck has the colour of its face.
STYLE_REGIONS = ("background", "skin", "eye", "hair", "clothes")
NUM_STYLE_REGIONS = len(STYLE_REGIONS)
STYLE_REGION_OF_LABEL = (0, 1, 1, 2, 1, 3, 4)

# Chosen so that no blend of two colours (an anti-aliased border) comes near a third one: the smallest such distance is 70 of 255.
PALETTE = np.array(
    [(184, 208, 250), (219, 138, 42), (251, 242, 131), (44, 124, 250), (236, 24, 120), (89, 33, 146), (45, 175, 110)],
    dtype=np.uint8,
)

HEX_PALETTE = tuple("#{:02x}{:02x}{:02x}".format(*colour) for colour in PALETTE.tolist())

MIN_SIDE, MAX_SIDE, MAX_PIXELS = 8, 16384, 64_000_000
CLEAR_DISTANCE = 40.0  # a colour this near to a palette colour (RGB distance) is that class; farther ones are mixed
MAX_MIXED = 0.35  # a picture with a larger share of mixed pixels is not a face map


MAX_LABELME_BYTES = 32_000_000  # parsed, the worst of JSON takes 25 times its size
MAX_DRAWING_TIME = 3e9  # nanoseconds that an annotation may take to draw, as `drawing_time` reckons
MOST_DETAIL = 4096  # side beyond which a mask is thinned before it is scaled
MAX_MESSAGE = 1000


def printable(text: str) -> str:
    """The text on one line: what would break it, hide in it or steer a terminal is escaped, the middle of a very long one left out."""
    if len(text) > MAX_MESSAGE:
        text = f"{text[: MAX_MESSAGE // 2]} ... {text[-MAX_MESSAGE // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class InputError(ValueError):
    """A user's mistake, told in one line: what was given, what is expected, what to do."""

    def __init__(self, message: str):
        super().__init__(printable(message))


def check_size(width: int, height: int, what: str) -> None:
    """Refuse pictures that are empty, tiny or absurdly large before their pixels are decoded."""
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{what} is {width}x{height} pixels; each side must have at least {MIN_SIDE}")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InputError(
            f"{what} is {width}x{height} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS // 10**6} million in all are "
            "accepted: scale it down first"
        )


def check_file(path: str | os.PathLike, expected: str) -> os.stat_result:
    """What the system tells of a file; raises InputError if there is none, or it is a folder, a device or out of reach."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; expected {expected}") from None
    except PermissionError:
        raise InputError(f"{path}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:  # a name too long or with a zero byte, a loop of links
        raise InputError(f"{path}: cannot be looked at ({getattr(error, 'strerror', None) or error}); expected {expected}") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder; expected {expected}")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is not a regular file; expected {expected}")
    return status


def check_target(path: str | os.PathLike) -> Path:
    """The path of a file to write; raises InputError if it is a folder or lies in none."""
    path = Path(path)
    for place in (path, path.parent):
        try:
            found = stat.S_ISDIR(os.stat(place).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            found = False
        except (OSError, ValueError) as error:
            raise InputError(f"{place}: cannot be written to ({getattr(error, 'strerror', None) or error}); choose another name") from None
        if place is path and found:
            raise InputError(f"{path}: is a folder; expected the name of a file to write")
    if not found:
        raise InputError(f"{path.parent}: no such folder; make it first or choose another place for {path.name}")
    return path


def open_picture(path: str | os.PathLike, what: str = "picture") -> Image.Image:
    """Open a picture file and decode its first frame.

    Raises:
        InputError: the file is missing, not a regular file, not a picture, damaged, or too large.
    """
    check_file(path, f"a {what} file (PNG, JPEG, WebP, ...)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata: what matters is whether the pixels can be read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            file = Image.open(path, formats=("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"))
            check_size(*file.size, what=f"{path}")
            image = next(ImageSequence.Iterator(file)).copy()
            image.load()
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{path}: has too many pixels; at most {MAX_PIXELS // 10**6} million are accepted") from None
    except PermissionError:
        raise InputError(f"{path}: may not be read; check its permissions") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: is not a picture that can be read; expected PNG, JPEG, WebP, BMP, GIF or TIFF") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, EOFError, ... on damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: is damaged or incomplete ({reason}); expected a whole {what}") from None
    return image


def write_atomically(path: str | os.PathLike, write) -> Path:
    """Call `write(temporary_path)` and rename the result to `path`, so that nobody ever sees half a file.

    Raises:
        InputError: the folder is missing or may not be written.
    """
    path = check_target(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".aniface-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose a folder you may write to") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def write_json(content: dict, path: str | os.PathLike) -> Path:
    """Write a JSON file, atomically."""
    text = json.dumps(content, indent=1)
    return write_atomically(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


class Mask:
    """A flat face map: one class id (0..6, see `LABELS`) a pixel.

    Args:
        ids: (H, W) array of integers (or integral floats) in 0..6.

    Attributes:
        ids: (H, W) uint8 array, read-only.

    Raises:
        InputError: wrong shape, an id outside 0..6, an empty or absurdly large array.
    """

    def __init__(self, ids):
        array = np.asarray(ids)
        if array.ndim != 2:
            raise InputError(f"a mask array has shape {array.shape}; expected (height, width) with one class id a pixel")
        check_size(array.shape[1], array.shape[0], what="the mask")
        if array.dtype == bool:
            raise InputError("a mask array holds booleans; expected integer class ids 0..6")
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise InputError(f"a mask array has dtype {array.dtype}; expected integer class ids 0..6")
        low, high = array.min(), array.max()
        if not (low >= 0 and high < NUM_LABELS):
            raise InputError(f"a mask array holds ids from {low} to {high}; expected 0..{NUM_LABELS - 1} ({', '.join(LABELS)})")
        integral = array.astype(np.uint8)
        if not np.array_equal(integral, array):
            raise InputError("a mask array holds fractions; expected integer class ids 0..6")
        integral.setflags(write=False)
        self.ids = integral

    def __eq__(self, other) -> bool:
        return isinstance(other, Mask) and np.array_equal(self.ids, other.ids)

    def __hash__(self) -> int:
        return hash((self.ids.shape, self.ids.tobytes()))

    def __repr__(self) -> str:
        shares = np.bincount(self.ids.ravel(), minlength=NUM_LABELS) / self.ids.size
        present = ", ".join(f"{name} {share:.0%}" for name, share in zip(LABELS, shares, strict=True) if share)
        return f"Mask({self.width}x{self.height}: {present})"

    @property
    def width(self) -> int:
        return self.ids.shape[1]

    @property
    def height(self) -> int:
        return self.ids.shape[0]

    @classmethod
    def of(cls, source) -> Mask:
        """A mask from any of the accepted forms.

        Args:
            source: a `Mask`; a path of a picture or labelme JSON file; a PIL picture (palette PNG whose values are the ids, or
                RGB(A)/palette picture in the colours of `PALETTE`, also anti-aliased or slightly off); an (H, W) integer array of ids,
                or an (H, W, 3 or 4) uint8 array of colours.
        """
        if isinstance(source, Mask):
            return source
        if isinstance(source, (str, os.PathLike)):
            return cls.open(source)
        if isinstance(source, Image.Image):
            check_size(*source.size, what="the mask picture")
            return decode_picture(source)
        array = np.asarray(source)
        if array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype == np.uint8:
            check_size(array.shape[1], array.shape[0], what="the mask picture")
            return decode_picture(Image.fromarray(array))
        return cls(array)

    @classmethod
    def open(cls, path: str | os.PathLike) -> Mask:
        """Read a mask picture or a labelme JSON file; errors name the file."""
        if Path(path).suffix.lower() == ".json":
            return mask_from_labelme(read_labelme(path))
        image = open_picture(path, what="mask")
        try:
            return decode_picture(image)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def to_image(self) -> Image.Image:
        """An indexed picture: its pixel values are the ids, its palette shows the colours."""
        image = Image.fromarray(self.ids)
        image.putpalette(PALETTE.tobytes())
        return image

    def to_rgb(self) -> np.ndarray:
        """(H, W, 3) uint8 picture in the palette's colours."""
        return PALETTE[self.ids]

    def save(self, path: str | os.PathLike) -> Path:
        """Write an indexed PNG, atomically."""
        image = self.to_image()
        return write_atomically(path, lambda temporary: image.save(temporary, format="PNG", optimize=True))

    def fit(self, size: int) -> Mask:
        """The mask as a `size` x `size` square: letterboxed with background if it is not square, then scaled by a vote of areas."""
        thinning = -(-max(self.ids.shape) // MOST_DETAIL)
        ids = self.ids[::thinning, ::thinning]
        height, width = ids.shape
        if width != height:
            side = max(width, height)
            square = np.zeros((side, side), np.uint8)
            top, left = (side - height) // 2, (side - width) // 2
            square[top : top + height, left : left + width] = ids
            ids = square
        return Mask(vote_resize(ids, size))


def vote_resize(ids: np.ndarray, size: int) -> np.ndarray:
    """Scale an (H, W) id map to (size, size): every class is scaled as a smooth picture and the strongest one wins a pixel.

    Borders stay smooth when enlarged. When reduced, eye and mouth count a little more, or thin lines of 5-7 px would vanish.
    """
    if ids.shape == (size, size):
        return ids
    shrinks = ids.shape[0] > size
    votes = np.zeros((NUM_LABELS, size, size), np.float32)
    for index in np.unique(ids):
        plane = Image.fromarray((ids == index).astype(np.float32))
        votes[index] = np.asarray(plane.resize((size, size), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR))
    if shrinks:
        votes[[EYE, MOUTH]] *= 1.25
    return votes.argmax(0).astype(np.uint8)


def converted(image: Image.Image, mode: str, what: str) -> Image.Image:
    """The picture in another of Pillow's modes; raises InputError if there is no way to it, or its pixels cannot be read."""
    try:
        return image.convert(mode)
    except Exception as error:  # Pillow raises ValueError, OSError, TypeError, ... by what is wrong
        raise InputError(f"{what} is damaged or has {image.mode} colours that cannot be read ({error}); expected an RGB picture") from None


def strips(image: Image.Image, pixels: int = 2**17) -> Iterator[tuple[int, Image.Image]]:
    """(first row, strip) of the picture cut into strips of some `pixels`, so that work on large ones needs little memory beside them."""
    rows = max(1, pixels // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def nearest_colours(rgba: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 4) uint8 -> (H, W) ids of the nearest palette colours and whether they are near; transparent pixels are background."""
    red, green, blue = (rgba[..., channel].astype(np.int32) for channel in range(3))
    nearest = np.zeros(rgba.shape[:2], np.uint8)
    least = np.full(rgba.shape[:2], 3 * 256**2, np.int32)
    for index, (r, g, b) in enumerate(PALETTE.tolist()):
        distance = (red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2
        nearest[distance < least] = index
        np.minimum(least, distance, out=least)
    transparent = rgba[..., 3] < 128
    nearest[transparent] = BACKGROUND
    return nearest, (least <= CLEAR_DISTANCE**2) | transparent


def decode_picture(image: Image.Image) -> Mask:
    """The mask that a picture shows (first frame).

    An indexed picture with our palette, and a grey one with no value above 6, hold ids. In any other picture each pixel takes the
    nearest palette colour; transparent pixels (alpha below one half) are background; pixels far from every colour, as on
    anti-aliased borders, take the majority of the clear pixels around them.

    Raises:
        InputError: an id above 6, or a picture that is no face map.
    """
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        if len(palette) >= NUM_LABELS and np.array_equal(palette[:NUM_LABELS], PALETTE) and "transparency" not in image.info:
            return Mask(np.asarray(image))
    if image.mode in ("1", "L", "I", "I;16", "I;16B", "I;16L", "F", "LA"):
        grey = np.asarray(image.getchannel(0) if image.mode == "LA" else image)
        if grey.dtype != bool and grey.max() < NUM_LABELS:
            return Mask(grey)
        raise InputError(
            f"the mask is a grey picture with values up to {grey.max()}; expected class ids 0..{NUM_LABELS - 1}, or a picture in the "
            "palette's 7 colours"
        )
    nearest = np.empty((image.height, image.width), np.uint8)
    clear = np.empty(nearest.shape, bool)
    for top, strip in strips(image):
        part = slice(top, top + strip.height)
        nearest[part], clear[part] = nearest_colours(np.asarray(converted(strip, "RGBA", "the mask picture")))
    mixed = 1 - clear.mean()
    if mixed > MAX_MIXED:
        raise InputError(
            f"the picture does not look like a face map: {mixed:.0%} of its pixels are far from all of the palette's 7 colours "
            f"({', '.join(HEX_PALETTE)}); to get a mask from a portrait, segment it"
        )
    return Mask(fill_by_majority(nearest, clear))


def fill_by_majority(ids: np.ndarray, clear: np.ndarray, rounds: int = 4) -> np.ndarray:
    """Give each pixel outside `clear` the class that most clear pixels of its 3x3 surroundings have, growing inwards.

    What is still unclear after `rounds` keeps its own nearest class.
    """
    ids, clear = np.pad(ids, 1), np.pad(clear, 1)
    flat_ids, flat_clear = ids.reshape(-1), clear.reshape(-1)
    around = [dy * ids.shape[1] + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    for _ in range(rounds):
        edge = clear.copy()
        for axis in (0, 1):
            beside = edge.swapaxes(0, axis)
            beside[1:-1] = beside[:-2] | beside[1:-1] | beside[2:]
        edge &= ~clear
        edge[[0, -1]] = edge[:, [0, -1]] = False
        places = np.flatnonzero(edge)
        if not len(places):
            break
        chosen = np.empty(len(places), np.uint8)
        for start in range(0, len(places), 2**18):  # at a time: little memory for large pictures
            some = places[start : start + 2**18]
            votes = np.zeros((len(some), NUM_LABELS), np.uint8)
            for step in around:
                votes[np.arange(len(some)), flat_ids[some + step]] += flat_clear[some + step]
            chosen[start : start + 2**18] = votes.argmax(1)
        flat_ids[places], flat_clear[places] = chosen, True
    return ids[1:-1, 1:-1].copy()


# --- labelme ---------------------------------------------------------------------------------------------------------


def read_labelme(path: str | os.PathLike) -> dict:
    """Read a labelme JSON file and check it; errors name the file.

    Raises:
        InputError: missing, too large, no JSON, or not labelme's structure.
    """
    if check_file(path, "a labelme JSON file").st_size > MAX_LABELME_BYTES:
        limit = f"{MAX_LABELME_BYTES // 10**6} MB"
        raise InputError(f"{path}: has more than {limit}; expected a labelme JSON file: save it without its picture (imageData)")
    try:
        annotation = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({str(error).splitlines()[0]}); expected a labelme file") from None
    try:
        return check_labelme(annotation)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_labelme(annotation) -> dict:
    """Return the annotation if it can be rasterised; raise InputError with one clear line if not."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("shapes"), list):
        raise InputError('has no "shapes" list; expected labelme\'s JSON with polygons')
    width, height = annotation.get("imageWidth"), annotation.get("imageHeight")
    if not (isinstance(width, int) and isinstance(height, int)):
        raise InputError('"imageWidth" and "imageHeight" must be whole numbers')
    check_size(width, height, what="the annotated picture")
    if not annotation["shapes"]:
        raise InputError("has no polygons; annotate at least one region in labelme")
    time = 0.0
    for number, shape in enumerate(annotation["shapes"], start=1):
        if not isinstance(shape, dict) or not isinstance(shape.get("points"), list):
            raise InputError(f"shape {number} has no points; expected a polygon")
        label = shape.get("label")
        if not isinstance(label, str) or label not in ID_OF_LABEL:
            raise InputError(f"shape {number} has the unknown label {reprlib.repr(label)}; expected one of {', '.join(ID_OF_LABEL)}")
        if shape.get("shape_type", "polygon") != "polygon":
            raise InputError(f"shape {number} is a {reprlib.repr(shape['shape_type'])}; only polygons are supported")
        points = shape["points"]
        if len(points) < 3:
            raise InputError(f"shape {number} ({label}) has {len(points)} points; a polygon needs at least 3")
        for point in points:
            good = isinstance(point, list) and len(point) == 2
            if not good or not all(type(v) in (int, float) and abs(v) <= 4 * MAX_SIDE for v in point):
                raise InputError(f"shape {number} ({label}) has the point {reprlib.repr(point)}; expected [x, y] in pixels")
        time += drawing_time(points, width, height)
    if time > MAX_DRAWING_TIME:
        raise InputError("has polygons that would take too long to draw; annotate a smaller picture, or with fewer points")
    return annotation


def drawing_time(points: list, width: int, height: int) -> float:
    """About how many nanoseconds Pillow takes to draw a polygon: by its sides' crossings with rows, its points a row, and its area."""
    x, y = zip(*points, strict=True)
    columns, rows = (max(0, min(max(v), side) - max(min(v), 0) + 1) for v, side in ((x, width), (y, height)))
    crossings = sum(abs(a - b) for a, b in pairwise((*y, y[0])))
    return 10_000 + 150 * crossings + rows * len(points) + rows * columns / 8


def mask_from_labelme(annotation: dict) -> Mask:
    """Rasterise labelme polygons in drawing order: later ones lie over earlier ones; unpainted pixels are background."""
    return mask_from_drawn(draw_labelme(annotation))


def draw_labelme(annotation: dict) -> np.ndarray:
    """(H, W) uint8: which label each pixel's topmost polygon has, as its number in `ID_OF_LABEL` counted from 1; 0 where there is none."""
    check_labelme(annotation)
    image = Image.new("L", (annotation["imageWidth"], annotation["imageHeight"]))
    draw = ImageDraw.Draw(image)
    numbers = {label: number for number, label in enumerate(ID_OF_LABEL, start=1)}
    for shape in annotation["shapes"]:
        number = numbers[shape["label"]]
        draw.polygon([tuple(point) for point in shape["points"]], fill=number, outline=number)
    return np.asarray(image)


def mask_from_drawn(drawn: np.ndarray) -> Mask:
    """The mask of what `draw_labelme` gives."""
    return Mask(np.array([BACKGROUND, *ID_OF_LABEL.values()], np.uint8)[drawn])


def mask_to_labelme(mask: Mask, image_path: str = "") -> dict:
    """The mask as a labelme annotation, one polygon a region; `mask_from_labelme` gives the same mask back exactly.

    Regions are drawn from the largest outline to the smallest: a region that lies in a hole of another has the smaller outline, so
    it comes later and lies on top.
    """
    outlines: list[tuple[float, int, int, list[tuple[int, int]]]] = []
    for label, start in region_starts(mask.ids):
        outline = trace_outline(mask.ids, start)
        outlines.append((polygon_area(outline), len(outlines), label, outline))
    outlines.sort(key=lambda item: (-item[0], item[1]))
    shapes: list[dict[str, Any]] = [
        {
            "label": LABELS[label],
            "points": [[float(x), float(y)] for x, y in outline],
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
        }
        for _, _, label, outline in outlines
    ]
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": mask.height,
        "imageWidth": mask.width,
    }


def regions(ids: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the 4-connected regions of equal ids: ((H, W) int32 region numbers from 0, count), in reading order.

    Run-length union-find: the runs of each row are joined to the equal runs that they touch in the row above.
    """
    height, width = ids.shape
    starts_run = np.ones((height, width), bool)
    starts_run[:, 1:] = ids[:, 1:] != ids[:, :-1]
    run_of = np.cumsum(starts_run.ravel()).reshape(height, width) - 1
    parent = np.arange(run_of[-1, -1] + 1)
    same = ids[1:] == ids[:-1]
    pairs = np.stack(np.divmod(np.unique(run_of[:-1][same] * len(parent) + run_of[1:][same]), len(parent)), 1)
    parent_of = parent.tolist()

    def root(run: int) -> int:
        while parent_of[run] != run:
            parent_of[run] = parent_of[parent_of[run]]
            run = parent_of[run]
        return run

    for upper, lower in pairs.tolist():
        a, b = root(upper), root(lower)
        if a != b:
            parent_of[max(a, b)] = min(a, b)
    roots = np.array([root(run) for run in range(len(parent_of))])
    _, number = np.unique(roots, return_inverse=True)
    return number[run_of].astype(np.int32), int(number.max()) + 1


def region_starts(ids: np.ndarray) -> list[tuple[int, tuple[int, int]]]:
    """For each 4-connected region its class id and its first pixel (row, column) in reading order."""
    numbers, _ = regions(ids)
    _, first = np.unique(numbers.ravel(), return_index=True)
    return [(int(ids.flat[index]), divmod(int(index), ids.shape[1])) for index in first]


def trace_outline(ids: np.ndarray, start: tuple[int, int]) -> list[tuple[int, int]]:
    """The outer border of the region whose first pixel (in reading order) is `start`: corner points (x, y) at pixel centres.

    Walks along border pixels with 4-neighbour steps, keeping the outside to the left (Moore tracing with the square neighbourhood).
    """
    height, width = ids.shape
    label = ids[start]
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))  # right, down, left, up in (row, column)

    def inside(row: int, column: int) -> bool:
        return 0 <= row < height and 0 <= column < width and ids[row, column] == label

    row, column = start
    heading, path, seen = 0, [], set()
    while True:
        for turn in (-1, 0, 1, 2):  # left first: the outside stays to the left
            direction = (heading + turn) % 4
            dy, dx = steps[direction]
            if inside(row + dy, column + dx):
                break
        else:
            return [(column, row)] * 3  # a single pixel
        if (row, column, direction) in seen:
            break
        seen.add((row, column, direction))
        path.append((column, row, direction))
        row, column, heading = row + dy, column + dx, direction
    corners = [(x, y) for (x, y, d), (_, _, before) in zip(path, path[-1:] + path[:-1], strict=True) if d != before]
    while len(corners) < 3:  # a straight line, there and back
        corners.append(corners[-1])
    return corners


def polygon_area(points: list[tuple[int, int]]) -> float:
    """Area that a polygon's fill covers, in pixels: Pick's theorem for a polygon through pixel centres, border pixels included."""
    x, y = np.array(points, float).T
    twice = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
    border = np.maximum(abs(x - np.roll(x, -1)), abs(y - np.roll(y, -1))).sum()
    return (twice + border) / 2 + 1
