"""Manifests come back as written, hand-made ones are read, wrong ones are named."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sign2gpt.data.manifest import ClipRow, read_manifest, write_manifest
from sign2gpt.errors import UserError

FULL = ClipRow(
    id="a",
    split="train",
    text='er sagt "grüß, gott"\n',
    signer="s1",
    frames=116,
    fps=359 / 12,
    width=210,
    height=260,
    path="clips/a.mp4",
    source="phoenix14t",
    sha256="ab" * 32,
)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
rows = st.builds(
    ClipRow,
    id=words,
    split=words,
    path=words.filter(lambda path: Path(path).name),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    frames=st.integers(0, 2**40),
    fps=st.floats(0, 1e6),
)


def test_rows_come_back_as_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("store")

    @given(st.lists(rows, min_size=1, unique_by=lambda row: row.id))
    def round_trip(written: list[ClipRow]) -> None:
        write_manifest(folder, written)
        assert read_manifest(folder) == written

    round_trip()
    write_manifest(folder, [FULL])
    assert read_manifest(folder, "train") == [FULL]
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.parquet"]


def test_split_is_chosen_and_an_unknown_one_names_those_there(tmp_path: Path) -> None:
    made = [ClipRow(id=str(i), split=s, text="", path="p") for i, s in enumerate(["x", "y", "x"])]
    write_manifest(tmp_path, made)
    assert [row.id for row in read_manifest(tmp_path, "x")] == ["0", "2"]
    with pytest.raises(UserError, match=r"'z', only x, y; prepare"):
        read_manifest(tmp_path, "z")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.csv", '\ufeffpath,text,split,frames\n"b/c.mp4","regen, wind",test,\n'),
        ("manifest.tsv", "path\ttext\tsplit\nb/c.mp4\tregen, wind\ttest\n"),
        (
            "manifest.jsonl",
            json.dumps({"path": "b/c.mp4", "text": "regen, wind", "split": "test"}) + "\n\n",
        ),
    ],
)
def test_hand_made_manifests(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    (row,) = read_manifest(tmp_path)
    assert row == ClipRow(id="b/c", split="test", text="regen, wind", path="b/c.mp4")
    assert row.file(tmp_path) == tmp_path / "b" / "c.mp4"


def test_quotes_and_line_ends_in_cells(tmp_path: Path) -> None:
    (tmp_path / "manifest.tsv").write_text('path\ttext\tsplit\na\tdas "meer\tdev\n')
    assert read_manifest(tmp_path)[0].text == 'das "meer'
    (tmp_path / "manifest.tsv").unlink()
    (tmp_path / "manifest.csv").write_text('path,text,split\na,"one\u2028two\nthree",dev\n')
    assert read_manifest(tmp_path)[0].text == "one\u2028two\nthree"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("path,text,split\na,hi,train\n,hi,train\n", "line 3: a manifest line without a clip"),
        ("path,text\na,hi\n", "'split' is missing"),
        ("path,text,split,sigener\na,hi,dev,x\n", "unknown column 'sigener'"),
        ("path,text,split\na,hi,dev\na,ho,dev\n", "'a' was taken by line 2"),
        ("path,text,split,frames\na,hi,dev,many\n", "frames is 'many'"),
        ("path,text,split,frames\na,hi,dev,2.5\n", "a whole number"),
        ("path,text,split,fps\na,hi,dev,-1\n", "fps is '-1'"),
        ("path,text,split\na,hi, ho,dev\n", "line 2: not as many cells"),
        ("path,text,split\na,hi\n", "line 2: not as many cells"),
        ("path,text,split\na,hi,\n", "split is empty"),
        ("path,text,split\n.,hi,dev\n", "line 2: a manifest line without a clip"),
        ("id,path,text,split\na,/,hi,dev\n", "line 2: a manifest line without a clip"),
        ("path,text,text,split\na,hi,ho,dev\n", "2 columns are called 'text'"),
        (f"path,text,split,frames\na,hi,dev,{2**63}\n", "a whole number"),
        ("path,text,split\n", "no clips"),
        ("", "no clips"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(UserError, match=said) as raised:
        read_manifest(tmp_path)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[" * 100_000, "not JSON"),
        ('{"path": "a", "frames": ' + "9" * 5000 + "}", "not JSON"),
        ('{"path": "a", "frames": ' + "9" * 400 + ', "text": "x", "split": "dev"}', "frames is"),
        ('{"path": "a", "text": "x \\ud800", "split": "dev"}', r"'\\ud800' is half of a letter"),
        ('{"path": "a", "text": ["x"], "split": "dev"}', r"text is \['x'\], which is no text"),
        ('{"path": "a", "text": NaN, "split": "dev"}', "text is nan, which is no text"),
    ],
    ids=("deep", "long number", "great number", "half a letter", "list", "no number"),
)
def test_lines_that_are_no_records_are_named(tmp_path: Path, line: str, said: str) -> None:
    good = {"path": "b", "text": "\\ud83d\\ude00", "split": "dev"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(good) + "\n")
    assert len(read_manifest(tmp_path)) == 1
    (tmp_path / "manifest.jsonl").write_text(json.dumps(good) + "\n" + line)
    with pytest.raises(UserError, match="line 2: .*" + said):
        read_manifest(tmp_path)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(UserError, match="has no manifest"):
        read_manifest(tmp_path)
    parquet = tmp_path / "manifest.parquet"
    parquet.write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read_manifest(tmp_path)
    pq.write_table(pa.table({"path": ["a"], "split": ["dev"], "gloss": ["X"]}), parquet)
    with pytest.raises(UserError, match="unknown column 'gloss'"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.csv").touch()
    with pytest.raises(UserError, match=r"manifest\.parquet and manifest\.csv"):
        read_manifest(tmp_path)
    parquet.unlink()
    (tmp_path / "manifest.csv").write_bytes("path,text,split\na,grüß,dev\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.csv").unlink()
    (tmp_path / "manifest.jsonl").write_text('{"path": "a"')
    with pytest.raises(UserError, match="line 1: not JSON"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "wrong", [[], [FULL, FULL], [ClipRow(id="a", split="dev", text="", path=" ")]]
)
def test_wrong_rows_are_not_written(tmp_path: Path, wrong: list[ClipRow]) -> None:
    with pytest.raises(UserError):
        write_manifest(tmp_path, wrong)
    assert not list(tmp_path.iterdir())
