"""Pseudo-glosses of whole corpora, and the verb that prints them."""

import json
import sys
from pathlib import Path

import pytest

from sign2gpt.cli import main
from sign2gpt.corpora.words import extract
from sign2gpt.errors import UserError
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.text.taggers import load_tagger


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "own.tsv"
    path.write_text(
        "text\tsplit\nJutro będzie padać deszcz\ttrain\nDeszcz i śnieg na północy\ttrain\n"
        "Słońce\ttest\n"
    )
    return path


def test_plain_words_leave_out_the_stop_list(table: Path) -> None:
    pytest.importorskip("spacy", reason="spacy is not installed")
    found = extract([table], load_tagger("plain:pl"), max_share=1.0)
    assert found.glosses[1] == ["deszcz", "śnieg", "północy"]
    every = extract([table], load_tagger("plain:pl"), splits=["train", "test"], all_words=True)
    assert every.glosses[1] == ["deszcz", "i", "śnieg", "na", "północy"]
    assert len(every.sentences) == 3
    with pytest.raises(UserError, match="plain:nowhere"):
        load_tagger("plain:nowhere")
    with pytest.raises(UserError, match="no sentences of dev"):
        extract([table], load_tagger("plain:pl"), splits=["dev"])


def test_the_verb_writes_a_vocabulary(
    table: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("spacy", reason="spacy is not installed")
    out = table.with_name("words.json")
    for more in (["--out", str(out)], ["--json"]):
        arguments = ["pseudo-gloss", str(table), "--tagger", "plain:pl", "--max-share", "0.6"]
        monkeypatch.setattr(sys, "argv", ["sign2gpt", *arguments, *more])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        printed = capfd.readouterr().out
        if more == ["--json"]:
            assert json.loads(printed)["left_out_as_frequent"] == ["deszcz"]
        else:
            assert "inflected" in printed and "plain:pl" in printed
    assert PseudoGlossVocabulary.load(out).tagger == "plain:pl"


def test_the_real_corpora(shared_data: Path) -> None:
    pytest.importorskip("jieba", reason="jieba is not installed")
    tables = sorted((shared_data / "csl_daily").glob("*.tsv"))
    chinese = extract(tables, load_tagger("jieba"), splits=["train", "dev", "test"])
    assert len(chinese.sentences) == 20654
    assert abs(chinese.types / 7918 - 1) < 0.03  # Table 1(a), there by spaCy
    german = shared_data / "phoenix14t" / "PHOENIX-2014-T.train.corpus.csv"
    every = extract([german], load_tagger("hanta"), all_words=True)
    assert (len(every.sentences), every.types) == (7096, 2887)
