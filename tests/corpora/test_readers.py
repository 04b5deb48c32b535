"""Published corpora are read from their official layouts; real annotations where they are."""

import pickle
from pathlib import Path

import pytest

from sign2gpt.corpora.readers import CORPORA
from sign2gpt.corpora.table import TableColumns, read_any_table
from sign2gpt.errors import UserError

HEADER = "name|video|start|end|speaker|orth|translation\n"


@pytest.mark.parametrize("below", ["", "PHOENIX-2014-T"])
def test_phoenix14t(tmp_path: Path, below: str) -> None:
    root = tmp_path / below
    (root / "annotations" / "manual").mkdir(parents=True)
    table = root / "annotations" / "manual" / "PHOENIX-2014-T.dev.corpus.csv"
    table.write_text(HEADER + 'a-1|a-1/1/*.png|-1|-1|Signer08|REGEN|es "regnet morgen\n')
    (clip,) = CORPORA["phoenix14t"].read(tmp_path)
    assert (clip.id, clip.split, clip.signer) == ("a-1", "dev", "Signer08")
    assert (clip.text, clip.fps, float(clip.pixel_shape)) == ('es "regnet morgen', 25.0, 260 / 300)
    assert clip.clip == root / "features/fullFrame-210x260px/dev/a-1"
    (clip.clip / "1").mkdir(parents=True)  # where the table says the frames are
    assert next(CORPORA["phoenix14t"].read(tmp_path)).clip.name == "1"


def csl_labels(root: Path, content: object) -> None:
    (root / "sentence_label").mkdir()
    (root / "sentence_label" / "csl2020ct_v2.pkl").write_bytes(pickle.dumps(content))
    (root / "sentence_label" / "split_1.txt").write_text("name|split\nS1|train\nS2|val\n")


def test_csl_daily_from_its_label_file(tmp_path: Path) -> None:
    record = {"length": 7, "label_char": ["你", "好", "。"], "signer": 3}
    csl_labels(tmp_path, {"info": [{**record, "name": n} for n in ("S1", "S2", "S3")]})
    clips = list(CORPORA["csl-daily"].read(tmp_path))  # S3 is in no split
    assert [(c.id, c.split) for c in clips] == [("S1", "train"), ("S2", "dev")]
    assert (clips[0].text, clips[0].signer, clips[0].annotated_frames) == ("你好。", "3", 7)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)


