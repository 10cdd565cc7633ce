"""`AnifacePipeline`: mask, reference and hair colour in, portraits out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
from diffusers.utils import BaseOutput
from PIL import Image

from .details import Details, carry_over, see_details, without_hue
from .hair import HAIR_COLORS, parse_hair_color
from .labels import STYLE_REGIONS, InputError, Mask
from .memory import keep_freed_memory
from .models.detail_adapter import DetailAdapter
from .models.hair_colors import HairColors
from .models.mask_denoiser import MaskDenoiser
from .models.network import HUB_OPTIONS, check_model_path, check_pipeline, loading
from .models.painter import FacePainter
from .models.segmenter import FaceSegmenter
from .models.style_encoder import StyleEncoder, region_means, style_region_shares
from .precision import bf16_pays
from .processing import fit_picture, mask_one_hot, pixels_from_uint8, to_pil, to_rgb_picture
from .random_masks import MaskSampler
from .segmentation import segment_picture
from .start_masks import random_face
from .styles import SeenStyle, Style, blend_seen, check_region_colors, check_regions, nothing_like, random_noise

MAX_IMAGES = 64

# With this, diffusers records our components as ["aniface", CLASS], which loads from folders and hub ids alike (diffusers #6563).
LOADABLE_CLASSES["aniface"] = {"ModelMixin": ["save_pretrained", "from_pretrained"]}


@dataclass
class AnifaceOutput(BaseOutput):
    """images: the painted portraits, 512x512 PIL pictures, or (N, 3, 512, 512) in [-1, 1] for output_type "pt"."""

    images: list[Image.Image] | torch.Tensor


def lay_out_weights(network: torch.nn.Module) -> None:
    """Copy every weight into a fresh tensor, convolutions channels last, which is faster on a CPU.

    Weights read from a file may lie at odd addresses, and `.to(memory_format=...)` leaves the strides of 1x1 kernels as they come; either
    may change which routine computes them and with it the last bit. Fresh tensors make a loaded pipeline paint what the saved one did.
    """
    for weights in network.parameters():
        layout = torch.channels_last if weights.dim() == 4 else torch.contiguous_format
        weights.data = torch.empty(weights.shape, dtype=weights.dtype, device=weights.device, memory_format=layout).copy_(weights)


def told(value) -> str:
    """A value for a message: numbers, short texts and None as they are, of all else the type (its contents may be private)."""
    plain = value is None or isinstance(value, (bool, int, float, np.number)) or (isinstance(value, str) and len(value) <= 40)
    return repr(value) if plain else f"a {type(value).__name__}"


def check_seed(seed) -> int:
    """The seed as an int; raises InputError if it is none."""
    if type(seed) is bool or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise InputError(f"seed is {told(seed)}; expected a whole number from 0 to 2^63 - 1")
    return int(seed)


def check_count(value, name: str, most: int = 10_000) -> int:
    """A whole number from 1 to `most`; raises InputError if it is none."""
    if type(value) is bool or not isinstance(value, (int, np.integer)) or not 1 <= value <= most:
        raise InputError(f"{name} is {told(value)}; expected a whole number from 1 to {most}")
    return int(value)


def check_number(value, name: str, most: float) -> float:
    """A finite number from 0 to `most`; raises InputError if it is none."""
    if type(value) is bool or not isinstance(value, (int, float, np.number)) or not 0 <= value <= most:
        raise InputError(f"{name} is {told(value)}; expected a number from 0 to {most:g}")
    return float(value)


def check_adapter(adapter: DetailAdapter, painter: FacePainter) -> None:
    """Raise InputError if the painter's features are not those that the adapter adds to."""
    channels = tuple(adapter.config.channels)
    if adapter.config.image_size != painter.trunk_size or tuple(painter.config.channels)[-len(channels) :] != channels:
        raise InputError(
            f"this detail_adapter is for painters of {adapter.config.image_size} px that end in {', '.join(map(str, channels))} channels; "
            "give detail_adapter=None, or train one for this painter (train.train_detail_adapter)"
        )


