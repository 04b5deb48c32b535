"""How2Sign in its official layout: American Sign Language, English sentences.

    how2sign_realigned_{train,val,test}.csv      separated by tabs
    SENTENCE_NAME.mp4                            the frontal RGB clips (raw_videos/)

anywhere below the corpus folder. Where a sentence's clip is not there but VIDEO_NAME.mp4 is, the
clip is cut out of that video by START_REALIGNED and END_REALIGNED.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sign2gpt.corpora.corpus import Corpus, SourceClip, clip_or_cut, find_tables, videos_below
from sign2gpt.corpora.times import seconds
from sign2gpt.data.tables import read_records

_COLUMNS = ("VIDEO_NAME", "SENTENCE_NAME", "START_REALIGNED", "END_REALIGNED", "SENTENCE")
_NAMES = {
    split: f"how2sign_realigned_{theirs}.csv"
    for split, theirs in (("train", "train"), ("dev", "val"), ("test", "test"))
}
_SIGNER = re.compile(r"-(\d+)-rgb")


def read_how2sign(corpus: Path) -> Iterator[SourceClip]:
    """Yield the clips of the splits whose annotations are there."""
    tables = find_tables(corpus, _NAMES)
    videos = videos_below(corpus)
    for split, table in tables.items():
        for where, record in read_records(table, _COLUMNS):
            name, video = record["SENTENCE_NAME"], record["VIDEO_NAME"]
            signer = _SIGNER.search(video)
            start, end = (seconds(record[column], f"{table}, {where}") for column in _COLUMNS[2:4])
            missing = corpus / "raw_videos" / f"{name}.mp4"
            clip, span = clip_or_cut(videos, name, video, (start, end)) or (missing, None)
            yield SourceClip(
                id=name,
                split=split,
                text=record["SENTENCE"],
                clip=clip,
                signer=signer.group(1) if signer else "",
                span=span,
            )


HOW2SIGN = Corpus(
    name="how2sign",
    title="How2Sign (realigned)",
    language="en",
    read=read_how2sign,
    # As in the tables; as frontal clips can be downloaded; as in the paper.
    sizes={"train": (31165, 31048, 31128), "dev": (1741, 1739), "test": (2357, 2343, 2322)},
    known={
        f"{name}-rgb_front": "reported to show no signing"
        for name in ("fzrJBu2qsM8_11-8", "g3Cc_1-V31U_23-3", "FzoUVr98JmQ_0-8")
    },
    remarks=("The tables name 133 sentences whose frontal clip was never published.",),
)
