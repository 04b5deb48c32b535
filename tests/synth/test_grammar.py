"""Meanings, their signs and their wordings."""

import re

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from sign2gpt.synth.grammar import (
    Meaning,
    glosses,
    inventory,
    paraphrases,
    random_meaning,
    realise,
)
from sign2gpt.synth.templates import TEMPLATES

seeds = st.integers(0, 2**63 - 1)


def bleu(hypotheses: list[str], references: list[str]) -> float:
    return sacrebleu.corpus_bleu(hypotheses, [references]).score


@given(seeds)
def test_a_meaning_is_signed_and_worded_within_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    meaning = random_meaning(rng)
    assert 3 <= len(glosses(meaning)) <= 7
    assert set(glosses(meaning)) <= set(inventory())
    text = realise(meaning, rng)
    assert re.fullmatch(r"[a-zäöüß]+( [a-zäöüß]+)+", text), text
    assert 4 <= len(text.split()) <= 21
    wordings = paraphrases(meaning, 8, rng)
    assert len(set(wordings)) == len(wordings) >= 4


def test_sizes_are_about_those_of_short_forecasts() -> None:
    rng = np.random.default_rng(0)
    meanings = [random_meaning(rng) for _ in range(1000)]
    words = [len(realise(meaning, rng).split()) for meaning in meanings]
    assert 4.2 < np.mean([len(glosses(meaning)) for meaning in meanings]) < 5.5
    assert np.mean([5 <= count <= 14 for count in words]) > 0.95
    assert sum(len(template.wordings) for template in TEMPLATES.values()) >= 40


def test_a_sentence_has_only_one_gloss_sequence() -> None:
    rng = np.random.default_rng(1)
    signed: dict[str, tuple[str, ...]] = {}
    for _ in range(3000):
        meaning = random_meaning(rng)
        for _ in range(3):
            text = realise(meaning, rng)
            assert signed.setdefault(text, glosses(meaning)) == glosses(meaning), text


def test_guessing_does_not_pay_and_paraphrases_bound_the_score() -> None:
    rng = np.random.default_rng(2)
    meanings = [random_meaning(rng) for _ in range(400)]
    references = [realise(meaning, rng) for meaning in meanings]
    others = [realise(random_meaning(rng), rng) for _ in range(400)]
    assert bleu(others, references) < 5
    for text in others[:25]:
        assert bleu([text] * 400, references) < 5, text
    assert 38 < bleu([realise(meaning, rng) for meaning in meanings], references) < 52


@pytest.mark.parametrize(
    ("template", "slots", "signs", "wording"),
    [
        (
            "event",
            {"t": "montag", "p": "küste", "n": "stark regen"},
            "MONTAG KÜSTE REGEN STARK",
            "am montag gibt es an der küste starken regen",
        ),
        (
            "event",
            {"t": "nacht montag", "p": "norden", "n": "einzeln gewitter"},
            "NACHT MONTAG NORD GEWITTER EINZELN",
            "in der nacht zum montag ist im norden mit einzelnen gewittern zu rechnen",
        ),
        (
            "no_event",
            {"t": "heute", "p": "bayern", "n": "gewitter"},
            "HEUTE BAYERN GEWITTER KEIN",
            "heute gibt es in bayern keine gewitter",
        ),
        (
            "air_comes",
            {"t": "morgen", "a": "mild", "c": "spanien"},
            "MORGEN SPANIEN LUFT MILD KOMMEN",
            "mit milder luft aus spanien ist morgen zu rechnen",
        ),
        (
            "forecast",
            {"d": "freitag", "o": "20", "m": "mai"},
            "JETZT WETTER FREITAG ZWANZIG MAI",
            "jetzt das wetter für freitag den zwanzigsten mai",
        ),
    ],
)
def test_signed_order_and_german_inflection(
    template: str, slots: dict[str, str], signs: str, wording: str
) -> None:
    meaning = Meaning(template, tuple(slots.items()))
    assert " ".join(glosses(meaning)) == signs
    assert wording in {realise(meaning, np.random.default_rng(seed)) for seed in range(300)}
