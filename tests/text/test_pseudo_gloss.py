"""Sentences become pseudo-glosses, and training sentences their vocabulary."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sign2gpt.errors import UserError
from sign2gpt.text.pseudo_gloss import KEPT_POS, PseudoGlossVocabulary, pseudo_glosses
from sign2gpt.text.tagged_words import Token
from sign2gpt.text.taggers import load_tagger


class SlashTagger:
    """Reads "word/POS" text: a tagger whose answers the tests can write down."""

    name, version, language = "slash", "1", "xx"

    def __call__(self, sentences: Sequence[str]) -> list[list[Token]]:
        pairs = [[word.split("/") for word in sentence.split()] for sentence in sentences]
        return [[Token(word, word.lower(), pos) for word, pos in line] for line in pairs]


GLOSSES = st.lists(st.lists(st.sampled_from("abcdefgh")), min_size=3, max_size=12)


def built(sentences: Sequence[Sequence[str]], **bounds: float) -> PseudoGlossVocabulary:
    return PseudoGlossVocabulary.build(sentences, SlashTagger(), **bounds)  # type: ignore[arg-type]


def test_kept_parts_of_speech_are_the_papers() -> None:
    kept = ["NOUN", "NUM", "ADV", "PRON", "PROPN", "ADJ", "VERB"]
    left_out = ["ADP", "AUX", "CCONJ", "DET", "INTJ", "PART", "PUNCT", "SCONJ", "SYM", "X"]
    line = " ".join(f"W{pos}/{pos}" for pos in [*left_out, *kept])
    assert pseudo_glosses(SlashTagger(), [line]) == [[f"w{pos.lower()}" for pos in kept]]
    assert set(kept) == KEPT_POS


def test_german_pseudo_glosses_are_lower_cased_lemmas_in_order() -> None:
    pytest.importorskip("HanTa", reason="HanTa is not installed")
    glosses = pseudo_glosses(load_tagger("hanta"), ["die hunde bellten laut in den kleinen gärten"])
    assert glosses == [["hund", "bellen", "laut", "klein", "garten"]]


def test_chinese_pseudo_glosses_are_segments() -> None:
    pytest.importorskip("jieba", reason="jieba is not installed")
    assert pseudo_glosses(load_tagger("jieba"), ["老师喜欢喝茶。"]) == [["老师", "喜欢", "喝茶"]]


def test_pseudo_glosses_of_the_published_examples(shared_data: Path) -> None:
    """Table 5 of the paper: two examples the same, two one word away (another lemmatizer)."""
    pytest.importorskip("HanTa", reason="HanTa is not installed")
    published = {
        "01June_2011_Wednesday_tagesschau-6952": "übrig gebiet sonne nur locker wolke",
        "01May_2010_Saturday_tagesschau-7194": "tag zwölf grad ostsee zwanzig grad niederbayer",
        "21April_2010_Wednesday_heute-3124": "ich wünschen ihnen schön abend machen sie es gut",
        "03February_2010_Wednesday_tagesschau-2062": "dazu wehen schwach wind südost süd",
    }
    rows = [
        row.split("|")
        for path in (shared_data / "phoenix14t").glob("*.csv")
        for row in path.read_text(encoding="utf-8").splitlines()
    ]
    texts = {row[0]: row[-1] for row in rows}
    found = pseudo_glosses(load_tagger("hanta"), [texts[name] for name in published])
    differing = [
        {*expected.split()} ^ {*glosses}
        for expected, glosses in zip(published.values(), found, strict=True)
    ]
    assert differing == [set(), {"niederbayer", "niederbayern"}, set(), {"mäßig"}]


@given(GLOSSES)
def test_vocabulary_is_sorted_and_keeps_what_is_neither_rare_nor_frequent(sentences) -> None:
    counts = {word: sum(word in line for line in sentences) for word in "abcdefgh"}
    kept = [word for word, count in counts.items() if 2 <= count <= 0.5 * len(sentences)]
    if not kept:
        with pytest.raises(UserError, match="No pseudo-gloss is left"):
            built(sentences, max_share=0.5, min_count=2)
        return
    vocabulary = built(sentences, max_share=0.5, min_count=2)
    assert vocabulary.words == kept == sorted(vocabulary.words)
    assert vocabulary.counts == {word: counts[word] for word in kept}
    assert set(vocabulary.frequent) == {w for w, n in counts.items() if n > 0.5 * len(sentences)}
    assert vocabulary.num_sentences == len(sentences)


@given(GLOSSES, st.lists(st.sampled_from("abcdefghxyz")))
def test_encode_marks_each_word_once_and_ignores_strangers(sentences, glosses) -> None:
    vocabulary = built([*sentences, ["a"]], max_share=1.0)
    labels = vocabulary.encode(glosses)
    assert labels.shape == (len(vocabulary),) and labels.dtype == np.float32
    decoded = [vocabulary.words[column] for column in np.flatnonzero(labels)]
    assert decoded == sorted(set(glosses) & set(vocabulary.words))
    assert set(np.unique(labels)) <= {0.0, 1.0}
    assert all(vocabulary.index[word] == column for column, word in enumerate(vocabulary.words))


def test_saved_vocabulary_comes_back_whole(tmp_path: Path) -> None:
    vocabulary = built([["ä", "b", "c"], ["ä", "水"], ["ä"]], max_share=0.7)
    vocabulary.save(tmp_path / "vocabulary.json")
    loaded = PseudoGlossVocabulary.load(tmp_path / "vocabulary.json")
    assert loaded == vocabulary and loaded.words == ["b", "c", "水"]
    assert loaded.frequent == {"ä": 3}
    assert (loaded.tagger, loaded.tagger_version, loaded.language) == ("slash", "1", "xx")
    assert "水" in (tmp_path / "vocabulary.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        '{"format": "something else"}',
        '{"format": "sign2gpt pseudo-glosses 1"}',
        '{"format": "sign2gpt pseudo-glosses 1", "counts": 3}',
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"other\.json"):
        PseudoGlossVocabulary.load(path)


def test_file_with_a_damaged_count_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    built([["a"], ["b"], ["c"]]).save(path)
    content = json.loads(path.read_text())
    content["counts"]["a"] = "many"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="not a pseudo-gloss vocabulary"):
        PseudoGlossVocabulary.load(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        PseudoGlossVocabulary.load(tmp_path / "absent.json")


@pytest.mark.parametrize("bounds", [{"max_share": 0}, {"max_share": 1.1}, {"min_count": 0}])
def test_impossible_bounds_are_refused(bounds) -> None:
    with pytest.raises(UserError, match="cannot be used"):
        built([["a"], ["b"], ["c"]], **bounds)
