"""Sentences whose characters the language model lacks: grown, trained on, translated, put back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sign2gpt.data.manifest import read_manifest, write_manifest
from sign2gpt.synth.corpus import make_corpus
from sign2gpt.train import run
from sign2gpt.train.recipe_file import load_recipe
from sign2gpt.translate import Translator


def test_a_language_model_without_chinese_learns_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = make_corpus(tmp_path / "corpus", clips=13, workers=1)
    rows = [replace(row, text="你好！明天下雨吗？") for row in read_manifest(store)]
    write_manifest(store, rows)
    settings = {
        "store": store,
        "output": tmp_path / "out",
        "features": tmp_path / "features",
        "score_characters": "true",
        "training.num_train_epochs": 3,
        "training.learning_rate": "0.01",
    }
    overrides = [f"{key}={value}" for key, value in settings.items()]
    folder = run(load_recipe("demo/translate-from-scratch", overrides))
    assert "lacks" in capfd.readouterr().err
    # This tokenizer takes characters as they are, so ！ has a token and need not be put back.
    assert json.loads((folder / "config.json").read_text())["full_width_punctuation"] is False
    translator = Translator.from_pretrained(folder)
    assert translator.model.config.text_config.vocab_size == len(translator.processor.tokenizer)
    text = translator.translate(rows[0].file(store), num_beams=1).text
    assert "<unk>" not in text and translator.processor.tokenizer.unk_token_id is not None
    labels = translator.processor.tokenizer(rows[0].text, add_special_tokens=False)["input_ids"]
    assert translator.processor.tokenizer.decode(labels) == rows[0].text
