"""Frozen models that a checkpoint names instead of holding: which they are, and where they lie.

A source is a folder with safetensors weights, a file, a model that comes with the package
(`sign2gpt/NAME`) or a name on the Hub. Its hash is that of its weights alone, the same for a model
in the Hub's cache and for a plain copy of its folder, and can be checked by hand:

    one file        sha256sum model.safetensors
    several shards  LC_ALL=C sha256sum model-*.safetensors | sha256sum
"""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import validate_repo_id

from sign2gpt.errors import UserError

SOURCE_PARTS = ("vision", "language")
PRIORS = Path(__file__).resolve().parent.parent / "priors"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def identify(name: str | Path) -> dict[str, Any] | None:
    """What a checkpoint notes of a source whose weights have been read.

    Returns:
        `name` as it was given, `revision` (the Hub's commit, None for others) and `sha256`; None
        for a source that could not be found again by its name.
    """
    place = locate_source(name)
    if place is None or not weight_files(place):
        return None
    if place.is_relative_to(PRIORS):
        name = f"sign2gpt/{place.relative_to(PRIORS)}"
    commit = place.name if place.parent.name == "snapshots" else None
    return {"name": str(name), "revision": commit, "sha256": weights_sha256(place)}


def find_source(part: str, noted: dict[str, Any], given: str | Path | None, model: str) -> Path:
    """The folder or file of a checkpoint's frozen model, its weights verified.

    Args:
        part: "vision" or "language".
        noted: what `identify` said when the checkpoint was made.
        given: where the source lies now; None = where its name says.
        model: the checkpoint, for the sentence.

    Raises:
        UserError: it is not there, or has other weights.
    """
    name = str(given or noted["name"])
    mend = f"--{part} FOLDER (in Python: {part}=FOLDER)"
    places = [locate_source(name, revision) for revision in (noted["revision"], None)]
    found = [place for place in places if place is not None and weight_files(place)]
    for place in found:
        if weights_sha256(place) == noted["sha256"]:
            return place
    fetched = _fetch(name, noted["revision"]) if given is None else None
    if fetched is not None:
        if weights_sha256(fetched) == noted["sha256"]:
            return fetched
        found = [fetched]
    if found:
        raise UserError(
            f"The {part} model in {found[0]} is not the one that the model in {model} was trained "
            f"with (sha256 {weights_sha256(found[0])[:12]}..., not {noted['sha256'][:12]}...); say "
            f"where {noted['name']} lies with {mend}."
        )
    if given is None and _may_be_on_hub(name):
        where = f"neither a folder here nor whole in the Hub's cache {constants.HF_HUB_CACHE}"
        mend = f"`hf download {name}`, or say where it lies with {mend}"
        raise UserError(
            f"The model in {model} needs its frozen {part} model {name}, which is {where}; fetch "
            f"it with {mend}."
        )
    where = f"and {given} holds no weights" if given is not None else "which is no longer there"
    raise UserError(
        f"The model in {model} needs its frozen {part} model {noted['name']}, {where}; say where "
        f"it lies now with {mend}."
    )


def locate_source(name: str | Path, revision: str | None = None) -> Path | None:
    """Folder or file of a source as far as it is on this machine; nothing is downloaded."""
    shipped = PRIORS / str(name).removeprefix("sign2gpt/")
    if str(name).startswith("sign2gpt/") and shipped.is_dir():
        return shipped
    if Path(name).exists():
        return Path(name).resolve()
    if not _may_be_on_hub(str(name)):
        return None
    try:
        return Path(snapshot_download(str(name), revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def weight_files(place: Path) -> list[Path]:
    """The files that a source's weights are read from, by name; empty where one is missing.

    `place` is a folder of safetensors, whole or in shards, or a file that is all of the weights.
    """
    if place.is_file():
        return [place]
    if (place / WEIGHTS).is_file():
        return [place / WEIGHTS]
    try:
        shards = json.loads((place / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        files = [place / name for name in sorted(set(shards))]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
    return files if all(file.is_file() for file in files) else []


def weights_sha256(place: Path) -> str:
    """The hash of a source's weights, as the top of this file says."""
    files = weight_files(place)
    digests = [_file_sha256(file) for file in files]
    if len(files) == 1:
        return digests[0]
    listing = "".join(f"{d}  {file.name}\n" for d, file in zip(digests, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


def _file_sha256(file: Path) -> str:
    blob = file.resolve()
    if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", blob.name):
        return blob.name  # the Hub's cache names large files by their sha256
    status = blob.stat()
    return _read_sha256(blob, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _read_sha256(file: Path, size: int, mtime_ns: int) -> str:
    """Each version of a file is read once."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _may_be_on_hub(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return not name.startswith("sign2gpt/")


def _fetch(name: str, revision: str | None) -> Path | None:
    """Download a source's weights, where huggingface_hub may; else None."""
    if not _may_be_on_hub(name) or constants.HF_HUB_OFFLINE:
        return None
    try:
        place = Path(hf_hub_download(name, "config.json", revision=revision)).parent
        try:
            hf_hub_download(name, WEIGHTS, revision=revision)
        except EntryNotFoundError:  # no such file: it comes in shards
            index = json.loads(Path(hf_hub_download(name, INDEX, revision=revision)).read_text())
            for shard in sorted(set(index["weight_map"].values())):
                hf_hub_download(name, shard, revision=revision)
    except (OSError, ValueError, LookupError):  # no network, no such model, an index not whole
        return None
    return place if weight_files(place) else None
