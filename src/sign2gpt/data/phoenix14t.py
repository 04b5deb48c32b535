"""RWTH-PHOENIX-Weather 2014T in its official layout: German, 25 frames a second, 210 x 260.

    annotations/manual/PHOENIX-2014-T.{train,dev,test}.corpus.csv
    features/fullFrame-210x260px/{train,dev,test}/NAME/imagesNNNN.png

below the corpus folder, or below PHOENIX-2014-T/ in it as the archive unpacks.
"""

from collections.abc import Iterator
from pathlib import Path

from sign2gpt.data.annotations import frame_folder_row, read_table, split_tables
from sign2gpt.data.manifest import ClipRow

FPS = 25.0


def read_phoenix14t(corpus: Path) -> Iterator[ClipRow]:
    """Yield the clips of the splits whose annotations are there.

    Raises:
        UserError: no annotations, a column missing, or a clip without frames.
    """
    roots = [corpus, corpus / "PHOENIX-2014-T", corpus / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"]
    tables = split_tables(
        [root / "annotations" / "manual" for root in roots], "PHOENIX-2014-T.{split}.corpus.csv"
    )
    for split, table in tables.items():
        frames = table.parents[2] / "features" / "fullFrame-210x260px" / split
        for record in read_table(table, "|", ("name", "speaker", "translation")):
            # The table's `video` says NAME/1/*.png, while the frames lie in NAME itself.
            folder = frames / record["name"]
            nested = folder / "1"
            yield frame_folder_row(
                corpus,
                nested if nested.is_dir() else folder,
                id=record["name"],
                split=split,
                text=record["translation"],
                signer=record["speaker"],
                fps=FPS,
                source="phoenix14t",
            )
