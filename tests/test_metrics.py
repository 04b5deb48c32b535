"""Scores equal the published convention's to four decimals, and behave as scores must."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sign2gpt.errors import UserError
from sign2gpt.metrics import (
    bleu_rouge,
    interval_iou,
    localisation_scores,
    presence_scores,
    read_lines,
    spaced_characters,
)

NAMES = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l")
SENTENCE = st.lists(st.sampled_from("abcde"), max_size=8).map(" ".join)
LONG_SENTENCE = st.lists(st.sampled_from("abcde"), min_size=4, max_size=8).map(" ".join)
SPAN = st.tuples(st.floats(0, 100), st.floats(0, 100)).map(lambda pair: tuple(sorted(pair)))


@pytest.fixture(scope="module")
def expected(shared_data: Path) -> dict:
    return json.loads((shared_data / "metrics" / "expected.json").read_text(encoding="utf-8"))


def test_reference_scores_of_whole_systems(shared_data: Path, expected: dict) -> None:
    for name, wanted in expected["paper"].items():
        scores = _score_files(shared_data / "metrics", name, "paper")
        assert scores == pytest.approx(wanted, abs=6e-5), name


def test_reference_scores_in_the_other_convention(shared_data: Path, expected: dict) -> None:
    for name, conventions in expected["other_conventions"].items():
        scores = _score_files(shared_data / "metrics", name, "sacrebleu")
        wanted = conventions["sacrebleu_13a_exp"]
        assert {key: scores[key] for key in wanted} == pytest.approx(wanted, abs=6e-5), name


def test_reference_edge_cases(expected: dict) -> None:
    for name, case in expected["edge_cases"].items():
        scores = bleu_rouge(case["hyp"], case["ref"])
        wanted = [case[key] for key in (*NAMES[:4], "rouge")]
        assert [getattr(scores, key) for key in NAMES] == pytest.approx(wanted, abs=6e-5), name


def _score_files(folder: Path, name: str, convention: str) -> dict[str, float]:
    sides = [read_lines(folder / f"{name}.{side}.txt") for side in ("hyp", "ref")]
    scores = bleu_rouge(*sides, convention=convention)
    return {key: getattr(scores, key) for key in NAMES}


def test_scores_worked_out_by_hand() -> None:
    # 4 of 5 words; 2 of 4 pairs; 1 of 3 triples; no quadruple. LCS 4: precision = recall = 4/5.
    scores = bleu_rouge(["a b c x e"], ["a b c d e"])
    assert scores.bleu2 == pytest.approx(100 * (4 / 5 * 2 / 4) ** 0.5)
    assert scores.bleu4 == 0 and scores.rouge_l == pytest.approx(80)
    assert bleu_rouge(["a b c x e"], ["a b c d e"], "sacrebleu").bleu4 > 0  # smoothed
    # LCS 2, precision 2/2, recall 2/4: 2.44 * 0.5 / (0.5 + 1.44)
    assert bleu_rouge(["a c"], ["a b c d"]).rouge_l == pytest.approx(100 * 1.22 / 1.94)


def test_signature_tells_the_convention() -> None:
    paper, other = (bleu_rouge(["a"], ["a"], name) for name in ("paper", "sacrebleu"))
    assert "tok:none" in paper.signature and "smooth:floor[0.00]" in paper.signature
    assert "tok:13a" in other.signature and "smooth:exp" in other.signature
    assert "beta:1.2" in paper.signature and (paper.convention, other.convention) == (
        "paper",
        "sacrebleu",
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(LONG_SENTENCE, min_size=1, max_size=5))
def test_a_perfect_translation_scores_100(sentences: list[str]) -> None:
    scores = bleu_rouge(sentences, sentences)
    assert [getattr(scores, name) for name in NAMES] == pytest.approx([100] * 5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6), st.randoms())
def test_the_order_of_the_clips_does_not_matter(pairs, random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    first, second = (
        bleu_rouge(*map(list, zip(*group, strict=True))) for group in (pairs, shuffled)
    )
    for name in NAMES:
        assert getattr(first, name) == pytest.approx(getattr(second, name))
        assert 0 <= getattr(first, name) <= 100.0001


@settings(max_examples=100, deadline=None)
@given(SENTENCE, SENTENCE)
def test_rouge_follows_the_longest_common_subsequence(hypothesis: str, reference: str) -> None:
    a, b = hypothesis.split(" "), reference.split(" ")
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longest = max(table[i, j + 1], table[i + 1, j])
            table[i + 1, j + 1] = table[i, j] + 1 if x == y else longest
    common = table[-1, -1]
    f = 2.44 * common / (len(b) * 1.44 + len(a)) if common else 0
    assert bleu_rouge([hypothesis], [reference]).rouge_l == pytest.approx(100 * f)


def test_a_thousand_sentences_take_less_than_a_few_seconds() -> None:
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(list("abcdefghij"), 30)) for _ in range(1000)]
    start = time.process_time()
    bleu_rouge(lines, lines[::-1])
    assert time.process_time() - start < 4  # 0.5 s on an idle core


@pytest.mark.parametrize(
    ("hypotheses", "references"), [([], []), (["a"], []), (["a", "b"], ["a"]), ("ab", "ab")]
)
def test_sentences_that_do_not_pair_are_refused(hypotheses, references) -> None:
    with pytest.raises(UserError, match=r"as many|list"):
        bleu_rouge(hypotheses, references)


def test_unknown_convention_is_refused() -> None:
    with pytest.raises(UserError, match=r"'bleurt'.*'paper'"):
        bleu_rouge(["a"], ["a"], "bleurt")


def test_characters_of_chinese() -> None:
    assert spaced_characters("你们 好！50") == "你 们 好 ！ 5 0"
    unsplit = bleu_rouge(["今天下雪。"], ["今天下雨。"])
    split = bleu_rouge(*[[spaced_characters(s)] for s in ("今天下雪。", "今天下雨。")])
    assert unsplit.bleu1 == 0 and split.bleu1 == pytest.approx(80)


def test_lines_keep_their_spaces(tmp_path: Path) -> None:
    path = tmp_path / "hypotheses.txt"
    path.write_bytes("\ufeffa b \r\n\n ä\u2028c\x0cd\n".encode())
    assert read_lines(path) == ["a b ", "", " ä\u2028c\x0cd"]
    path.write_bytes(b"last line without newline")
    assert read_lines(path) == ["last line without newline"]
    path.write_bytes(b"")
    assert read_lines(path) == []


def test_unreadable_lines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_lines(tmp_path / "absent.txt")
    (tmp_path / "latin.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_lines(tmp_path / "latin.txt")


def test_presence_scores_pool_all_entries() -> None:
    presence = np.array([[0.9, 0.3, 0.1], [0.2, 0.21, 0.0]])  # 0.2 itself is not above 0.2
    labels = np.array([[1, 0, 1], [1, 1, 0]])
    scores = presence_scores(presence, labels)
    assert (scores.precision, scores.recall) == pytest.approx((2 / 3, 2 / 4))
    assert scores.f1 == pytest.approx(4 / 7)
    assert presence_scores(presence, labels, threshold=0.5).precision == 1


def test_presence_scores_of_nothing_are_zero() -> None:
    zeros, ones = np.zeros((2, 3)), np.ones((2, 3))
    assert presence_scores(zeros, ones).precision == presence_scores(zeros, ones).f1 == 0
    assert presence_scores(zeros, zeros).f1 == 0


@pytest.mark.parametrize(
    ("presence", "labels"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(3), np.zeros(3)),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.full((1, 1), np.nan), np.ones((1, 1))),
    ],
)
def test_presence_that_cannot_be_scored_is_refused(presence, labels) -> None:
    with pytest.raises(UserError):
        presence_scores(presence, labels)


@given(SPAN, SPAN)
def test_iou_is_symmetric_and_bounded(a, b) -> None:
    assert interval_iou(a, b) == interval_iou(b, a)
    assert 0 <= interval_iou(a, b) <= 1 + 1e-9
    assert interval_iou(a, a) == (1 if a[0] < a[1] else 0)


def test_iou_by_hand() -> None:
    assert interval_iou((0, 4), (2, 6)) == pytest.approx(2 / 6)
    assert interval_iou((0, 1), (1, 2)) == 0
    for broken in [(2, 1), (0, float("nan"))]:
        with pytest.raises(UserError, match="ends before it starts"):
            interval_iou(broken, (0, 1))


def test_localisation_takes_the_best_interval_of_the_same_word_and_clip() -> None:
    truth = [[("SUN", 0, 4), ("RAIN", 4, 8), ("INDEX", 8, 9)], [("SUN", 2, 6)], [("RAIN", 0, 2)]]
    spotted = [[("sun", 0, 1), ("sun", 0, 2), ("rain", 9, 11)], [("sun", 2, 6)], [("sun", 0, 2)]]
    words = {"SUN": "sun", "RAIN": "rain"}
    scores = localisation_scores(spotted, truth, words)
    assert scores.num_signs == 4  # INDEX has no pseudo-gloss
    assert scores.mean_iou == pytest.approx((0.5 + 0 + 1 + 0) / 4)
    assert scores.matched_share == scores.touched_share == 0.5
    assert localisation_scores(spotted, truth, words, match_iou=0.6).matched_share == 0.25
    assert localisation_scores(truth, truth).mean_iou == 1


def test_localisation_that_cannot_be_scored_is_refused() -> None:
    for spotted, truth in [([], []), ([[]], []), ([[]], [[]]), ([[]], [[("INDEX", 0, 1)]])]:
        with pytest.raises(UserError):
            localisation_scores(spotted, truth, {"SUN": "sun"})
