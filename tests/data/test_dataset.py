"""Clips of a store as training and evaluation get them."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from sign2gpt.data.collator import ClipCollator
from sign2gpt.data.dataset import ClipDataset, ClipVariants
from sign2gpt.errors import UserError
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.processor import SignVideoProcessor

PROCESSOR = SignVideoProcessor(store_size=16, crop_size=16, fit="stretch", max_frames=8)
PLAIN = ClipAugment(flip_prob=0, rotation_prob=0, jitter_prob=0, grey_prob=0)
GLOSSES = [["morgen", "regen"], ["norden", "wind"], ["regen"]]


def levels(item: dict) -> list[int]:
    return item["pixel_values"][:, 0, 8, 8].tolist()


def vocabulary() -> PseudoGlossVocabulary:
    class Named:
        name, version, language = "test", "0", "de"

    return PseudoGlossVocabulary.build(GLOSSES, Named(), max_share=1.0)


def test_evaluation_is_even_and_always_the_same(store: Path) -> None:
    dataset = ClipDataset(store, "train", PROCESSOR)
    assert len(dataset) == 3
    assert levels(dataset[0]) == [0, 2, 4, 6, 8]
    assert levels(dataset[1]) == [40, 42]
    assert levels(dataset[2]) == [80 + 2 * k for k in (0, 2, 4, 6, 8, 10, 12, 14)]
    item = dataset[0]
    assert item["id"] == "c0" and item["text"] == "morgen regen" and item["num_frames"] == 5
    assert item["pixel_values"].shape == (5, 3, 16, 16)
    assert item["pixel_values"].dtype == torch.uint8
    assert "pseudo_gloss_labels" not in item


def test_training_draws_frames_in_order_and_anew_each_epoch(store: Path) -> None:
    dataset = ClipDataset(store, "train", PROCESSOR, PLAIN, seed=7)
    seen = []
    for epoch in range(12):
        dataset.set_epoch(epoch)
        drawn = levels(dataset[2])
        assert drawn == sorted(set(drawn)) and 7 <= len(drawn) <= 8
        assert set(drawn) <= {80 + 2 * k for k in range(15)}
        seen.append(tuple(drawn))
    assert len(set(seen)) > 6
    dataset.set_epoch(3)
    assert tuple(levels(dataset[2])) == seen[3]
    other = ClipDataset(store, "train", PROCESSOR, PLAIN, seed=8)
    other.set_epoch(3)
    assert tuple(levels(other[2])) != seen[3]


def test_augmentation_gets_to_the_pixels_at_the_models_size(store: Path) -> None:
    processor = SignVideoProcessor(store_size=16, crop_size=14, image_size=28, fit="stretch")
    augment = ClipAugment(jitter_prob=1, brightness=1)
    dataset = ClipDataset(store, None, processor, augment, max_shift=0)
    plain = ClipDataset(store, None, processor)
    first, untouched = dataset[1], plain[1]
    assert first["pixel_values"].shape == untouched["pixel_values"].shape == (2, 3, 28, 28)
    assert not torch.equal(first["pixel_values"], untouched["pixel_values"])


def test_labels_follow_the_vocabulary(store: Path) -> None:
    words = vocabulary()
    dataset = ClipDataset(store, "train", PROCESSOR, pseudo_glosses=GLOSSES, vocabulary=words)
    for index, glosses in enumerate(GLOSSES):
        labels = dataset[index]["pseudo_gloss_labels"]
        assert labels.shape == (len(words),) and labels.dtype == torch.float32
        assert {words.words[j] for j in labels.nonzero().flatten().tolist()} == set(glosses)


def test_labels_that_do_not_fit_are_refused(store: Path) -> None:
    with pytest.raises(ValueError, match="2 lists"):
        ClipDataset(store, "train", PROCESSOR, pseudo_glosses=GLOSSES[:2], vocabulary=vocabulary())


def test_workers_give_the_same_as_one_process(store: Path) -> None:
    dataset = ClipDataset(store, "train", PROCESSOR, ClipAugment(), seed=1)
    batches = [
        next(iter(DataLoader(dataset, 3, collate_fn=ClipCollator(), num_workers=workers)))
        for workers in (0, 1)
    ]
    assert torch.equal(batches[0]["pixel_values"], batches[1]["pixel_values"])


def test_a_missing_clip_is_found_at_once(store: Path) -> None:
    (store / "clips" / "c1").rename(store / "clips" / "elsewhere")
    with pytest.raises(UserError, match=r"1 of 3 clips .*c1"):
        ClipDataset(store, "train", PROCESSOR)


def test_an_unreadable_clip_is_named_by_its_row(store: Path) -> None:
    (store / "clips" / "c1" / "images0000.png").write_bytes(b"no picture")
    dataset = ClipDataset(store, "train", PROCESSOR)
    with pytest.raises(UserError, match=r"Row 'c1' .*images0000\.png"):
        dataset[1]


def test_variants_are_the_plain_clip_and_augmented_ones(store: Path) -> None:
    dataset = ClipDataset(
        store, "train", PROCESSOR, ClipAugment(jitter_prob=1.0, brightness=0.9), seed=7
    )
    variants = ClipVariants(dataset, 3)
    assert len(variants) == 9
    assert [variants[k]["id"] for k in range(3, 6)] == ["c1", "c1#1", "c1#2"]
    plain = ClipDataset(store, "train", PROCESSOR)
    for index in range(3):
        first, second, third = (variants[3 * index + number] for number in range(3))
        assert torch.equal(first["pixel_values"], plain[index]["pixel_values"])
        assert not torch.equal(second["pixel_values"], third["pixel_values"])
        assert torch.equal(second["pixel_values"], dataset.variant(index, 1)["pixel_values"])
        assert first["text"] == second["text"] == plain[index]["text"]


def test_one_stored_copy_can_be_an_augmented_one(store: Path) -> None:
    dataset = ClipDataset(store, "train", PROCESSOR, ClipAugment(flip_prob=0.5), seed=7)
    augmented, plain = ClipVariants(dataset, 1, plain=False), ClipVariants(dataset, 1)
    assert [item["id"] for item in augmented] == [item["id"] for item in plain]
    same = [
        torch.equal(a["pixel_values"], b["pixel_values"])
        for a, b in zip(augmented, plain, strict=True)
    ]
    assert not all(same)
    assert torch.equal(augmented[1]["pixel_values"], augmented[1]["pixel_values"])
