"""aniface: draw a flat 7-colour map of a face, get an anime portrait that follows it.

Names are imported when first used, so that `import aniface` loads neither torch nor gradio (PEP 562).
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "AnifacePipeline": "aniface.pipeline",
    "AnifaceOutput": "aniface.pipeline",
    "Mask": "aniface.labels",
    "InputError": "aniface.labels",
    "LABELS": "aniface.labels",
    "PALETTE": "aniface.labels",
    "HAIR_COLORS": "aniface.hair",
    "FaceSegmenter": "aniface.models.segmenter",
    "StyleEncoder": "aniface.models.style_encoder",
    "HairColors": "aniface.models.hair_colors",
    "FacePainter": "aniface.models.painter",
    "DetailAdapter": "aniface.models.detail_adapter",
    "MaskDenoiser": "aniface.models.mask_denoiser",
    "MultiscaleDiscriminator": "aniface.models.discriminator",
    # diffusers looks the base class of a component up in the component's own package.
    "ModelMixin": "diffusers",
}

__all__ = [name for name in _HOME if name != "ModelMixin"]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'aniface' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
