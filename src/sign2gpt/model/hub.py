"""Models on the Hub: what of one lies in its cache, and fetching what does not.

Weights are safetensors, or, where a model's publisher has none (both XGLMs), a `pytorch_model.bin`:
torch reads tensors out of it and nothing that could run. No other file of weights is fetched.
"""

import json
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils import validate_repo_id

from sign2gpt.errors import UserError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "*.model", "vocab.json", "vocab.txt")
_LAYOUTS = ((WEIGHTS, INDEX), ("pytorch_model.bin", "pytorch_model.bin.index.json"))
_SETTINGS = ("*.json", "*.model", "*.txt")  # of the model and its tokenizer
_PATTERNS = ("*.safetensors", "pytorch_model*.bin")


def cached(name: str, revision: str | None = None) -> Path | None:
    """The folder of a model in the Hub's cache, whole or not; None where there is none."""
    if not is_name(name):
        return None
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def fetch(name: str, revision: str | None = None) -> Path:
    """The folder of a model with its weights, downloaded into the Hub's cache if it lacks them.

    A download that was broken off goes on. In offline mode (HF_HUB_OFFLINE) only the cache counts.

    Raises:
        UserError: no such name, no network, or no weights there.
    """
    place = cached(name, revision)
    if place is not None and weight_files(place):
        return place
    return download(name, revision)


def download(name: str, revision: str | None = None) -> Path:
    """As `fetch`, but all files are looked for on the Hub, settings and tokenizer too."""
    if not is_name(name):
        raise UserError(
            f"The model {name} is not here, and no name of one on the Hub; correct the path, or "
            "give OWNER/MODEL."
        )
    hub_logging.set_verbosity_error()  # it announces each of its tries; the last one is said below
    place = None
    for pattern in _PATTERNS:
        if place is not None and weight_files(place):
            return place
        try:
            place = Path(
                snapshot_download(
                    name,
                    revision=revision,
                    allow_patterns=[*_SETTINGS, pattern],
                    ignore_patterns="*/*",  # other variants of the same weights
                )
            )
        except OSError as error:  # huggingface_hub's own errors among them
            offline = " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
            raise UserError(
                f"The model {name} is neither a folder here nor whole in the Hub's cache "
                f"{constants.HF_HUB_CACHE}, and cannot be fetched{offline}; check the name and the "
                f"network, or copy it there from elsewhere ({type(error).__name__})."
            ) from error
    if place is None or not weight_files(place):
        raise UserError(
            f"The model {name} in {place} lacks weights; fetch it again with a network "
            f"(`sign2gpt models --fetch {name}`), or choose a model with safetensors."
        )
    return place


def is_name(name: str) -> bool:
    """Whether the Hub could have a model of that name; those of the package are not its."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not name.startswith("sign2gpt/")


def weight_files(place: Path) -> list[Path]:
    """The files that a source's weights are read from, by name; empty where one is missing.

    `place` is a folder of weights, whole or in shards, or a file that is all of the weights.
    """
    if place.is_file():
        return [place]
    for whole, index in _LAYOUTS:
        if (place / whole).is_file():
            return [place / whole]
        try:
            shards = json.loads((place / index).read_text(encoding="utf-8"))["weight_map"].values()
            files = [place / name for name in sorted(set(shards))]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
        return files if all(file.is_file() for file in files) else []
    return []
