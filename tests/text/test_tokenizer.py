"""Tokenizers: text comes back as it was, missing characters get tokens, punctuation its width."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, XGLMTokenizer

from sign2gpt.errors import UserError
from sign2gpt.text.tokenizer import (
    GERMAN,
    grow_tokenizer,
    loses_full_width,
    missing_characters,
    restore_punctuation,
    texts_of,
    train_tokenizer,
)

LINES = [
    "der kleine hund läuft über die straße",
    "das mädchen isst zwölf äpfel und 3 birnen, jeden tag!",
    "wer hört die vögel im garten?",
] * 4
TOKENIZER = train_tokenizer(LINES, vocab_size=130)
WORDS = st.text(GERMAN, min_size=1, max_size=9)


def read_back(tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    return tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)


def small_xglm(lines: list[str]) -> XGLMTokenizer:
    """XGLM's own tokenizer class over a vocabulary of some sentences."""
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(
        lines,
        trainers.UnigramTrainer(
            vocab_size=60,
            special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    by_id = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    return XGLMTokenizer(vocab=[(piece, -float(rank)) for piece, rank in by_id])


def test_special_tokens_are_where_xglm_has_them() -> None:
    assert (TOKENIZER.bos_token_id, TOKENIZER.pad_token_id) == (0, 1)
    assert (TOKENIZER.eos_token_id, TOKENIZER.unk_token_id) == (2, 3)
    ids = TOKENIZER("der hund")["input_ids"]
    assert ids[0] == ids[-1] == 2 and 2 not in ids[1:-1]
    assert TOKENIZER("")["input_ids"] == [2, 2]
    batch = TOKENIZER(["der hund", "der hund läuft"], padding=True)
    assert batch["input_ids"][0][-1] == 1 and batch["attention_mask"][0][-1] == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6), st.sampled_from([" ", "  "]))
def test_german_text_comes_back(words: list[str], space: str) -> None:
    text = space.join(words)
    assert read_back(TOKENIZER, text) == text


def test_frequent_words_are_one_token() -> None:
    assert len(TOKENIZER("straße", add_special_tokens=False)["input_ids"]) < len("straße")
    assert len(TOKENIZER) <= 130


def test_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*LINES[:3], "x 水"]:
        assert loaded(text) == TOKENIZER(text)
    assert read_back(loaded, LINES[1]) == LINES[1]


def test_training_is_deterministic() -> None:
    again = train_tokenizer(LINES, vocab_size=130)
    assert again.backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()


def test_vocabulary_too_small_or_no_text_is_refused() -> None:
    with pytest.raises(UserError, match="vocab_size of"):
        train_tokenizer(LINES, vocab_size=20)
    with pytest.raises(UserError, match="no sentences"):
        train_tokenizer(["", " "], vocab_size=200)
    smallest = 4 + 1 + len(set(GERMAN))
    assert len(train_tokenizer(["ab"], vocab_size=smallest)) == smallest


def test_missing_characters_get_tokens_after_the_old_ones() -> None:
    assert missing_characters(TOKENIZER, ["ein ñandú", "水 ñ"]) == ["ñ", "ú", "水"]
    before = len(TOKENIZER)
    grown, added = grow_tokenizer(TOKENIZER, ["ein ñandú", "水 ñ"])
    assert added == ["ñ", "ú", "水"] and len(TOKENIZER) == before
    assert grown.convert_tokens_to_ids(added) == [before, before + 1, before + 2]
    assert read_back(grown, "ñandú und 水, ñ") == "ñandú und 水, ñ"
    assert all(grown(line) == TOKENIZER(line) for line in LINES)
    assert 3 in grown("б")["input_ids"]  # not among the sentences given: still unknown


def test_growing_what_lacks_nothing_changes_nothing() -> None:
    grown, added = grow_tokenizer(TOKENIZER, LINES)
    assert added == [] and len(grown) == len(TOKENIZER)
    assert grow_tokenizer(TOKENIZER, [])[1] == []


def test_grown_xglm_puts_no_space_after_new_characters(tmp_path: Path) -> None:
    known = ["我喜欢冬天,下雪太美了。", "你们好!", "我们不去爬山,我有事。"]
    xglm = small_xglm(known * 5)
    text = "你喜欢碴子,下雪碴太美了。"
    assert read_back(xglm, text) != text
    grown, added = grow_tokenizer(xglm, [text, *known])
    grown.save_pretrained(tmp_path)
    for tokenizer in (grown, AutoTokenizer.from_pretrained(tmp_path)):
        assert set(added) >= {"碴", "子"} and len(tokenizer) == len(xglm) + len(added)
        assert read_back(tokenizer, text) == text
        assert not missing_characters(tokenizer, [text, *known])
        assert tokenizer("爬山")["input_ids"] == xglm("爬山")["input_ids"]
        assert tokenizer(text)["input_ids"][0] == tokenizer.eos_token_id == 2


def test_full_width_punctuation_is_put_back_where_it_is_lost() -> None:
    xglm = small_xglm(["你们好!", "走吗?"] * 5)
    xglm.backend_tokenizer.normalizer = normalizers.NFKC()  # as the published files have it
    assert loses_full_width(xglm, ["你们好！"])
    assert not loses_full_width(xglm, ["guten tag"])
    assert not loses_full_width(grow_tokenizer(TOKENIZER, ["你好！"])[0], ["你好！"])
    tokens = [xglm("走吗？", add_special_tokens=False)["input_ids"] + [2, -100]]
    assert texts_of(xglm, tokens, full_width=True) == ["走吗？"]
    assert texts_of(xglm, tokens) == ["走吗?"]


def test_grow_goes_on_until_nothing_is_missing() -> None:
    """A new token can split a known piece and leave its other character alone and unknown."""
    pieces = [
        ("<s>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -1.0),
        ("甲乙", -1.0),
    ]
    xglm = XGLMTokenizer(vocab=pieces)
    assert missing_characters(xglm, ["甲乙", "甲"]) == ["甲"]
    grown, added = grow_tokenizer(xglm, ["甲乙", "甲"])
    assert added == ["甲", "乙"] and read_back(grown, "甲乙") == "甲乙"


def test_punctuation_of_every_real_sentence_is_restored(shared_data: Path) -> None:
    rows = [
        line.split("\t")
        for path in (shared_data / "csl_daily").glob("*.tsv")
        for line in path.read_text(encoding="utf-8").splitlines()[1:]
    ]
    sentences = {row[6] for row in rows}
    assert len(sentences) > 7000
    changed = [s for s in sentences if unicodedata.normalize("NFKC", s) != s]
    assert len(changed) > 1000  # what XGLM's normalisation does to them
    for sentence in changed:
        assert restore_punctuation(unicodedata.normalize("NFKC", sentence)) == sentence


def test_punctuation() -> None:
    assert restore_punctuation("好!走吗?是:他,我。50%、") == "好！走吗？是：他，我。50%、"
    assert restore_punctuation(restore_punctuation("好!")) == "好！"
