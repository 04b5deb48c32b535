"""Training from shards: at random as from the folder, or as they stream."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sign2gpt.corpora.shards import make_shards
from sign2gpt.data.manifest import read_manifest, write_manifest
from sign2gpt.errors import UserError
from sign2gpt.synth.corpus import make_corpus
from sign2gpt.train import run
from sign2gpt.train.recipe_file import load_recipe

datasets = pytest.importorskip("datasets")

TRAIN, BATCH = 9, 4  # three steps


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    make_corpus(folder / "folder", clips=13, workers=1)
    rows = read_manifest(folder / "folder")[: TRAIN + 2]
    splits = ["train"] * TRAIN + ["dev"] * 2
    few = [replace(row, split=split) for row, split in zip(rows, splits, strict=True)]
    write_manifest(folder / "folder", few)
    make_shards(folder / "folder", folder / "shards", shard_size="300KB")
    return {"folder": folder / "folder", "shards": folder / "shards"}


def losses(store: Path, output: Path, *overrides: str) -> list[float]:
    settings = {
        "store": store,
        "output": output,
        "train_on": "video",
        "pseudo_glosses.tagger": "plain:de",
        "processor.max_frames": 8,
        "training.num_train_epochs": 1,
        "training.per_device_train_batch_size": BATCH,
        "training.logging_steps": 1,
    }
    recipe = load_recipe(
        "demo/pretrain", [*(f"{key}={value}" for key, value in settings.items()), *overrides]
    )
    run(recipe)
    log = json.loads((output / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


def test_at_random_shards_train_as_their_folder_does(
    stores: dict[str, Path], tmp_path: Path
) -> None:
    folder, shards = (losses(stores[name], tmp_path / name) for name in ("folder", "shards"))
    assert len(folder) == 3
    assert shards == folder


def test_streamed_training_has_every_step_and_follows_from_the_seed(
    stores: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)
    more = ("stream=true", "training.dataloader_num_workers=2")
    first, again = (losses(stores["shards"], tmp_path / name, *more) for name in "ab")
    assert len(first) == 3
    assert first == again


def test_what_cannot_stream_is_refused_before_any_work(
    stores: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="make shards of it with `sign2gpt shards`"):
        losses(stores["folder"], tmp_path / "out", "stream=true")
    with pytest.raises(UserError, match="set stream to false, or train_on to video"):
        losses(stores["shards"], tmp_path / "out", "stream=true", "train_on=frame_tokens")
    assert not (tmp_path / "out").exists()
