"""CSL-Daily: Chinese, 30 frames a second, 512 x 512.

    csl-daily.{train,dev,test}.tsv       columns name, signer and text, among others
    sentence/frames_512x512/NAME/NNNNNN.jpg

below the corpus folder. The corpus publishes its annotations as a Python pickle, which can run
any code when it is opened; the tables are to be made from it once, by whoever trusts it.
"""

from collections.abc import Iterator
from pathlib import Path

from sign2gpt.data.annotations import frame_folder_row, read_table, split_tables
from sign2gpt.data.manifest import ClipRow

FPS = 30.0


def read_csl_daily(corpus: Path) -> Iterator[ClipRow]:
    """Yield the clips of the splits whose tables are there.

    Raises:
        UserError: no tables, a column missing, or a clip without frames.
    """
    for split, table in split_tables([corpus], "csl-daily.{split}.tsv").items():
        for record in read_table(table, "\t", ("name", "signer", "text")):
            yield frame_folder_row(
                corpus,
                corpus / "sentence" / "frames_512x512" / record["name"],
                id=record["name"],
                split=split,
                text=record["text"],
                signer=record["signer"],
                fps=FPS,
                source="csl_daily",
            )
