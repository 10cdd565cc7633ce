"""Pushing a pipeline or a network to the Hugging Face Hub with a card that tells what it is."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path

import torch
from huggingface_hub import HfApi, ModelCard, ModelCardData
from safetensors.torch import load_file

from .models.network import BUNDLED_WEIGHTS, Network, component_of, read_index

CARD = """# {repo_id}

{what}

```python
{use}
```

Say here what it was trained on, with whose rights, and how well it does. The weights that aniface ships, and whatever is fine-tuned
from them, are for research and non-commercial use.
"""
PIPELINE = "An aniface pipeline: it paints 512x512 anime portraits that follow a flat 7-colour map of a face."
USE_PIPELINE = """from aniface import AnifacePipeline

pipe = AnifacePipeline.from_pretrained("{repo_id}")
pipe(pipe.random_mask(seed=3), hair_color="pink").images[0].save("portrait.png")"""
USE_COMPONENT = """from aniface import AnifacePipeline, {kind}

{name} = {kind}.from_pretrained("{repo_id}")
pipe = AnifacePipeline.from_pretrained({name}={name})  # the other parts are those that ship"""
USE_NETWORK = """from aniface import {kind}

network = {kind}.from_pretrained("{repo_id}")"""


def card_text(model, repo_id: str) -> str:
    """The card of a pipeline or network for a repository that has none of its own yet."""
    kind = type(model).__name__
    what, use, name = PIPELINE, USE_PIPELINE, None
    if isinstance(model, Network):
        first_paragraph = " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
        what = f"`{kind}`, a network of aniface. {first_paragraph}"
        name = component_of(type(model), read_index(str(BUNDLED_WEIGHTS)) or {})
        use = USE_COMPONENT if name else USE_NETWORK
    data = ModelCardData(
        library_name="aniface",
        pipeline_tag="image-segmentation" if kind == "FaceSegmenter" else "image-to-image",
        license="other",
        license_name="research-non-commercial",
        tags=["anime", "semantic-image-synthesis", "spade", "gaugan"],
    )
    text = CARD.format(repo_id=repo_id, what=what, use=use.format(repo_id=repo_id, kind=kind, name=name))
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def shipped_card(repo_id: str) -> str:
    """The card of the pipeline inside the package, for a repository that holds just that pipeline."""
    text = (BUNDLED_WEIGHTS / "README.md").read_text(encoding="utf-8")
    return text.replace("AnifacePipeline.from_pretrained()", f'AnifacePipeline.from_pretrained("{repo_id}")')


def is_as_shipped(folder: Path) -> bool:
    """Whether a saved pipeline holds the weights inside the package, in whatever precision, and nothing else."""
    shipped, saved = ({path.relative_to(root): path for path in root.rglob("*.safetensors")} for root in (BUNDLED_WEIGHTS, folder))
    if shipped.keys() != saved.keys():
        return False
    for name, path in shipped.items():
        ours, theirs = load_file(path), load_file(saved[name])
        if ours.keys() != theirs.keys() or not all(torch.equal(ours[key].float(), theirs[key].float()) for key in ours):
            return False
    return True


def push(
    model,
    repo_id: str,
    private: bool | None = None,
    token: str | None = None,
    message: str | None = None,
    revision: str | None = None,
    variant: str | None = None,
) -> str:
    """Save a pipeline or network and upload it as one commit; a card that the repository has already is kept.

    Args:
        model: the pipeline or network; weights are saved in the precision they have.
        repo_id: "user/name"; made if it does not exist.
        private: whether a new repository is private.
        token: an access token; by default the one that is logged in.
        message: of the commit.
        revision: a branch, made if it does not exist; the main one by default.
        variant: a name such as "fp16" that goes into the names of the weight files; `from_pretrained(variant=...)` asks for it again.

    Returns:
        The commit's address.
    """
    api = HfApi(token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision:
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, variant=variant)
        if not api.file_exists(repo_id, "README.md", revision=revision):
            text = shipped_card(repo_id) if is_as_shipped(Path(folder)) else card_text(model, repo_id)
            ModelCard(text).save(Path(folder) / "README.md")
        message = message or f"Add {type(model).__name__}"
        return api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message, revision=revision).commit_url
