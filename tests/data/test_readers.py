"""Published corpora are read from their official layouts; real annotations where they are."""

from pathlib import Path

import pytest
from PIL import Image

from sign2gpt.data.annotations import read_table
from sign2gpt.data.manifest import read_manifest, write_manifest
from sign2gpt.data.readers import read_corpus
from sign2gpt.errors import UserError

HEADER = "name|video|start|end|speaker|orth|translation\n"


def write_frames(folder: Path, count: int, size: tuple[int, int], name: str) -> None:
    folder.mkdir(parents=True)
    for index in range(1, count + 1):
        Image.new("RGB", size, (index, 0, 0)).save(folder / name.format(index))


def write_phoenix(root: Path) -> None:
    annotations = root / "annotations" / "manual"
    annotations.mkdir(parents=True)
    frames = root / "features" / "fullFrame-210x260px"
    for split, count in (("train", 3), ("dev", 2)):
        name = f"{split}-1"
        line = f'{name}|{name}/1/*.png|-1|-1|Signer08|REGEN|es "regnet morgen\n'
        (annotations / f"PHOENIX-2014-T.{split}.corpus.csv").write_text(HEADER + line)
        write_frames(frames / split / name, count, (21, 26), "images{:04d}.png")


@pytest.mark.parametrize("below", ["", "PHOENIX-2014-T"])
def test_phoenix14t_becomes_a_store(tmp_path: Path, below: str) -> None:
    write_phoenix(tmp_path / below)
    write_manifest(tmp_path, read_corpus("phoenix14t", tmp_path))
    (row,) = read_manifest(tmp_path, "train")
    assert (row.id, row.text, row.signer) == ("train-1", 'es "regnet morgen', "Signer08")
    assert (row.frames, row.fps, row.width, row.height) == (3, 25.0, 21, 26)
    assert len(list(row.file(tmp_path).glob("*.png"))) == 3
    assert read_manifest(tmp_path, "dev")[0].frames == 2


def test_frames_in_the_folder_that_the_table_names(tmp_path: Path) -> None:
    write_phoenix(tmp_path)
    folder = tmp_path / "features" / "fullFrame-210x260px" / "dev" / "dev-1"
    moved = tmp_path / "moved"
    folder.rename(moved)
    folder.mkdir()
    moved.rename(folder / "1")
    rows = list(read_corpus("phoenix14t", tmp_path))
    assert rows[1].path.endswith("dev/dev-1/1") and rows[1].frames == 2


def test_csl_daily(tmp_path: Path) -> None:
    (tmp_path / "csl-daily.test.tsv").write_text(
        "name\tlength\tsigner\ttext\nS1_P0\t2\t3\t你好。\n", encoding="utf-8"
    )
    write_frames(tmp_path / "sentence" / "frames_512x512" / "S1_P0", 2, (8, 8), "{:06d}.jpg")
    (row,) = read_corpus("csl_daily", tmp_path)
    assert (row.text, row.split, row.fps, row.frames) == ("你好。", "test", 30.0, 2)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="phoenix14t, csl_daily"):
        read_corpus("how3sign", tmp_path)
    with pytest.raises(UserError, match=r"PHOENIX-2014-T\.train\.corpus\.csv"):
        list(read_corpus("phoenix14t", tmp_path))
    write_phoenix(tmp_path)
    table = tmp_path / "annotations" / "manual" / "PHOENIX-2014-T.dev.corpus.csv"
    table.write_text(table.read_text() + "gone|gone/1/*.png|-1|-1|S|X|fort\n")
    with pytest.raises(UserError, match=r"no clip at .*gone"):
        list(read_corpus("phoenix14t", tmp_path))
    table.write_text("name|speaker\n")
    with pytest.raises(UserError, match="no column 'translation'"):
        list(read_corpus("phoenix14t", tmp_path))
    table.write_text(HEADER + "a|b|c\n")
    with pytest.raises(UserError, match="line 2"):
        list(read_corpus("phoenix14t", tmp_path))


def test_real_annotations(shared_data: Path) -> None:
    counts = {"train": 7096, "dev": 519, "test": 642}
    for split, count in counts.items():
        table = shared_data / "phoenix14t" / f"PHOENIX-2014-T.{split}.corpus.csv"
        records = list(read_table(table, "|", ("name", "speaker", "translation")))
        assert len(records) == count and all(record["translation"] for record in records)
    counts = {"train": 18401, "dev": 1077, "test": 1176}
    for split, count in counts.items():
        table = shared_data / "csl_daily" / f"csl-daily.{split}.tsv"
        records = list(read_table(table, "\t", ("name", "signer", "text")))
        assert len(records) == count and all(record["text"] for record in records)


def test_a_real_clip_in_the_official_layout(tmp_path: Path, shared_data: Path) -> None:
    annotations = tmp_path / "annotations" / "manual"
    annotations.mkdir(parents=True)
    name = "25October_2010_Monday_tagesschau-17"
    for table in (shared_data / "phoenix14t").glob("*.corpus.csv"):
        header, *lines = table.read_text().splitlines(keepends=True)
        if own := [line for line in lines if line.startswith(f"{name}|")]:
            (annotations / table.name).write_text(header + own[0])
            folder = tmp_path / "features" / "fullFrame-210x260px" / table.name.split(".")[1]
            folder.mkdir(parents=True)
            (folder / name).symlink_to(shared_data / "clips" / f"phoenix_frames_{name}")
    (row,) = read_corpus("phoenix14t", tmp_path)
    assert (row.frames, row.width, row.height) == (2, 210, 260)
