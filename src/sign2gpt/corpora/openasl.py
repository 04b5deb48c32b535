"""OpenASL as it is published: American Sign Language from YouTube, English sentences.

    openasl-v1.0.tsv      vid, yid, start, end, raw-text, split, among others
    VID.mp4               clips that have been cut already, or
    YID.mp4               the videos, out of which the clips are cut by start and end

anywhere below the corpus folder.
"""

from collections.abc import Iterator
from pathlib import Path

from sign2gpt.corpora.corpus import (
    SPLITS,
    Corpus,
    SourceClip,
    clip_or_cut,
    find_tables,
    videos_below,
)
from sign2gpt.corpora.times import seconds
from sign2gpt.data.tables import read_records
from sign2gpt.errors import UserError


def read_openasl(corpus: Path) -> Iterator[SourceClip]:
    """Yield the clips of the table."""
    table = find_tables(corpus, {"all": "openasl-v1.0.tsv"})["all"]
    videos = videos_below(corpus)
    for where, record in read_records(table, ("vid", "yid", "start", "end", "raw-text", "split")):
        split = {"valid": "dev", "val": "dev"}.get(record["split"], record["split"])
        if split not in SPLITS:
            raise UserError(f"{table}, {where}: the split is {split!r}; give train, valid or test.")
        name, video = record["vid"], record["yid"]
        start, end = (seconds(record[column], f"{table}, {where}") for column in ("start", "end"))
        missing = corpus / "raw-video" / f"{video}.mp4"
        clip, span = clip_or_cut(videos, name, video, (start, end)) or (missing, (start, end))
        yield SourceClip(
            id=name,
            split=split,
            text=record["raw-text"],
            clip=clip,
            span=span,
        )


OPENASL = Corpus(
    name="openasl",
    title="OpenASL",
    language="en",
    read=read_openasl,
    sizes={"train": (96476,), "dev": (966,), "test": (975,)},
    remarks=("Videos vanish from YouTube: what is missing now differs from what was scored.",),
)
