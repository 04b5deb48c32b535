"""RWTH-PHOENIX-Weather 2014T in its official layout: German, 25 frames a second, 210 x 260.

    annotations/manual/PHOENIX-2014-T.{train,dev,test}.corpus.csv
    features/fullFrame-210x260px/{train,dev,test}/NAME/imagesNNNN.png

below the corpus folder, or below PHOENIX-2014-T/ in it as the archive unpacks. The frames are
squeezed: they are to be seen at 210 x 300.
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from sign2gpt.corpora.corpus import Corpus, SourceClip, split_tables
from sign2gpt.data.tables import read_records

FPS = 25.0
PIXEL_SHAPE = Fraction(260, 300)


def read_phoenix14t(corpus: Path) -> Iterator[SourceClip]:
    """Yield the clips of the splits whose annotations are there."""
    roots = [corpus, corpus / "PHOENIX-2014-T", corpus / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"]
    tables = split_tables(
        [root / "annotations" / "manual" for root in roots], "PHOENIX-2014-T.{split}.corpus.csv"
    )
    for split, table in tables.items():
        frames = table.parents[2] / "features" / "fullFrame-210x260px" / split
        for _, record in read_records(table, ("name", "speaker", "translation")):
            # The table's `video` says NAME/1/*.png, while the frames lie in NAME itself.
            folder = frames / record["name"]
            nested = folder / "1"
            yield SourceClip(
                id=record["name"],
                split=split,
                text=record["translation"],
                clip=nested if os.path.isdir(nested) else folder,
                signer=record["speaker"],
                fps=FPS,
                pixel_shape=PIXEL_SHAPE,
            )


PHOENIX14T = Corpus(
    name="phoenix14t",
    title="RWTH-PHOENIX-Weather 2014T",
    language="de",
    read=read_phoenix14t,
    sizes={"train": (7096,), "dev": (519,), "test": (642,)},
    remarks=("32 of the 642 test sentences also stand in train; that is how it was published.",),
)
