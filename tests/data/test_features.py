"""Stored features come back as written, or not at all."""

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sign2gpt.data.collator import ClipCollator
from sign2gpt.data.dataset import variant_id
from sign2gpt.data.features import FeatureDataset, FeatureStore
from sign2gpt.data.manifest import ClipRow
from sign2gpt.errors import UserError


def clips(lengths: list[int], *shape: int, seed: int = 0) -> list[tuple[str, np.ndarray]]:
    generator = np.random.default_rng(seed)
    return [
        (f"c{index}", generator.normal(size=(length, *shape)).astype(np.float32))
        for index, length in enumerate(lengths)
    ]


def rows(count: int) -> list[ClipRow]:
    return [ClipRow(id=f"c{i}", split="train", text="regen", path="-") for i in range(count)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.sampled_from([(4,), (3, 2)]))
def test_arrays_come_back(tmp_path: Path, lengths: list[int], shape: tuple[int, ...]) -> None:
    written = clips(lengths, *shape)
    store = FeatureStore.write(tmp_path / "z", written, np.float32, {"model": "abc"})
    opened = FeatureStore.open(tmp_path / "z")
    assert opened.ids == store.ids == [clip_id for clip_id, _ in written]
    assert len(opened) == len(lengths) and opened.meta == {"model": "abc"}
    for clip_id, array in written:
        assert clip_id in opened
        np.testing.assert_array_equal(opened[clip_id], array)
    whole = np.load(tmp_path / "z" / "features.npy")
    np.testing.assert_array_equal(whole, np.concatenate([array for _, array in written]))


def test_half_precision_and_tensors(tmp_path: Path) -> None:
    store = FeatureStore.write(tmp_path / "z", [("a", torch.full((3, 2), 0.1))])
    assert store["a"].dtype == np.float16
    np.testing.assert_allclose(store["a"], 0.1, rtol=1e-3)


def test_arrays_stay_in_the_file(tmp_path: Path) -> None:
    store = FeatureStore.write(tmp_path / "z", clips([500], 400))
    assert isinstance(store["c0"], np.memmap)
    copied = pickle.dumps(store)
    assert len(copied) < 1000
    np.testing.assert_array_equal(pickle.loads(copied)["c0"], store["c0"])


def test_broken_off_writing_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Iterator[tuple[str, np.ndarray]]:
        yield "a", np.zeros((2, 3))
        raise RuntimeError("out of power")

    with pytest.raises(RuntimeError):
        FeatureStore.write(tmp_path / "z", breaking())
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="no stored features"):
        FeatureStore.open(tmp_path / "z")


@pytest.mark.parametrize("damage", ["none", "array cut", "line cut", "line twice", "array gone"])
def test_broken_off_writing_goes_on_behind_what_is_whole(tmp_path: Path, damage: str) -> None:
    items = clips([3, 1, 4, 2], 2)
    begun = []

    def after(done: int) -> Iterator[tuple[str, np.ndarray]]:
        begun.append(done)
        for number, item in enumerate(items[done:]):
            if len(begun) < 3 and done + number == 3:
                raise KeyboardInterrupt
            yield item

    meta = {"fingerprint": "abc", "sizes": (1, 2)}
    with pytest.raises(KeyboardInterrupt):
        FeatureStore.resume(tmp_path / "z", after, meta=meta)
    assert [path.name for path in tmp_path.iterdir()] == [".z.unfinished"]
    array, written = (tmp_path / ".z.unfinished" / n for n in ("features.npy", "written.jsonl"))
    if damage == "array cut":
        array.write_bytes(array.read_bytes()[:-1])
    elif damage == "line cut":
        written.write_text(written.read_text()[:-3])
    elif damage == "line twice":
        lines = written.read_text().splitlines(keepends=True)
        written.write_text("".join([*lines[:3], *lines[2:]]))
    elif damage == "array gone":
        array.unlink()
    with pytest.raises(KeyboardInterrupt):
        FeatureStore.resume(tmp_path / "z", after, meta=meta)
    store = FeatureStore.resume(tmp_path / "z", after, meta=meta)
    assert begun == [0, {"none": 3, "array gone": 0}.get(damage, 2), 3]
    assert store.ids == [clip_id for clip_id, _ in items]
    for clip_id, array in items:
        np.testing.assert_array_equal(store[clip_id], array.astype(np.float16))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["features.npy", "index.json", "z"]


@pytest.mark.parametrize("error", [RuntimeError("worker killed"), UserError("no clip there")])
def test_what_is_stored_outlives_a_clip_that_cannot_be_read(
    tmp_path: Path, error: Exception
) -> None:
    items = clips([2, 3], 2)

    def breaking(done: int) -> Iterator[tuple[str, np.ndarray]]:
        yield items[0]
        raise error

    with pytest.raises(type(error)):
        FeatureStore.resume(tmp_path / "z", breaking)
    begun = []
    store = FeatureStore.resume(tmp_path / "z", lambda done: begun.append(done) or items[done:])
    assert begun == [1] and store.ids == ["c0", "c1"]


