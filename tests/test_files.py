"""Files stand whole or not at all, on a full disk too, and the file that is meant is named."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file
from torch import zeros

from sign2gpt.cli import main
from sign2gpt.corpora.corpus import SourceClip
from sign2gpt.corpora.prepare import prepare
from sign2gpt.data.manifest import ClipRow, write_manifest
from sign2gpt.files import write_whole
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.video.encode import write_clip


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The system refuses to write files longer than `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def said(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> str:
    """The one sentence in which a command ends."""
    monkeypatch.setattr(sys, "argv", ["sign2gpt", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    return line


def test_what_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path) -> None:
    words = PseudoGlossVocabulary({"regen" * 9: 1})
    noise = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), np.uint8)
    row = ClipRow(id="a", split="train", text="x", path="a.mp4")
    for name, write in {
        "text": lambda path: write_whole(path, "long" * 99),
        "words.json": words.save,
        "manifest.parquet": lambda path: write_manifest(path.parent, [row]),
        "clip.mp4": lambda path: write_clip(path, noise, 25.0),
    }.items():
        path = tmp_path / name
        path.write_text("before")
        with files_up_to(100), pytest.raises(OSError, match="large") as refused:
            write(path)
        assert refused.value.filename == str(path)
        assert path.read_text() == "before"
        path.unlink()
        assert not list(tmp_path.iterdir()), name


def test_a_full_disk_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    table = tmp_path / "t.csv"
    table.write_text("text\nviele regenwolken\nviel sonne\nnebel\n")
    words = ("pseudo-gloss", table, "--tagger", "plain:de", "--out", "/dev/full")
    line = said(capfd, monkeypatch, *words)
    assert "/dev/full cannot be used (No space left on device); free some space" in line
    assert Path("/dev/full").is_char_device()


def test_clips_on_a_disk_without_room_are_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (25, 64, 64, 3), np.uint8)
    write_clip(tmp_path / "a.mp4", noise, 25.0)
    (tmp_path / "t.csv").write_text("path,text,split\na.mp4,x,train\n")
    store = tmp_path / "store"
    with files_up_to(5000):
        line = said(
            capfd, monkeypatch, "prepare", "table", tmp_path / "t.csv", store, "--workers", "1"
        )
    assert f"{store / 'clips' / 'a.mp4'} cannot be used (File too large)" in line
    assert not list((store / "clips").iterdir())


def test_weights_that_find_no_room_are_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        with files_up_to(100):
            save_file({"a": zeros(999)}, tmp_path / "model.safetensors")

    monkeypatch.setattr("sign2gpt.cli.app", refused)  # any verb that writes a model
    assert "cannot be read or written (SafetensorError: " in said(capfd, monkeypatch)


def test_prepare_names_the_file_that_is_meant(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", np.zeros((3, 32, 32, 3), np.uint8), 25.0)
    clip = SourceClip(id="a", split="train", text="x", clip=tmp_path / "a.mp4")
    prepare([clip], tmp_path / "store", "mine", {}, workers=1)
    (tmp_path / "store" / "prepare.report.json").unlink()
    (tmp_path / "store" / "prepare.report.json").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        prepare([clip], tmp_path / "store", "mine", {}, workers=1)
    assert refused.value.filename == str(tmp_path / "store" / "prepare.report.json")
