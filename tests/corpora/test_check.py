"""The corpus doctor finds what was put in, and what is known of real corpora."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sign2gpt.cli import main
from sign2gpt.corpora.check import check
from sign2gpt.corpora.corpus import SourceClip
from sign2gpt.corpora.prepare import prepare
from sign2gpt.corpora.readers import CORPORA
from sign2gpt.data.manifest import ClipRow, write_manifest
from sign2gpt.video.encode import write_clip

GOOD = np.random.default_rng(0).integers(60, 255, (12, 32, 32, 3), dtype=np.uint8)


def sick_store(root: Path) -> Path:
    films = {
        "good": GOOD,
        "black": np.zeros_like(GOOD),
        "frozen": np.repeat(GOOD[:1], 12, axis=0),
        "short": GOOD[:3],
        "gone": GOOD,
        "cut": GOOD,
    }
    clips = []
    for name, film in films.items():
        write_clip(root / f"{name}.mp4", film, 25)
        clips.append(
            SourceClip(
                id=name,
                split="test" if name == "black" else "train",
                text="gleicher satz" if name in ("good", "black") else f"satz {name}",
                clip=root / f"{name}.mp4",
                annotated_frames=20 if name == "good" else 0,
            )
        )
    store = root / "store"
    prepare(clips, store, "mine", {}, workers=1)
    (store / "clips" / "gone.mp4").unlink()
    whole = (store / "clips" / "cut.mp4").read_bytes()
    (store / "clips" / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    return store


def test_sick_clips_are_found(tmp_path: Path) -> None:
    found = check(sick_store(tmp_path), workers=1)
    assert found.splits == {"train": 5, "test": 1}
    by_text = {finding.text: (finding.level, finding.clips) for finding in found.findings}
    for words, level, clip in (
        ("missing", "error", "gone"),
        ("unreadable", "error", "cut"),
        ("black", "error", "black"),
        ("frozen", "error", "frozen"),
        ("shorter than", "warning", "short"),
        ("fewer frames", "warning", "good"),
        ("1 of 1 test sentences also", "warning", "black"),
    ):
        (entry,) = [value for text, value in by_text.items() if words in text]
        assert entry == (level, [clip]), words
    assert [finding.level for finding in found.findings] == ["error"] * 4 + ["warning"] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("regen .", "a full stop after a space"),
        ("viel  regen", "two spaces"),
        (" regen", "start or end"),
        ("regen！", "full-width"),
        ("blitz &amp; donner", "HTML"),
        ("scho\u0308n", "NFC"),
    ],
)
def test_odd_texts_are_found(tmp_path: Path, text: str, said: str) -> None:
    write_manifest(tmp_path, [ClipRow(id="a", split="train", text=text, path="a.mp4")])
    (finding,) = check(tmp_path, look_at_clips=False).findings
    assert said in finding.text and finding.clips == ["a"]


def test_the_verb_says_it_for_people_and_machines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sick_store(tmp_path)
    for arguments, code in ((["--workers", "1"], 2), (["--no-clips", "--json"], 0)):
        monkeypatch.setattr(sys, "argv", ["sign2gpt", "check", str(store), *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert int(stop.value.code or 0) == code
        out = capfd.readouterr().out
        if code:
            assert "error   1 clip missing from the store.  [gone]" in out
        else:
            assert json.loads(out)["splits"] == {"train": 5, "test": 1}


def test_what_is_known_of_the_real_corpora(shared_data: Path, tmp_path: Path) -> None:
    manual = tmp_path / "src" / "annotations" / "manual"
    manual.mkdir(parents=True)
    for table in (shared_data / "phoenix14t").glob("*.corpus.csv"):
        (manual / table.name).symlink_to(table)
    sources = {"phoenix14t": tmp_path / "src", "csl-daily": shared_data / "csl_daily"}
    said = {}
    for name, folder in sources.items():
        rows = [
            ClipRow(id=c.id, split=c.split, text=c.text, path=f"{c.id}.mp4", source=name)
            for c in CORPORA[name].read(folder)
        ]
        write_manifest(tmp_path / name, rows)
        found = check(tmp_path / name, look_at_clips=False)
        said[name] = " ".join(finding.text for finding in found.findings)
        assert "so scores would not compare" not in said[name]
        write_manifest(tmp_path / name, rows[:-1])
        texts = [f.text for f in check(tmp_path / name, look_at_clips=False).findings]
        assert sum("so scores would not compare" in text for text in texts) == 1
    assert "32 of 642 test sentences also stand in train" in said["phoenix14t"]
    assert "test has 798 distinct sentences among 1,176" in said["csl-daily"]
    assert "S000005_P0004_T00 is" in said["csl-daily"]
    assert "full-width" not in said["csl-daily"]


def test_a_path_that_no_system_takes_is_a_missing_clip(tmp_path: Path) -> None:
    write_manifest(tmp_path, [ClipRow(id="a", split="train", text="x", path="n" * 300)])
    (finding,) = check(tmp_path, workers=1).findings
    assert (finding.level, finding.clips) == ("error", ["a"]) and "missing" in finding.text


def test_clips_that_could_not_be_prepared_are_told(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", GOOD, 25)
    clips = [
        SourceClip(id=name, split=split, text=f"satz {name}", clip=tmp_path / f"{name}.mp4")
        for name, split in (("a", "train"), ("b", "test"))
    ]
    prepare(clips, tmp_path / "store", "mine", {}, workers=1)
    (found,) = check(tmp_path / "store", workers=1).findings
    assert found.level == "warning" and found.clips == ["b"]
    assert found.text.startswith("1 clips of test could not be prepared")
