"""The Space's entry: the studio over the bundled weights, or over the model that ANIFACE_MODEL names."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from aniface import AnifacePipeline
from aniface.ui.studio import build_studio, launch_studio

studio = build_studio(AnifacePipeline.from_pretrained(os.environ.get("ANIFACE_MODEL") or None))

if __name__ == "__main__":
    launch_studio(studio)
