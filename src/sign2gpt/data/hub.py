"""Datasets on the Hugging Face Hub, by their addresses: ``hf://datasets/USER/NAME[@REVISION]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sign2gpt.errors import UserError, one_line

# A path made of an address has lost a slash.
_ADDRESS = re.compile(r"hf:/{1,2}datasets/([^/@]+/[^/@]+)(?:@([^/@]+))?/?")
_AT_ONCE = 2**16  # bytes asked for at least: more than the short columns of a row group hold


@dataclass(frozen=True)
class HubDataset:
    """A dataset's repository: "USER/NAME", and a branch, tag or commit of it."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://datasets/{self.repository}" + (f"@{self.revision}" if self.revision else "")

    def at_commit(self) -> HubDataset:
        """The dataset as it is now: rows and shards read from here on are of one commit.

        Without the Hub, the commit that lies in its cache.
        """
        from huggingface_hub import HfApi, constants, snapshot_download

        with reaching_hub(self):
            if constants.HF_HUB_OFFLINE:
                place = snapshot_download(
                    self.repository, repo_type="dataset", revision=self.revision,
                    local_files_only=True,
                )  # fmt: skip
                return HubDataset(self.repository, Path(place).name)
            found = HfApi().dataset_info(self.repository, revision=self.revision)
        return HubDataset(self.repository, found.sha or self.revision)

    def folder(self) -> Path:
        """Its Parquet files on this machine, fetched into the Hub's cache where they are not."""
        from huggingface_hub import snapshot_download

        with reaching_hub(self):
            return Path(
                snapshot_download(
                    self.repository,
                    repo_type="dataset",
                    revision=self.revision,
                    allow_patterns=["*.parquet", "README.md"],
                )
            )

    def fetch(self, file: str) -> str:
        """One file's path on this machine, fetched into the Hub's cache where it is not."""
        from huggingface_hub import hf_hub_download

        with reaching_hub(self):
            return hf_hub_download(
                self.repository, file, repo_type="dataset", revision=self.revision
            )

    def files(self) -> list[str]:
        """The paths of all its files."""
        from huggingface_hub import HfApi

        with reaching_hub(self):
            return HfApi().list_repo_files(
                self.repository, repo_type="dataset", revision=self.revision
            )

    @contextmanager
    def open(self, file: str) -> Iterator[Any]:
        """A file of which parts are read over the network."""
        from huggingface_hub import HfFileSystem

        system, address = HfFileSystem(), f"{self}/{file}"
        with reaching_hub(self), system.open(address, "rb", block_size=_AT_ONCE) as opened:
            yield opened


def hub_dataset(place: object) -> HubDataset | None:
    """The dataset that an address names; None for a place on this machine.

    Raises:
        UserError: an address on the Hub that names none.
    """
    text = str(place)
    if not text.startswith("hf:/"):
        return None
    if found := _ADDRESS.fullmatch(text):
        return HubDataset(found[1], found[2])
    raise UserError(f"{place} names no dataset of the Hub; write hf://datasets/USER/NAME.")


@contextmanager
def reaching_hub(dataset: HubDataset) -> Iterator[None]:
    """Turns what a missing network, repository or permission breaks into a sentence."""
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        yield
    except (OSError, HTTPError, HFValidationError) as error:  # the Hub's own are OSErrors too
        raise UserError(
            f"{dataset} cannot be reached on the Hub ({one_line(error)}); check its name, your "
            "network and, if it is private, that you are logged in (`hf auth login`)."
        ) from error
