"""Frozen models that a checkpoint names instead of holding: which they are, and where they lie.

A source is a folder with safetensors weights, a file, a model that comes with the package
(`sign2gpt/NAME`) or a name on the Hub. Its hash is that of its weights alone, the same for a model
in the Hub's cache and for a plain copy of its folder, and can be checked by hand:

    one file        sha256sum model.safetensors
    several shards  LC_ALL=C sha256sum model-*.safetensors | sha256sum

Of a file in the Hub's cache the hash is the one that the Hub gave it: its name there.
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from sign2gpt.errors import UserError
from sign2gpt.files import sha256_of
from sign2gpt.model.hub import cached, fetch, is_name, weight_files
from sign2gpt.model.sources import SHIPPED, locate

SOURCE_PARTS = ("vision", "language")


def identify(name: str | Path) -> dict[str, Any] | None:
    """What a checkpoint notes of a source whose weights have been read.

    Returns:
        `name` as it was given, `revision` (the Hub's commit, None for others) and `sha256`; None
        for a source that could not be found again by its name.
    """
    place = locate_source(name)
    if place is None or not weight_files(place):
        return None
    if place.is_relative_to(SHIPPED):
        name = f"sign2gpt/{place.relative_to(SHIPPED)}"
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
    failure = ""
    if given is None and is_name(name):
        try:
            fetched = fetch(name, noted["revision"])
            if weights_sha256(fetched) == noted["sha256"]:
                return fetched
            found = [fetched]
        except UserError as error:
            failure = f" ({str(error.__cause__ or error).splitlines()[0][:120].rstrip('.')})"
    if found:
        raise UserError(
            f"The {part} model in {found[0]} is not the one that the model in {model} was trained "
            f"with (sha256 {weights_sha256(found[0])[:12]}..., not {noted['sha256'][:12]}...); say "
            f"where {noted['name']} lies with {mend}."
        )
    if given is None and is_name(name):
        where = f"neither a folder here nor whole in the Hub's cache {constants.HF_HUB_CACHE}"
        mend = f"`sign2gpt models --fetch {name}`, or say where it lies with {mend}"
        raise UserError(
            f"The model in {model} needs its frozen {part} model {name}, which is {where}"
            f"{failure}; fetch it with {mend}."
        )
    where = f"and {given} holds no weights" if given is not None else "which is no longer there"
    raise UserError(
        f"The model in {model} needs its frozen {part} model {noted['name']}, {where}; say where "
        f"it lies now with {mend}."
    )


def locate_source(name: str | Path, revision: str | None = None) -> Path | None:
    """Folder or file of a source as far as it is on this machine; nothing is downloaded."""
    name = locate(str(name))
    if Path(name).exists():
        return Path(name).resolve()
    return cached(name, revision)


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
    return sha256_of(file)
