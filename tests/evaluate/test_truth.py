"""Scoring against ground truth, and the controls."""

import json
from pathlib import Path

import numpy as np
import pytest

from sign2gpt.data.manifest import ClipRow
from sign2gpt.errors import UserError
from sign2gpt.evaluate.predict import shuffled
from sign2gpt.evaluate.truth import (
    ClipTruth,
    paraphrase_ceiling,
    random_spots,
    read_truth,
    with_pseudo_gloss,
)
from sign2gpt.metrics import localisation_scores

ROW = ClipRow(id="a", split="test", text="es wird heiß", path="a.mp4", fps=25.0, frames=50)


def test_truth_is_read_in_seconds_and_missing_lines_are_named(tmp_path: Path) -> None:
    line = {
        "id": "a",
        "glosses": [{"gloss": "HEISS", "start": 10, "end": 20}],
        "paraphrases": ["heiß wird es"],
    }
    with pytest.raises(UserError, match=r"no truth\.jsonl"):
        read_truth(tmp_path, [ROW])
    (tmp_path / "truth.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    (truth,) = read_truth(tmp_path, [ROW])
    assert truth.signs == (("HEISS", 0.4, 0.8),)
    other = ClipRow(id="b", split="test", text="", path="b.mp4", fps=25.0)
    with pytest.raises(UserError, match="clip b"):
        read_truth(tmp_path, [other])


def test_only_signs_that_the_sentence_names_are_scored() -> None:
    truth = ClipTruth((("HEISS", 0.0, 0.4), ("REGEN", 0.5, 0.9), ("KALT", 1.0, 1.2)), ())
    assert with_pseudo_gloss([truth], [["heiß", "schauer", "kalt"]]) == [
        [("heiß", 0.0, 0.4), ("kalt", 1.0, 1.2)]
    ]


def test_the_ceiling_is_the_mean_over_wordings_drawn_at_random() -> None:
    references = ["am abend regnet es im norden", "im süden scheint die sonne heute"]
    exact = [ClipTruth((), (text, text)) for text in references]
    assert paraphrase_ceiling(exact, references) == pytest.approx(100)
    half = [ClipTruth((), (text, "ganz anders gesagt hier nun")) for text in references]
    assert 30 < paraphrase_ceiling(half, references, draws=200) < 70


def test_shuffling_gives_every_sentence_to_another_clip() -> None:
    for count in range(2, 12):
        texts = [str(number) for number in range(count)]
        moved = shuffled(texts)
        assert sorted(moved) == sorted(texts)
        assert all(before != after for before, after in zip(texts, moved, strict=True))


def test_random_spots_keep_words_and_lengths_inside_the_clip() -> None:
    spotted = [[("regen", 0.2, 0.6), ("sonne", 1.0, 1.3)]] * 50
    drawn = random_spots(spotted, [2.0] * 50, np.random.default_rng(0))
    for before, after in zip(spotted, drawn, strict=True):
        for (word, start, end), (new_word, new_start, new_end) in zip(before, after, strict=True):
            assert new_word == word and new_end - new_start == pytest.approx(end - start)
            assert new_start >= 0 and new_end <= 2.0 + 1e-9
    assert localisation_scores(drawn, spotted).mean_iou < 0.5
