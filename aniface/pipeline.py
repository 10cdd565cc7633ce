"""`AnifacePipeline`: mask, reference and hair colour in, portraits out."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
from diffusers.utils import BaseOutput
from PIL import Image

from .hair import HAIR_COLORS, parse_hair_color
from .labels import NUM_STYLE_REGIONS, STYLE_REGIONS, InputError, Mask
from .models.hair_colors import HairColors
from .models.network import HUB_OPTIONS, check_model_path, check_pipeline, loading
from .models.painter import FacePainter
from .models.segmenter import FaceSegmenter
from .models.style_encoder import StyleEncoder, region_means
from .processing import fit_picture, letterbox_window, mask_one_hot, pixels_from_uint8, to_pil, to_rgb_picture
from .start_masks import random_face

MAX_IMAGES = 64
HAIR_STYLE = STYLE_REGIONS.index("hair")

# Random codes of the skin are drawn nearer to the mean (truncation trick, Brock et al. 2019, "BigGAN"): far out it turns grey.
SKIN_TRUNCATION = 0.4

# With this, diffusers records our components as ["aniface", CLASS], which loads from folders and hub ids alike (diffusers #6563).
LOADABLE_CLASSES["aniface"] = {"ModelMixin": ["save_pretrained", "from_pretrained"]}


@dataclass
class AnifaceOutput(BaseOutput):
    """images: the painted portraits, 512x512 PIL pictures, or (N, 3, 512, 512) in [-1, 1] for output_type "pt"."""

    images: list[Image.Image] | torch.Tensor


@dataclass
class Style:
    """What the painter is told about the style regions: codes (1, 5, K), mean colours (1, 5, 3), which are known (1, 5, 1)."""

    codes: torch.Tensor
    colours: torch.Tensor
    known: torch.Tensor


def lay_out_weights(network: torch.nn.Module) -> None:
    """Copy every weight into a fresh tensor, convolutions channels last, which is faster on a CPU.

    Weights read from a file may lie at odd addresses, and `.to(memory_format=...)` leaves the strides of 1x1 kernels as they come; either
    may change which routine computes them and with it the last bit. Fresh tensors make a loaded pipeline paint what the saved one did.
    """
    for weights in network.parameters():
        layout = torch.channels_last if weights.dim() == 4 else torch.contiguous_format
        weights.data = torch.empty(weights.shape, dtype=weights.dtype, device=weights.device, memory_format=layout).copy_(weights)


def check_seed(seed) -> int:
    """The seed as an int; raises InputError if it is none."""
    if type(seed) is bool or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise InputError(f"seed is {seed!r}; expected a whole number from 0 to 2^63 - 1")
    return int(seed)


class AnifacePipeline(DiffusionPipeline):
    """Paints anime portraits that follow a flat map of 7 classes (see `aniface.labels`).

    Args:
        segmenter: picture -> mask.
        style_encoder: reference picture -> style codes.
        hair_vectors: hair code and asked colour -> hair code of that colour.
        painter: mask and styles -> portrait.
    """

    def __init__(self, segmenter: FaceSegmenter, style_encoder: StyleEncoder, hair_vectors: HairColors, painter: FacePainter):
        super().__init__()
        self.register_modules(segmenter=segmenter, style_encoder=style_encoder, hair_vectors=hair_vectors, painter=painter)
        for network in self.components.values():
            lay_out_weights(network.eval())

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike | None = None, **kwargs) -> AnifacePipeline:
        """Load a pipeline.

        Args:
            pretrained_model_name_or_path: a folder, a hub id, or None for the weights that ship inside the package.
            **kwargs: as for `DiffusionPipeline.from_pretrained` (revision, variant, cache_dir, local_files_only, token, dtype, ...), and
                components by name that replace the saved ones, such as `painter=FacePainter.from_pretrained(...)`.

        Raises:
            InputError: no such model, it comes from a newer version, or its weights are missing, of another shape, too many or pickled.
        """
        path = check_model_path(pretrained_model_name_or_path)
        kwargs.setdefault("dtype", torch.float32)
        if kwargs.setdefault("use_safetensors", True) is False:
            raise InputError(f"{path}: use_safetensors is False; aniface reads no pickles")
        with loading(path):
            check_pipeline(cls, path, **{key: kwargs[key] for key in HUB_OPTIONS if kwargs.get(key) is not None})
            return super().from_pretrained(path, **kwargs)

    def push_to_hub(self, repo_id: str, **kwargs) -> str:
        """Upload the pipeline to the hub, with a card if the repository has none; see `aniface.hub.push`."""
        from .hub import push

        return push(self, repo_id, **kwargs)

    @property
    def hair_colors(self) -> list[str]:
        """The names that `hair_color` takes (it also takes "#rrggbb")."""
        return list(HAIR_COLORS)

    @torch.inference_mode()
    def segment(self, picture) -> Mask:
        """The mask of a portrait.

        Args:
            picture: PIL picture, or (H, W, 3) uint8 array, of any size.

        Returns:
            A mask of the picture's size.
        """
        picture = to_rgb_picture(picture)
        size = self.segmenter.config.image_size
        probabilities = self.segmenter.predict(self._pixels(picture, size), average_mirrored=True)[0].cpu().numpy()
        left, top, right, bottom = letterbox_window(*picture.size, size)
        best = np.full((picture.height, picture.width), -1, np.float32)
        ids = np.zeros((picture.height, picture.width), np.uint8)
        for index, plane in enumerate(probabilities[:, top:bottom, left:right]):
            plane = np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(picture.size, Image.Resampling.BILINEAR))
            better = plane > best
            best[better], ids[better] = plane[better], index
        return Mask(ids)

    def random_mask(self, seed: int = 0) -> Mask:
        """A face to start from: a random variation of the start masks that ship (see `aniface.start_masks`), the same for the same seed."""
        return random_face(check_seed(seed))

    @torch.inference_mode()
    def __call__(
        self,
        mask,
        reference=None,
        hair_color: str | None = None,
        strength: float = 1.0,
        num_images: int = 1,
        seed: int = 0,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> AnifaceOutput | tuple:
        """Paint portraits of a mask.

        Args:
            mask: a `Mask`, a mask picture (PIL or path) or an (H, W) array of class ids, of any size; what is not square is letterboxed.
            reference: PIL picture, or (H, W, 3) uint8 array, of a portrait whose style is taken; None for a random style.
            hair_color: a name of `hair_colors` or "#rrggbb"; None leaves the hair to the style.
            strength: how far the hair moves from the style's colour (0) to the asked one (1) and beyond (up to 1.5).
            num_images: how many variants. With a reference the first one has exactly its style and the others vary around it.
            seed: of everything random. The same arguments give the same pictures, bit for bit, on one machine.
            output_type: "pil" or "pt".
            return_dict: False returns a tuple.

        Raises:
            InputError: an argument is out of range or no picture; the message says which and what is expected.
        """
        mask = Mask.of(mask)
        if type(num_images) is bool or not isinstance(num_images, (int, np.integer)) or not 1 <= num_images <= MAX_IMAGES:
            raise InputError(f"num_images is {num_images!r}; expected a whole number from 1 to {MAX_IMAGES}")
        seed = check_seed(seed)
        if not isinstance(strength, (int, float, np.number)) or not 0 <= strength <= 1.5:
            raise InputError(f"strength is {strength!r}; expected a number from 0 to 1.5")
        if output_type not in ("pil", "pt"):
            raise InputError(f"output_type is {output_type!r}; expected 'pil' or 'pt'")
        asked = None if hair_color is None else parse_hair_color(hair_color)
        encoded = None if reference is None else self.encode_reference(reference)
        layout = mask_one_hot(mask, self.painter.sizes[-1]).to(self.device)
        pictures = []
        for number in range(num_images):
            style = self._style(encoded, seed, number)
            if asked is not None and strength > 0:
                style = self._with_hair_color(style, layout, asked, float(strength))
            pictures.append(self.painter(layout, style.codes, style.colours, style.known).clamp(-1, 1))
        pixels = torch.cat(pictures)
        images = to_pil(pixels) if output_type == "pil" else pixels
        return AnifaceOutput(images=images) if return_dict else (images,)

    def encode_reference(self, reference) -> tuple[torch.Tensor, ...]:
        """A reference picture's style: mean and log variance of the codes (1, 5, K), mean colours (1, 5, 3), regions present (1, 5, 1)."""
        picture = to_rgb_picture(reference, what="the reference")
        size = self.style_encoder.config.image_size
        pixels = self._pixels(picture, size)
        layout = mask_one_hot(self.segment(picture), size).to(self.device)
        colours, present = region_means(pixels, layout)
        return *self.style_encoder(pixels, layout), colours, present

    def _style(self, encoded: tuple[torch.Tensor, ...] | None, seed: int, number: int) -> Style:
        """The style of variant `number`: around the reference's where it has one, else drawn from N(0, I)."""
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1))
        noise = torch.randn(1, NUM_STYLE_REGIONS, self.painter.config.latent_dim, generator=generator).to(self.device)
        noise[:, STYLE_REGIONS.index("skin")] *= SKIN_TRUNCATION
        if encoded is None:
            return Style(noise, torch.zeros_like(noise[..., :3]), torch.zeros_like(noise[..., :1]))
        mean, log_variance, colours, present = encoded
        spread = (0.5 * log_variance).exp() * (number > 0)
        return Style(torch.where(present > 0, mean + spread * noise, noise), colours, present)

    def _with_hair_color(self, style: Style, layout: torch.Tensor, asked: tuple[int, int, int], strength: float) -> Style:
        """The style with its hair colour moved towards the asked one.

        The code moves along the attribute vectors and the colour is asked for explicitly. The painter takes that as advice, more or less
        freely by mask, so a preview is painted and what it missed is added to what is asked for.
        """
        target = torch.tensor(asked, dtype=torch.float32, device=self.device) / 127.5 - 1
        own = style.colours[:, HAIR_STYLE]
        if not style.known[0, HAIR_STYLE] and strength != 1:  # the code alone decides: see what it would paint
            own = self._painted_hair_color(style, layout)
        wanted = (own + strength * (target - own)).clamp(-1, 1)
        codes, colours, known = style.codes.clone(), style.colours.clone(), style.known.clone()
        codes[:, HAIR_STYLE] = self.hair_vectors(codes[:, HAIR_STYLE], wanted, min(strength, 1.0))
        known[:, HAIR_STYLE] = 1
        colours[:, HAIR_STYLE] = wanted
        missed = wanted - self._painted_hair_color(Style(codes, colours, known), layout)
        colours[:, HAIR_STYLE] = (wanted + missed).clamp(-1.5, 1.5)
        return Style(codes, colours, known)

    def _painted_hair_color(self, style: Style, layout: torch.Tensor) -> torch.Tensor:
        """(1, 3) mean hair colour of a preview in half the resolution."""
        size = self.painter.trunk_size
        preview = self.painter(layout, style.codes, style.colours, style.known, size=size).clamp(-1, 1)
        return region_means(preview, torch.nn.functional.adaptive_avg_pool2d(layout, size))[0][:, HAIR_STYLE]

    def _pixels(self, picture: Image.Image, size: int) -> torch.Tensor:
        return pixels_from_uint8(np.array(fit_picture(picture, size)))[None].to(self.device)