def test_a_label_file_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    csl_labels(tmp_path, {"info": [Malicious()]})
    with pytest.raises(UserError, match=r"csl2020ct_v2\.pkl is not CSL-Daily's"):
        list(CORPORA["csl-daily"].read(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_how2sign_takes_clips_and_cuts_what_has_none(tmp_path: Path) -> None:
    columns = "VIDEO_ID VIDEO_NAME SENTENCE_ID SENTENCE_NAME START_REALIGNED END_REALIGNED SENTENCE"
    (tmp_path / "how2sign_realigned_val.csv").write_text(
        "\t".join(columns.split())
        + '\nv\tv-5-rgb_front\tv_0\tv_0-5-rgb_front\t1.5\t3\t"He said ""hi""."\n'
        + "v\tv-5-rgb_front\tv_1\tv_1-5-rgb_front\t3\t4\tAnd that's it.\n"
    )
    for name in ("v_0-5-rgb_front", "v-5-rgb_front"):
        (tmp_path / "raw_videos").mkdir(exist_ok=True)
        (tmp_path / "raw_videos" / f"{name}.mp4").touch()
    own, cut = CORPORA["how2sign"].read(tmp_path)
    assert (own.split, own.signer, own.text, own.span) == ("dev", "5", 'He said "hi".', None)
    assert (cut.clip.stem, cut.span, cut.text) == ("v-5-rgb_front", (3.0, 4.0), "And that's it.")


def test_openasl_by_time_stamps(tmp_path: Path) -> None:
    (tmp_path / "openasl-v1.0.tsv").write_text(
        "vid\tyid\tstart\tend\traw-text\ttokenized-text\tgloss\tsplit\n"
        "y-0\ty\t00:00:01.500\t00:01:02.250\tHello.\thello .\t\tvalid\n"
    )
    (clip,) = CORPORA["openasl"].read(tmp_path)
    assert (clip.split, clip.span, clip.text) == ("dev", (1.5, 62.25), "Hello.")


def test_any_table(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("video;satz;von;bis\na/b.mp4;Es regnet.;0:01;2.5\n")
    columns = TableColumns(clip="video", text="satz", only_split="train", start="von", end="bis")
    (clip,) = read_any_table(table, columns)
    assert (clip.id, clip.text, clip.span) == ("a/b@1-2.5", "Es regnet.", (1.0, 2.5))
    with pytest.raises(UserError, match=r"no column 'split'.*video, satz.*--only-split"):
        list(read_any_table(table, TableColumns(clip="video", text="satz")))
    for option, names in (("clip", {"text": "satz"}), ("text", {"clip": "video"})):
        with pytest.raises(UserError, match=rf"no column .*--{option} \(there are video, satz"):
            list(read_any_table(table, TableColumns(only_split="train", **names)))
    table.write_text("video;satz\n;Es regnet.\n")
    (clip,) = read_any_table(table, TableColumns(clip="video", text="satz", only_split="dev"))
    assert "line 2: nothing stands in the column 'video'" in clip.fault
    for option in ("clip", "text", "split"):
        with pytest.raises(UserError, match=f"--{option} is empty"):
            list(read_any_table(table, TableColumns(**{option: ""})))


def test_label_files_with_wrong_values_are_one_sentence(tmp_path: Path) -> None:
    good = {"name": "S1", "length": 7, "label_char": ["你"], "signer": 3}
    csl_labels(tmp_path, {"info": [{**good, "label_char": [1, 2]}]})
    with pytest.raises(UserError, match=r"csl2020ct_v2\.pkl is not CSL-Daily's"):
        list(CORPORA["csl-daily"].read(tmp_path))
    (tmp_path / "sentence_label" / "split_1.txt").write_text("name|split\nS1|train\nS1|val\n")
    with pytest.raises(UserError, match="line 3: S1 is in train already"):
        list(CORPORA["csl-daily"].read(tmp_path))


def test_a_sentence_name_that_no_system_takes_is_a_missing_clip(tmp_path: Path) -> None:
    manual = tmp_path / "annotations" / "manual"
    manual.mkdir(parents=True)
    long = "n" * 300
    row = f"{long}|{long}/1/*.png|-1|-1|Signer08|REGEN|es regnet\n"
    (manual / "PHOENIX-2014-T.dev.corpus.csv").write_text(HEADER + row)
    (clip,) = CORPORA["phoenix14t"].read(tmp_path)
    assert clip.id == long


@pytest.mark.parametrize("name", CORPORA)
def test_missing_annotations_are_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="put"):
        list(CORPORA[name].read(tmp_path))


def test_the_real_annotations(shared_data: Path, tmp_path: Path) -> None:
    manual = tmp_path / "annotations" / "manual"
    manual.mkdir(parents=True)
    for table in (shared_data / "phoenix14t").glob("*.corpus.csv"):
        (manual / table.name).symlink_to(table)
    for name, folder in (("phoenix14t", tmp_path), ("csl-daily", shared_data / "csl_daily")):
        corpus = CORPORA[name]
        clips = list(corpus.read(folder))
        for split, sizes in corpus.sizes.items():
            assert sum(clip.split == split for clip in clips) == sizes[0]
        train = [clip.text for clip in clips if clip.split == "train"]
        if name == "phoenix14t":  # Table 1(a)
            assert len({word for text in train for word in text.split()}) == 2887
        else:
            assert len({character for text in train for character in text}) == 2343
            assert all(clip.annotated_frames > 0 for clip in clips)
