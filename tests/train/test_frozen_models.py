"""Which frozen models are needed and here: against a Hub cache of real files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from sign2gpt.errors import UserError
from sign2gpt.model.licences import FROZEN_FACTS
from sign2gpt.model.published import PUBLISHED_NAMES
from sign2gpt.train.frozen_models import NeededModel, fetch_model, needed_models

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DINO, XGLM = "facebook/dinov2-small", "facebook/xglm-1.7B"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, name: str, **files: str) -> Path:
    """Lay files out as huggingface_hub does: refs, blobs, and links from the snapshot."""
    repo = cache / f"models--{name.replace('/', '--')}"
    for folder in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (repo / folder).mkdir(parents=True, exist_ok=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for number, (file, text) in enumerate(files.items()):
        blob = repo / "blobs" / f"{number:064x}"
        blob.write_text(text)
        (repo / "snapshots" / COMMIT / file).symlink_to(f"../../blobs/{blob.name}")
    return repo / "snapshots" / COMMIT


def found(name: str) -> NeededModel:
    (model,) = (model for model in needed_models() if model.name == name)
    return model


def test_every_recipe_s_models_are_listed_with_licence_and_size(cache: Path) -> None:
    models = {model.name: model for model in needed_models()}
    assert "demo/translate" in models["sign2gpt/weather-xglm"].recipes
    assert "phoenix14t/pretrain" in models[DINO].recipes
    assert "phoenix14t/pretrain" not in models[XGLM].recipes
    for name in (DINO, XGLM):
        model = models[name]
        assert (model.place, model.complete) == (None, False)
        assert model.command == f"sign2gpt models --fetch {name}"
    assert models[XGLM].licence == "MIT" and models[DINO].licence == "Apache-2.0"
    assert 3.4e9 < models[XGLM].size < 3.5e9
    shipped = models["sign2gpt/pose-vit"]
    assert shipped.complete and shipped.place == "package" and shipped.command is None
    assert shipped.size == (Path(shipped.path) / "model.safetensors").stat().st_size
    assert set(PUBLISHED_NAMES) <= set(FROZEN_FACTS)


def test_a_complete_model_in_the_cache(cache: Path) -> None:
    snapshot = put(cache, DINO, **{"config.json": "{}", "model.safetensors": "12345"})
    model = found(DINO)
    assert model.complete and model.place == "cache" and model.path == str(snapshot)
    assert model.size == 5


def test_shards_and_tokenizer_are_asked_for(cache: Path) -> None:
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    files = {"config.json": "{}", "model.safetensors.index.json": index}
    files["model-1.safetensors"] = "123"
    put(cache, XGLM, **files)
    model = found(XGLM)
    assert not model.complete and model.missing == ("weights", "tokenizer")
    assert "sign2gpt models --fetch" in model.as_text() and "weights" in model.as_text()
    with pytest.raises(UserError, match="lacks weights"):
        fetch_model(XGLM)  # offline: what is there is all there is
    snapshot = cache / "models--facebook--xglm-1.7B" / "snapshots" / COMMIT
    (snapshot / "model-2.safetensors").write_text("4567")
    assert found(XGLM).missing == ("tokenizer",) and found(XGLM).size == 7
    (snapshot / "sentencepiece.bpe.model").write_text("")
    assert found(XGLM).complete
    assert fetch_model(XGLM) == snapshot
    (snapshot / "config.json").unlink()
    assert found(XGLM).missing == ("config.json",)


def test_weights_are_safetensors_or_torch_s_and_nothing_else(cache: Path) -> None:
    snapshot = put(cache, DINO, **{"config.json": "{}", "tf_model.h5": "12345"})
    assert found(DINO).missing == ("weights",)
    (snapshot / "pytorch_model.bin").write_text("123")
    assert found(DINO).complete and found(DINO).size == 3
    (snapshot / "model.safetensors").write_text("1234")
    assert found(DINO).size == 4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (DINO, "HF_HUB_OFFLINE"),
        ("sign2gpt/pose-vit", "already here"),
        ("no name at all", "OWNER/MODEL"),
    ],
)
def test_what_cannot_be_fetched_ends_in_one_sentence(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=words):
        fetch_model(name)


def test_the_command_prints_json(tmp_path: Path) -> None:
    put(tmp_path, DINO, **{"config.json": "{}"})
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "sign2gpt.cli", "models"]
    result = subprocess.run(
        [*command, "--json"], env=environment, capture_output=True, text=True, check=True
    )
    models = {model["name"]: model for model in json.loads(result.stdout)}
    assert models[DINO]["missing"] == ["weights"] and models[DINO]["place"] == "cache"
    result = subprocess.run(
        [*command, "--fetch", XGLM], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2 and result.stderr.startswith("sign2gpt: ")
    assert len(result.stderr.splitlines()) == 1