def test_two_runs_do_not_write_the_same_store(tmp_path: Path) -> None:
    items = clips([2, 3], 2)

    def meeting(done: int) -> Iterator[tuple[str, np.ndarray]]:
        yield items[0]
        with pytest.raises(UserError, match=r"Another run is writing .*z; wait"):
            FeatureStore.resume(tmp_path / "z", lambda done: items, meta={"other": 1})
        yield items[1]

    store = FeatureStore.resume(tmp_path / "z", meeting)
    for clip_id, array in items:
        np.testing.assert_array_equal(store[clip_id], array.astype(np.float16))


def test_a_process_that_is_killed_loses_half_a_minute_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sign2gpt.data.feature_writer.NOTED_EVERY", 0.0)
    items, unfinished = clips([2, 3, 4], 2), tmp_path / ".z.unfinished"

    def killed(done: int) -> Iterator[tuple[str, np.ndarray]]:
        yield from items[:2]
        shutil.copytree(unfinished, tmp_path / "as it was")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureStore.resume(tmp_path / "z", killed)
    shutil.rmtree(unfinished)
    (tmp_path / "as it was").rename(unfinished)
    begun = []
    FeatureStore.resume(tmp_path / "z", lambda done: begun.append(done) or items[done:])
    assert begun == [2]


def test_another_models_features_are_not_gone_on_from(tmp_path: Path) -> None:
    def breaking(done: int) -> Iterator[tuple[str, np.ndarray]]:
        yield "old", np.zeros((2, 3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureStore.resume(tmp_path / "z", breaking, meta={"fingerprint": "old"})
    new = clips([2], 3)
    store = FeatureStore.resume(
        tmp_path / "z", lambda done: new[done:], meta={"fingerprint": "new"}
    )
    assert store.ids == ["c0"] and store.meta == {"fingerprint": "new"}


def test_writing_again_replaces(tmp_path: Path) -> None:
    FeatureStore.write(tmp_path / "z", clips([3, 4], 2))
    store = FeatureStore.write(tmp_path / "z", [("new", np.ones((1, 2)))])
    assert store.ids == ["new"] and [path.name for path in tmp_path.iterdir()] == ["z"]


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ([], ValueError, "no clips"),
        ([("a", np.ones((1, 2))), ("a", np.ones((1, 2)))], ValueError, "twice"),
        ([("a", np.ones((1, 2))), ("b", np.ones((1, 3)))], ValueError, "'b' is"),
        ([("a", np.ones((0, 2)))], ValueError, "no features"),
        ([("a", np.full((1, 2), 1e6))], UserError, "not finite as float16"),
    ],
)
def test_wrong_items_are_refused(
    tmp_path: Path, wrong: list, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        FeatureStore.write(tmp_path / "z", wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["features.npy", "index.json"])
def test_damage_is_noticed(tmp_path: Path, file: str) -> None:
    FeatureStore.write(tmp_path / "z", clips([5, 5], 8))
    path = tmp_path / "z" / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="damaged"):
        FeatureStore.open(tmp_path / "z")


def test_datasets_of_features_feed_the_collator(tmp_path: Path) -> None:
    tokens = FeatureStore.write(tmp_path / "tokens", clips([4, 2], 5, 3))
    signs = FeatureStore.write(tmp_path / "signs", clips([2, 1], 6))
    batch = ClipCollator()(list(FeatureDataset(rows(2), tokens, "frame_tokens")))
    assert batch["frame_tokens"].shape == (6, 5, 3) and batch["num_frames"].tolist() == [4, 2]
    assert batch["frame_tokens"].dtype == torch.float16  # as stored: the model widens them
    batch = ClipCollator()(list(FeatureDataset(rows(2), signs, "sign_features")))
    assert batch["sign_features"].shape == (2, 2, 6)
    assert batch["sign_mask"].tolist() == [[True, True], [True, False]]


def test_one_variant_is_drawn_an_epoch(tmp_path: Path) -> None:
    levels = [(variant_id("c0", level), np.full((1, 1), level)) for level in range(3)]
    store = FeatureStore.write(tmp_path / "z", levels)
    dataset = FeatureDataset(rows(1), store, "sign_features", variants=3, seed=5)
    drawn = []
    for epoch in range(60):
        dataset.set_epoch(epoch)
        assert torch.equal(dataset[0]["sign_features"], dataset[0]["sign_features"])
        drawn.append(int(dataset[0]["sign_features"]))
    assert all(drawn.count(level) > 8 for level in range(3))


def test_ends_are_left_out_anew_each_epoch(tmp_path: Path) -> None:
    frames = np.arange(12).reshape(12, 1, 1)
    store = FeatureStore.write(tmp_path / "tokens", [("c0", frames)])
    dataset = FeatureDataset(rows(1), store, "frame_tokens", max_shift=2)
    spans = set()
    for epoch in range(60):
        dataset.set_epoch(epoch)
        kept = dataset[0]["frame_tokens"].flatten().tolist()
        assert kept == list(range(int(kept[0]), int(kept[-1]) + 1))
        assert dataset[0]["num_frames"] == len(kept)
        spans.add((int(kept[0]), 11 - int(kept[-1])))
    assert spans == {(start, end) for start in range(3) for end in range(3)}
    assert FeatureDataset(rows(1), store, "frame_tokens")[0]["num_frames"] == 12


def test_a_clip_without_features_is_named(tmp_path: Path) -> None:
    store = FeatureStore.write(tmp_path / "z", clips([2], 2))
    with pytest.raises(UserError, match="lack variant 0 of clip 'c1'"):
        FeatureDataset(rows(2), store, "sign_features")
