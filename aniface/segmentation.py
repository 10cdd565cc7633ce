"""One picture to its mask: the whole picture as it is, or the face found in it and cropped as portraits are."""

from __future__ import annotations

import copy
from itertools import chain
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .face_crop import find_portrait, is_portrait
from .labels import Mask
from .models.segmenter import FaceSegmenter
from .processing import fit_picture, letterbox_window, pixels_from_uint8, resized_argmax, to_rgb_picture


class Segmentation(NamedTuple):
    """What the face parser makes of a picture.

    mask: of the picture's size, or of its crop's.
    confidence: mean over the mask of the probability that the parser gives to each pixel's likeliest class, from 1/7 to 1, at the
        parser's own resolution.
    picture: the RGB picture that the mask belongs to: the given one, or its crop.
    crop: left, top, right, bottom of the crop in the given picture; None if that was not cropped.
    has_face: False if a face was looked for and none was found.
    """

    mask: Mask
    confidence: float
    picture: Image.Image
    crop: tuple[int, int, int, int] | None = None
    has_face: bool = True

    def note(self) -> str | None:
        """A line about what the user might not expect."""
        if not self.has_face:
            return "no face found, segmented as it is"
        if self.crop is None:
            return None
        left, top, right, bottom = self.crop
        return f"face found, cropped to {right - left}x{bottom - top} at ({left}, {top})"


def fuse_batch_norms(network: nn.Module) -> None:
    """Put every batch norm that follows a convolution into its weights: a tenth less time, the same numbers but for rounding."""
    for module in network.modules():
        before: tuple[str, nn.Module] = ("", module)
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d):
                setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(module, name, nn.Identity())
            before = (name, child)


_fused: WeakKeyDictionary[FaceSegmenter, tuple[list, FaceSegmenter]] = WeakKeyDictionary()


def fused(segmenter: FaceSegmenter) -> FaceSegmenter:
    """A segmenter in evaluation mode -> a copy with fused batch norms, made anew when its weights have changed."""
    if segmenter.training or segmenter.dtype != torch.float32:
        return segmenter
    weights = chain(segmenter.parameters(), segmenter.buffers())
    state = [(w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights]
    known = _fused.get(segmenter)
    if known is None or known[0] != state:
        network = copy.deepcopy(segmenter)
        fuse_batch_norms(network)
        known = _fused[segmenter] = (state, network.requires_grad_(False))
    return known[1]


@torch.inference_mode()
def segment_picture(segmenter: FaceSegmenter, picture, crop: bool = False) -> Segmentation:
    """Segment a PIL picture, or an (H, W, 3) uint8 array, of any size.

    Args:
        segmenter: the face parser, in evaluation mode.
        picture: what is segmented.
        crop: unless the whole picture looks like a portrait, find the face in it and segment the square around it alone.
    """
    picture = to_rgb_picture(picture)
    segmenter, size = fused(segmenter), segmenter.config.image_size
    # The article scaled v1's finished masks, which left blocks; probabilities between pixels give smooth borders.
    resample = Image.Resampling.NEAREST if segmenter.config.upsampling == "transposed" else Image.Resampling.BILINEAR
    probabilities = class_probabilities(segmenter, picture)
    ids = probabilities.argmax(0).astype(np.uint8)
    if not crop or is_portrait(ids, *picture.size):
        return to_segmentation(probabilities, picture, resample)
    box = find_portrait(lambda pictures: class_ids(segmenter, pictures), picture, ids, size)
    if box in (None, (0, 0, *picture.size)):
        return to_segmentation(probabilities, picture, resample)._replace(has_face=box is not None)
    part = picture.crop(box)
    return to_segmentation(class_probabilities(segmenter, part), part, resample)._replace(crop=box)


def class_probabilities(segmenter: FaceSegmenter, picture: Image.Image) -> np.ndarray:
    """(7, S, S) probabilities of a picture letterboxed to the segmenter's size."""
    # It learnt from pictures scaled in this way (see `logits_at`): sharper ones cost it 0.003 of mIoU.
    fitted = fit_picture(picture, segmenter.config.image_size, Image.Resampling.BILINEAR)
    pixels = pixels_from_uint8(np.array(fitted))[None].to(segmenter.device)
    return segmenter.predict(pixels)[0].cpu().numpy()


def class_ids(segmenter: FaceSegmenter, pictures: np.ndarray) -> np.ndarray:
    """(B, S, S, 3) uint8 pictures, of any side that is a multiple of 32 -> (B, S, S) class ids, in one pass."""
    pixels = pixels_from_uint8(pictures).to(segmenter.device, segmenter.dtype).contiguous(memory_format=torch.channels_last)
    return segmenter(pixels).argmax(1).byte().cpu().numpy()


def to_segmentation(probabilities: np.ndarray, picture: Image.Image, resample: Image.Resampling) -> Segmentation:
    left, top, right, bottom = letterbox_window(*picture.size, probabilities.shape[-1])
    inside = probabilities[:, top:bottom, left:right]
    ids = resized_argmax(inside, *picture.size, resample=resample)
    return Segmentation(Mask(ids), float(inside.max(0).mean(dtype=np.float64)), picture)
