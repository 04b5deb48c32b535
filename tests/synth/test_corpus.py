"""Corpora: the same every time, whole after a break, and fair in their splits."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sign2gpt.data.manifest import read_manifest
from sign2gpt.errors import UserError
from sign2gpt.synth.corpus import make_corpus, plan_clip, render_clip, train_document
from sign2gpt.video.decode import read_clip

CLIPS = 26


def contents(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), clips=CLIPS, seed=3, workers=1)


def test_manifest_says_what_the_clips_are(store: Path) -> None:
    rows = read_manifest(store)
    assert len(rows) == CLIPS
    assert {row.split for row in rows} == {"train", "dev", "test"}
    for row in rows[::5]:
        clip = read_clip(row.file(store))
        assert clip.frames.shape == (row.frames, row.height, row.width, 3)
        assert clip.frames.shape[1:] == (256, 256, 3)
        assert clip.fps == pytest.approx(row.fps) == 25
        assert row.sha256 == hashlib.sha256(row.file(store).read_bytes()).hexdigest()
        assert row.frames <= 130


def test_decoded_pictures_are_those_that_were_drawn(store: Path) -> None:
    row = read_manifest(store)[4]
    drawn = np.stack(list(render_clip(plan_clip(4, seed=3), seed=3)[0]))
    decoded = read_clip(row.file(store)).frames
    error = np.abs(drawn.astype(int) - decoded).mean()
    assert error < 6, error


def test_truth_lies_within_the_clips(store: Path) -> None:
    frames = {row.id: row.frames for row in read_manifest(store)}
    lines = [json.loads(line) for line in (store / "truth.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == list(frames)
    for number, line in enumerate(lines):
        plan = plan_clip(number, seed=3)
        assert [span["gloss"] for span in line["glosses"]] == list(plan.glosses)
        edges = [edge for span in line["glosses"] for edge in (span["start"], span["end"])]
        assert edges == sorted(set(edges))
        assert edges[0] > 0
        assert edges[-1] < frames[line["id"]]
        assert len(line["paraphrases"]) == 8  # drawn as the sentence was, which may come again
        assert len({plan.text, *line["paraphrases"]}) >= 2


def test_two_workers_make_the_same_bytes(store: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    make_corpus(
        tmp_path / "new", CLIPS, 3, workers=2, progress=lambda now, total: done.append((now, total))
    )
    assert contents(tmp_path / "new") == contents(store)
    assert done == [(now, CLIPS) for now in range(1, CLIPS + 1)]


def test_a_broken_run_goes_on_and_a_finished_one_changes_nothing(
    store: Path, tmp_path: Path
) -> None:
    out = make_corpus(tmp_path / "corpus", CLIPS, 3, workers=1)
    kept = out / "clips" / "00001.mp4"
    written = kept.stat().st_mtime_ns
    for lost in ("clips/00000.mp4", "clips/00007.mp4", "truth.jsonl", "manifest.parquet"):
        (out / lost).unlink()
    (out / "clips" / ".00007.mp4.1234").write_bytes(b"half")  # of a process that was killed
    make_corpus(out, CLIPS, 3, workers=1)
    assert contents(out) == contents(store)
    assert kept.stat().st_mtime_ns == written
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    make_corpus(out, CLIPS, 3)
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


@pytest.mark.parametrize("other", [{"clips": CLIPS + 1}, {"seed": 4}])
def test_another_corpus_into_the_same_folder_is_refused(store: Path, other: dict[str, int]) -> None:
    before = contents(store)
    with pytest.raises(UserError, match="other arguments"):
        make_corpus(store, **({"clips": CLIPS, "seed": 3} | other))
    assert contents(store) == before


def test_a_clip_follows_from_seed_and_number() -> None:
    assert plan_clip(17, seed=5) == plan_clip(17, seed=5)
    assert plan_clip(17, seed=5) != plan_clip(17, seed=6)
    first, second = (list(render_clip(plan_clip(17, 5), 5)[0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_clip_shows_the_same_in_every_language() -> None:
    for number in range(120):
        german, english = (plan_clip(number, 5, language) for language in ("de", "en"))
        assert german == replace(english, text=german.text, paraphrases=german.paraphrases)
        assert not {german.text, *german.paraphrases} & {english.text, *english.paraphrases}


def test_an_english_corpus_has_the_videos_of_the_german_one(store: Path, tmp_path: Path) -> None:
    english = make_corpus(tmp_path / "corpus", CLIPS, 3, workers=1, language="en")
    made, known = contents(english), contents(store)
    assert made.keys() == known.keys()
    assert {path for path in made if made[path] != known[path]} == {
        "corpus.json", "manifest.parquet", "truth.jsonl",
    }  # fmt: skip
    assert json.loads((english / "corpus.json").read_text())["language"] == "en"
    lines = [json.loads(line) for line in (english / "truth.jsonl").read_text().splitlines()]
    for number, (row, line) in enumerate(zip(read_manifest(english), lines, strict=True)):
        plan = plan_clip(number, 3, "en")
        assert (row.text, line["paraphrases"]) == (plan.text, list(plan.paraphrases))
    with pytest.raises(UserError, match="other arguments"):
        make_corpus(english, CLIPS, 3)


@pytest.mark.parametrize("language", ["de", "en"])
def test_splits_share_no_sentence_and_have_signers_of_their_own(language: str) -> None:
    plans = [plan_clip(number, language=language) for number in range(880)]
    assert Counter(plan.split for plan in plans) == {"train": 800, "dev": 30, "test": 50}
    parts = {s: [plan for plan in plans if plan.split == s] for s in ("train", "dev", "test")}
    for one, two in (("train", "dev"), ("train", "test"), ("dev", "test")):
        for what in (lambda plan: plan.text, lambda plan: plan.glosses):
            assert not {what(p) for p in parts[one]} & {what(p) for p in parts[two]}
    signers = {split: {plan.signer for plan in part} for split, part in parts.items()}
    unseen = {split: signers[split] - signers["train"] for split in ("dev", "test")}
    assert not unseen["dev"] & unseen["test"]
    for split in ("dev", "test"):
        share = np.mean([plan.signer in unseen[split] for plan in parts[split]])
        assert 1 / 3 <= share <= 2 / 3


@pytest.mark.parametrize("language", ["de", "en"])
def test_train_documents_hold_no_wording_of_a_held_out_clip(language: str) -> None:
    rng = np.random.default_rng(0)
    documents = [train_document(rng, language) for _ in range(1000)]
    assert {len(document) for document in documents} == {1, 2, 3, 4, 5}
    lines = {line for document in documents for line in document}
    assert len(lines) > 2000
    plans = [plan_clip(number, language=language) for number in range(440)]
    held_out = [plan for plan in plans if plan.split != "train"]
    assert not lines & {text for plan in held_out for text in (plan.text, *plan.paraphrases)}


def test_annotations_are_signed_as_they_stand(tmp_path: Path) -> None:
    table = tmp_path / "mine.dev.corpus.csv"
    table.write_text(
        "name|video|start|end|speaker|orth|translation\n"
        "clip-a|clip-a/1/*.png|-1|-1|Signer08|__ON__ loc-NORD NORD+REGION neg-KOMMEN|ein satz\n"
        "clip-b|clip-b/1/*.png|-1|-1|Signer02|WETTER+NACHT|noch ein satz\n",
        encoding="utf-8",
    )
    out = make_corpus(tmp_path / "out", annotations=table, workers=1)
    rows = read_manifest(out)
    assert [(row.id, row.split, row.signer, row.text) for row in rows] == [
        ("clip-a", "dev", "Signer08", "ein satz"),
        ("clip-b", "dev", "Signer02", "noch ein satz"),
    ]
    truth = json.loads((out / "truth.jsonl").read_text().splitlines()[0])
    signed = [span["gloss"] for span in truth["glosses"]]
    assert signed == ["__ON__", "loc-NORD", "NORD+REGION", "neg-KOMMEN"]


def test_real_annotations_are_signed(shared_data: Path, tmp_path: Path) -> None:
    table = shared_data / "phoenix14t" / "PHOENIX-2014-T.test.corpus.csv"
    rows = read_manifest(make_corpus(tmp_path, clips=3, annotations=table, workers=1))
    assert [row.split for row in rows] == ["test"] * 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a|b\n1|2\n", "no column 'name'"),
        ("name|speaker|orth|translation\n../x|S|A|t\n", "'../x'"),
        ("name|speaker|orth|translation\nx|S|A|t\nx|S|B|t\n", "'x'"),
    ],
)
def test_bad_annotations_are_refused(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        make_corpus(tmp_path / "out", annotations=tmp_path / "bad.csv")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dev or test"):
        make_corpus(tmp_path / "few", clips=5)
    with pytest.raises(UserError, match=r"'fr'.*'de' and 'en'"):
        make_corpus(tmp_path / "french", language="fr")
    with pytest.raises(UserError, match="no table at"):
        make_corpus(tmp_path / "none", annotations=tmp_path / "none.csv")
    for name in ("manifest.parquet", "manifest.csv", "clips"):
        folder = tmp_path / f"holds-{name}"
        folder.mkdir()
        (folder / name).touch()
        with pytest.raises(UserError, match=f"another store or other files .{name}"):
            make_corpus(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [("corpus.json", b"{"), ("corpus.json", b"\xff\xfe"), ("truth.jsonl", b"{\n")],
)
def test_a_damaged_file_of_a_corpus_is_named(
    store: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    for kept in ("corpus.json", "manifest.parquet", "truth.jsonl"):
        (tmp_path / kept).write_bytes((store / kept).read_bytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        make_corpus(tmp_path, CLIPS, 3)


def test_a_second_manifest_is_found_before_any_work(store: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_bytes((store / "corpus.json").read_bytes())
    (tmp_path / "manifest.csv").touch()
    with pytest.raises(UserError, match=r"manifest\.csv"):
        make_corpus(tmp_path, CLIPS, 3)