class AnifacePipeline(DiffusionPipeline):
    """Paints anime portraits that follow a flat map of 7 classes (see `aniface.labels`).

    Args:
        segmenter: picture -> mask.
        style_encoder: reference picture -> style codes.
        hair_vectors: hair code and asked colour -> hair code of that colour.
        painter: mask and styles -> portrait.
        mask_denoiser: noise -> mask. Optional: without it random masks are bent start masks.
        mask_scheduler: the noise levels of the mask denoiser.
        detail_adapter: details of a reference -> features for the painter. Optional: without it references give codes and colours only.

    Attributes:
        bf16: whether the painter computes in bfloat16, which changes a picture by 0.2 of 255 levels on average. None, the default: on
            CPUs with instructions for it, where that is faster.
    """

    _optional_components = ["mask_denoiser", "mask_scheduler", "detail_adapter"]

    def __init__(
        self,
        segmenter: FaceSegmenter,
        style_encoder: StyleEncoder,
        hair_vectors: HairColors,
        painter: FacePainter,
        mask_denoiser: MaskDenoiser | None = None,
        mask_scheduler: DDIMScheduler | None = None,
        detail_adapter: DetailAdapter | None = None,
    ):
        super().__init__()
        self.register_modules(segmenter=segmenter, style_encoder=style_encoder, hair_vectors=hair_vectors, painter=painter)
        self.register_modules(mask_denoiser=mask_denoiser, mask_scheduler=mask_scheduler, detail_adapter=detail_adapter)
        for network in self.networks.values():
            lay_out_weights(network.eval())
        if detail_adapter is not None:
            check_adapter(detail_adapter, painter)
        self.bf16: bool | None = None
        keep_freed_memory()

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """The components that hold weights, by name."""
        return {name: part for name, part in self.components.items() if isinstance(part, torch.nn.Module)}

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

    def segment(self, picture) -> Mask:
        """The mask of a portrait.

        Args:
            picture: PIL picture, or (H, W, 3) uint8 array, of any size.

        Returns:
            A mask of the picture's size.
        """
        return segment_picture(self.segmenter, picture).mask

    def random_mask(self, seed: int = 0, n: int | None = None) -> Mask | list[Mask]:
        """A face that nobody drew, 512x512; the same for the same seed.

        Args:
            seed: of the mask.
            n: draw so many, with seeds counting up from `seed`, and return a list.
        """
        count = 1 if n is None else check_count(n, "n")
        draw = random_face if self.mask_denoiser is None else self.mask_sampler().random
        masks = [draw(number) for number in range(check_seed(seed), check_seed(seed) + count)]
        return masks[0] if n is None else masks

    def vary_mask(self, mask, amount: float = 0.5, seed: int = 0) -> Mask:
        """A mask like another one.

        Args:
            mask: as in `__call__`.
            amount: from 0, the mask itself, through a little different to 1, another face.
            seed: of the variation.

        Returns:
            A mask of the same size.
        """
        return self.mask_sampler().vary(Mask.of(mask), check_number(amount, "amount", 1.0), check_seed(seed))

    def complete_mask(self, partial, seed: int = 0) -> Mask:
        """A whole face around what is drawn of it.

        Args:
            partial: a mask as in `__call__`; its background counts as not drawn yet.
            seed: of what is added.

        Returns:
            A mask of the same size with every drawn pixel as it was, but for one thing: where the face is drawn without gaps for eyes or
            mouth, and none is drawn, they are put on top of it.
        """
        return self.mask_sampler().complete(Mask.of(partial), check_seed(seed))

    def mask_sampler(self) -> MaskSampler:
        """What draws masks; raises InputError if the pipeline has no mask denoiser."""
        if self.mask_denoiser is None or self.mask_scheduler is None:
            raise InputError("this pipeline has no mask_denoiser; train one (train.train_mask_diffusion) or load the pipeline that ships")
        return MaskSampler(self.mask_denoiser, self.mask_scheduler)

    @torch.inference_mode()
    def __call__(
        self,
        mask,
        reference=None,
        hair_color: str | None = None,
        strength: float = 1.0,
        num_images: int = 1,
        seed: int = 0,
        style_strength: float = 1.0,
        region_references: Mapping | None = None,
        region_colors: Mapping | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> AnifaceOutput | tuple:
        """Paint portraits of a mask.

        Args:
            mask: a `Mask`, a mask picture (PIL or path) or an (H, W) array of class ids, of any size; what is not square is letterboxed.
            reference: a portrait whose style is taken, PIL picture or (H, W, 3) uint8 array; or a list of them, or of (portrait, weight)
                pairs, whose styles are blended; None for a random style. What `encode_reference` makes of a portrait serves as well, and
                saves its time where one is used again and again.
            hair_color: a name of `hair_colors` or "#rrggbb"; None leaves the hair to the style.
            strength: how far the hair moves from the style's colour (0) to the asked one (1) and beyond (up to 1.5).
            num_images: how many variants. With a reference the first one has exactly its style and the others vary around it.
            seed: of everything random. The same arguments give the same pictures, bit for bit, on one machine.
            style_strength: how much of the references' style is taken: from 0, the random style of `seed`, to 1, theirs.
            region_references: portraits for single style regions, e.g. {"hair": picture, "clothes": another}; the keys are
                background, skin, eye, hair and clothes. They come before `reference`.
            region_colors: mean colours of single style regions, e.g. {"clothes": "#203060"}.
            output_type: "pil" or "pt".
            return_dict: False returns a tuple.

        Raises:
            InputError: an argument is out of range or no picture; the message says which and what is expected.
        """
        mask = Mask.of(mask)
        num_images = check_count(num_images, "num_images", MAX_IMAGES)
        seed = check_seed(seed)
        strength = check_number(strength, "strength", 1.5)
        style_strength = check_number(style_strength, "style_strength", 1.0)
        if output_type not in ("pil", "pt"):
            raise InputError(f"output_type is {told(output_type)}; expected 'pil' or 'pt'")
        colours = check_region_colors(region_colors)
        if hair_color is not None and strength > 0:
            colours["hair"] = parse_hair_color(hair_color)
        seen = self.see_style(reference, region_references)
        layout = self.layout_of(mask)
        pictures = []
        for number in range(num_images):
            style = self.choose_style(layout, seen, seed, number, style_strength)
            for region, colour in colours.items():
                style = self.recolour(style, layout, region, colour, strength if region == "hair" else 1.0)
            pictures.append(self.paint_style(layout, style))
        pixels = torch.cat(pictures)
        images = to_pil(pixels) if output_type == "pil" else pixels
        return AnifaceOutput(images=images) if return_dict else (images,)

    # --- the steps of a call, for those who mix styles themselves ---

    def layout_of(self, mask: Mask) -> torch.Tensor:
        """A mask as the painter takes it: (1, 7, S, S) one-hot at its finest resolution."""
        return mask_one_hot(mask, self.painter.sizes[-1]).to(self.device)

    @torch.inference_mode()
    def see_style(self, reference=None, region_references: Mapping | None = None) -> SeenStyle | None:
        """The style that references show, as in `__call__`; None if there is no reference."""
        seen = None
        if reference is not None:
            weighted = list(reference) if isinstance(reference, (list, tuple)) else [reference]
            weighted = [item if isinstance(item, tuple) else (item, 1.0) for item in weighted]
            if not weighted or len(weighted) > MAX_IMAGES or any(len(item) != 2 for item in weighted):
                raise InputError(f"reference is a list of {len(weighted)}; expected 1 to {MAX_IMAGES} pictures or (picture, weight) pairs")
            weights = [check_number(weight, "a reference's weight", 1e6) for _, weight in weighted]
            if not sum(weights):
                raise InputError("the references' weights are all 0; expected at least one above 0")
            seen = blend_seen([self.encode_reference(picture) for picture, _ in weighted], weights)
        for region, picture in check_regions(region_references, "region_references").items():
            shown = self.encode_reference(picture)
            seen = (seen or nothing_like(shown)).with_region(region, shown)
        return seen

    @torch.inference_mode()
    def encode_reference(self, reference) -> SeenStyle:
        """The style of one reference picture; a style that was encoded before comes back as it is."""
        if isinstance(reference, SeenStyle):
            return reference
        picture = to_rgb_picture(reference, what="the reference")
        size = self.style_encoder.config.image_size
        pixels = self._pixels(picture, size)
        mask = self.segment(picture)
        layout = mask_one_hot(mask, size).to(self.device)
        dtype = self.style_encoder.dtype
        mean, log_variance = (part.float() for part in self.style_encoder(pixels.to(dtype), layout.to(dtype)))
        colours, present = region_means(pixels, layout)
        return SeenStyle(mean, log_variance, colours, present, self._details(picture, mask))

    def _details(self, picture: Image.Image, mask: Mask) -> tuple[Details, ...]:
        if self.detail_adapter is None:
            return ()
        size = self.detail_adapter.config.image_size
        return (see_details(self._pixels(picture, size), mask_one_hot(mask, size).to(self.device)),)

    @torch.inference_mode()
    def choose_style(
        self, layout: torch.Tensor, seen: SeenStyle | None = None, seed: int = 0, number: int = 0, style_strength: float = 1.0
    ) -> Style:
        """The style of variant `number`: around what was seen, where something was, else a random one.

        Details are the first variant's only: the others, which have them too, would all look like it.
        """
        noise = random_noise(seed, number, self.painter.config.latent_dim + 3).to(self.device)
        free = Style(*self.style_encoder.sample(noise))
        if seen is None or style_strength == 0:
            return free
        spread = (0.5 * seen.log_variance).exp() * (number > 0)
        codes, here = seen.mean + spread * noise[..., :-3], seen.present > 0
        details = carry_over(seen.details, layout) if number == 0 else None
        style = Style(torch.where(here, codes, free.codes), torch.where(here, seen.colours, free.colours), details)
        return free.lerp(style, style_strength)

    @torch.inference_mode()
    def recolour(self, style: Style, layout: torch.Tensor, region: str, colour: tuple[int, int, int], strength: float = 1.0) -> Style:
        """The style with one region's mean colour moved towards `colour` (sRGB, 0..255).

        Hair's code moves along the attribute vectors; the colour is also asked for explicitly. The painter takes that as advice, more or
        less freely by mask, so a preview is painted and what it missed is added to what is asked for.
        """
        index = STYLE_REGIONS.index(region)
        target = torch.tensor(colour, dtype=torch.float32, device=self.device) / 127.5 - 1
        own = style.colours[:, index]
        wanted = (own + strength * (target - own)).clamp(-1, 1)
        codes, colours = style.codes.clone(), style.colours.clone()
        if region == "hair":
            codes[:, index] = self.hair_vectors(codes[:, index], wanted, min(strength, 1.0))
        colours[:, index] = wanted
        details = style.details
        if details is not None:  # what is left of hues there is the old colour's
            inside = style_region_shares(torch.nn.functional.adaptive_avg_pool2d(layout, details.shape[-1]))[:, index : index + 1]
            details = without_hue(details, min(strength, 1.0) * inside)
        missed = wanted - self._painted_colours(Style(codes, colours, details), layout)[:, index]
        colours[:, index] = (wanted + missed).clamp(-1.5, 1.5)
        return Style(codes, colours, details)

    @torch.inference_mode()
    def paint_style(self, layout: torch.Tensor, style: Style, size: int | None = None) -> torch.Tensor:
        """Paint: (1, 3, S, S) in [-1, 1], at the painter's finest resolution or `size`."""
        dtype = self.painter.dtype
        bf16 = (bf16_pays(self.device) if self.bf16 is None else self.bf16) and dtype == torch.float32
        inputs = (part.to(dtype) for part in (layout, style.codes, style.colours, torch.ones_like(style.colours[..., :1])))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            added = None
            if style.details is not None and self.detail_adapter is not None:
                added = self.detail_adapter(style.details.to(self.detail_adapter.dtype))
            painted = self.painter(*inputs, size=size, added=added)
        return painted.float().clamp(-1, 1)

    def _painted_colours(self, style: Style, layout: torch.Tensor) -> torch.Tensor:
        """(1, 5, 3) mean colours of the style regions in a preview of half the resolution."""
        size = self.painter.trunk_size
        return region_means(self.paint_style(layout, style, size), torch.nn.functional.adaptive_avg_pool2d(layout, size))[0]

    def _pixels(self, picture: Image.Image, size: int) -> torch.Tensor:
        return pixels_from_uint8(np.array(fit_picture(picture, size)))[None].to(self.device)
