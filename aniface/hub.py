"""Pushing a pipeline to the Hugging Face Hub with a card that tells what it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from huggingface_hub import HfApi, ModelCard, ModelCardData

CARD = """# {name}

An aniface pipeline: it paints 512x512 anime portraits that follow a flat 7-colour map of a face.

```python
from aniface import AnifacePipeline

pipe = AnifacePipeline.from_pretrained("{name}")
pipe(pipe.random_mask(seed=3), hair_color="pink").images[0].save("portrait.png")
```

Say here what it was trained on, with whose rights, and how well it does. The weights that aniface ships, and whatever is fine-tuned
from them, are for research and non-commercial use.
"""


def card_text(repo_id: str) -> str:
    """A pipeline's card for a repository that has none of its own yet."""
    data = ModelCardData(
        library_name="aniface",
        pipeline_tag="image-to-image",
        license="other",
        license_name="research-non-commercial",
        tags=["anime", "semantic-image-synthesis", "spade", "gaugan"],
    )
    return f"---\n{data.to_yaml()}\n---\n\n{CARD.format(name=repo_id)}"


def push_pipeline(
    pipe, repo_id: str, private: bool | None = None, token: str | None = None, message: str = "Add an aniface pipeline"
) -> str:
    """Save the pipeline and upload it as one commit; a card that the repository has already is kept.

    Args:
        pipe: the pipeline; its networks are saved in the precision they have.
        repo_id: "user/name"; made if it does not exist.

    Returns:
        The commit's address.
    """
    api = HfApi(token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    with tempfile.TemporaryDirectory() as folder:
        pipe.save_pretrained(folder)
        if not api.file_exists(repo_id, "README.md"):
            ModelCard(card_text(repo_id)).save(Path(folder) / "README.md")
        return api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message).commit_url
