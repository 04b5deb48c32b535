"""CSL-Daily in its official layout: Chinese, 30 frames a second, 512 x 512.

    sentence/frames_512x512/NAME/NNNNNN.jpg
    sentence_label/csl2020ct_v2.pkl       the sentences
    sentence_label/split_1.txt            NAME|SPLIT

below the corpus folder; or, in place of the two files, csl-daily.{train,dev,test}.tsv with the
columns name, text, signer and, where known, length (in frames). The label file is a pickle, which
could run any code: it is read by an unpickler that knows plain data and nothing else.
"""

import io
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Never

from sign2gpt.corpora.corpus import SPLITS, Corpus, SourceClip, split_tables
from sign2gpt.data.tables import read_records
from sign2gpt.errors import UserError

FPS = 30.0
_MOST_DIGITS = 1000  # Python reads no number of many thousands
_LABELS, _SPLIT_FILES = "csl2020ct_v2.pkl", ("split_1.txt", "split_1_train.txt")


def read_csl_daily(corpus: Path) -> Iterator[SourceClip]:
    """Yield the clips of the label file, or of the splits whose tables are there."""
    places = (corpus / "sentence_label" / _LABELS, corpus / _LABELS)
    labels = next((path for path in places if path.is_file()), None)
    records = _from_tables(corpus) if labels is None else _from_labels(labels)
    for split, record in records:
        yield SourceClip(
            id=record["name"],
            split=split,
            text=record["text"],
            clip=corpus / "sentence" / "frames_512x512" / record["name"],
            signer=str(record["signer"]),
            fps=FPS,
            annotated_frames=int(record.get("length") or 0),
        )


def _from_tables(corpus: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for split, table in split_tables([corpus], "csl-daily.{split}.tsv").items():
        for where, record in read_records(table, ("name", "signer", "text")):
            length = record.get("length") or "0"
            if not str(length).isdecimal() or len(str(length)) > _MOST_DIGITS:
                raise UserError(f"{table}, {where}: the length is {length!r}; give frames.")
            yield split, record


def _from_labels(labels: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    splits = _splits(labels.parent)
    for record in _plain_pickle(labels):
        split = splits.get(record["name"])
        if split is not None:  # the label file has a few clips that no split has
            yield split, {**record, "text": "".join(record["label_char"])}


def _splits(folder: Path) -> dict[str, str]:
    file = next((folder / name for name in _SPLIT_FILES if (folder / name).is_file()), None)
    if file is None:
        raise UserError(
            f"The file of CSL-Daily's splits is not at {folder / _SPLIT_FILES[0]}; put it there."
        )
    splits = {}
    for where, record in read_records(file, ("name", "split")):
        split = {"val": "dev"}.get(record["split"], record["split"])
        if split not in SPLITS:
            raise UserError(f"{file}, {where}: the split is {split!r}; give train, dev or test.")
        if splits.setdefault(record["name"], split) != split:
            raise UserError(
                f"{file}, {where}: {record['name']} is in {splits[record['name']]} already; leave "
                "it in one split."
            )
    return splits


class _PlainData(pickle.Unpickler):
    """Lists, dictionaries, strings and numbers; anything that would call code is refused."""

    def find_class(self, module_name: str, global_name: str) -> Never:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def _plain_pickle(file: Path) -> list[dict[str, Any]]:
    wrong = f"The label file {file} is not CSL-Daily's"
    try:
        content = _PlainData(io.BytesIO(file.read_bytes())).load()
    except Exception as error:  # a damaged pickle fails in as many ways as it can be damaged
        raise UserError(f"{wrong} ({error}); download it again, or give tables.") from error
    records = content.get("info") if isinstance(content, dict) else None
    needed = {"name": str, "label_char": list, "length": int}
    if not isinstance(records, list) or not all(
        isinstance(record, dict)
        and "signer" in record
        and all(isinstance(record.get(name), kind) for name, kind in needed.items())
        and all(isinstance(character, str) for character in record["label_char"])
        for record in records
    ):
        raise UserError(f"{wrong} (its `info` is not a list of clips); download it again.")
    return records


CSL_DAILY = Corpus(
    name="csl-daily",
    title="CSL-Daily",
    language="zh",
    read=read_csl_daily,
    sizes={"train": (18401, 18400), "dev": (1077,), "test": (1176,)},
    known={
        "S000005_P0004_T00": "left out of some copies of train, which then have 18,400 clips",
        "S000007_P0003_T00": "in no split of some label files, in train of others",
    },
    remarks=("The 1,176 test clips have 798 distinct sentences; that is how it was published.",),
)
