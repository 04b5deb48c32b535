"""Where a video's bytes come from: a file of its own, or memory."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, eq=False)
class ClipBytes:
    """The content of a video file, read out of a shard that holds many.

    Attributes:
        name: what error messages call the clip.
        content: the file, byte for byte.
    """

    name: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name


ClipSource = Path | ClipBytes
"""A video file, a folder of frames, or a video file's content."""


def as_source(clip: ClipSource | str) -> ClipSource:
    """A path may come as text."""
    return clip if isinstance(clip, ClipBytes) else Path(clip)


def open_source(clip: ClipSource) -> BinaryIO:
    """A clip's bytes as a file, from its start; memory is not copied."""
    return io.BytesIO(clip.content) if isinstance(clip, ClipBytes) else clip.open("rb")
