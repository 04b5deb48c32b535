"""What a training run reads: clips of one split as the recipe wants them, decoded or stored.

Stored features (the frozen blocks' output, or Z) are written once and carry a fingerprint of all
they depend on, so that a changed recipe never reads old ones.

Shapes: N frames of all clips, P tokens of a frame, C frame width, T sign tokens, D sign width.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from sign2gpt.data.collator import ClipCollator
from sign2gpt.data.dataset import ClipDataset, ClipVariants, variant_id
from sign2gpt.data.features import FeatureDataset, FeatureStore
from sign2gpt.data.store import ClipStore, open_store
from sign2gpt.data.streaming import StreamedClips, streamable
from sign2gpt.freed_memory import keep_freed_memory
from sign2gpt.model.precision import fast_bf16
from sign2gpt.progress import Advance
from sign2gpt.train.build import BELOW_SETTINGS, SIGN_SETTINGS
from sign2gpt.train.recipe import Recipe, TrainOn, seed_of, wrong_values
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.processor import SignVideoProcessor

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

    from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel
    from sign2gpt.model.configuration import Sign2GPTConfig
    from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary

SPLITS = ("train", "dev")
CLIPS_AT_ONCE = 12  # encoded together when features are stored


@dataclass(frozen=True)
class Datasets:
    """The two splits a run reads, and how their clips become a batch."""

    train: Dataset[dict[str, Any]]
    dev: Dataset[dict[str, Any]]
    collator: ClipCollator


def recipe_store(recipe: Recipe) -> ClipStore:
    """The recipe's store, open; UserError where it cannot be read, or not as the recipe wants."""
    store = open_store(recipe.store, stream=recipe.stream)
    return streamable(store) if recipe.stream else store


def video_processor(recipe: Recipe, config: Sign2GPTConfig) -> SignVideoProcessor:
    """The processor that will travel with the model.

    Raises:
        UserError: a wrong setting, or frames of a size that the vision model does not take.
    """
    from sign2gpt.model.backbone import check_frame_size

    colours = {"image_mean": config.image_mean, "image_std": config.image_std}
    with wrong_values("processor"):
        processor = SignVideoProcessor(**(colours | recipe.processor))
    check_frame_size(config.vision_config, processor.image_size, processor.image_size)
    return processor


def augmentation(recipe: Recipe) -> ClipAugment:
    """What training does to each clip; UserError for a value out of range."""
    with wrong_values("augment"):
        return ClipAugment(**recipe.augment)


def clip_datasets(
    recipe: Recipe,
    store: ClipStore,
    model: Sign2GPTPreTrainedModel,
    processor: SignVideoProcessor,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    pseudo_glosses: Mapping[str, Sequence[Sequence[str]]] | None = None,
    vocabulary: PseudoGlossVocabulary | None = None,
    progress: Advance | None = None,
) -> Datasets:
    """Train and dev of the recipe's store; features are stored first where it asks for them.

    Args:
        store: the recipe's, open.
        pseudo_glosses: of each split's sentences, in the manifest's order.

    Raises:
        UserError: a wrong manifest, or a clip that cannot be read.
    """
    augment = augmentation(recipe)
    seed = seed_of(recipe)
    labels: dict[str, dict[str, Any]] = {
        split: {"pseudo_glosses": (pseudo_glosses or {}).get(split), "vocabulary": vocabulary}
        for split in SPLITS
    }
    collator = ClipCollator(tokenizer, recipe.max_text_tokens)
    if recipe.train_on is TrainOn.video:
        train = ClipDataset(
            store,
            "train",
            processor,
            augment,
            max_shift=recipe.max_shift,
            seed=seed,
            **labels["train"],
        )
        dev = ClipDataset(store, "dev", processor, **labels["dev"])
        return Datasets(_streamed(recipe, train) if recipe.stream else train, dev, collator)
    stores = stored_features(recipe, store, model, processor, augment, seed, progress)
    train, dev = (
        FeatureDataset(
            store.rows(split),
            stores[split],
            recipe.train_on.value,
            variants=_variants(recipe, split),
            max_shift=_max_shift(recipe, split),
            seed=seed,
            **labels[split],
        )
        for split in SPLITS
    )
    return Datasets(train, dev, collator)


def _streamed(recipe: Recipe, train: ClipDataset) -> StreamedClips:
    """The clips of train as they come; a process of several gets its share of them."""
    from accelerate import PartialState

    state = PartialState()
    return StreamedClips(
        train,
        "train",
        workers=int(recipe.training.get("dataloader_num_workers", 0)),
        rank=state.process_index,
        world_size=state.num_processes,
    )


def _variants(recipe: Recipe, split: str) -> int:
    """How many copies of a clip are stored: more than one of train only."""
    return recipe.variants if split == "train" else 1


def _max_shift(recipe: Recipe, split: str) -> int:
    """Frames off either end of a stored clip in training; sign features come in whole clips."""
    shifts = split == "train" and recipe.train_on is TrainOn.frame_tokens
    return recipe.max_shift if shifts else 0


def stored_features(
    recipe: Recipe,
    store: ClipStore,
    model: Sign2GPTPreTrainedModel,
    processor: SignVideoProcessor,
    augment: ClipAugment,
    seed: int,
    progress: Advance | None = None,
) -> dict[str, FeatureStore]:
    """What the frozen part of the model makes of each clip, read from disk or written first.

    Of train, ``recipe.variants`` copies, augmented but for the first where that is to be plain; of
    dev the plain clip.
    Sign features are made from frame tokens where those lie in the same folder, else from video.
    """
    folder = Path(recipe.features or Path(recipe.output) / "features")
    kind, below = recipe.train_on.value, TrainOn.frame_tokens.value
    if kind == below:
        model.spatial_model.require_storable()
    prints = {
        k: _fingerprint(k, recipe, store, model, processor, augment, seed) for k in {kind, below}
    }
    stores = {}
    for number, split in enumerate(SPLITS):
        path, tokens = folder / f"{kind}-{split}", folder / f"{below}-{split}"
        if not _written(path, prints[kind]):
            count = _variants(recipe, split)
            clips: Dataset[dict[str, Any]]
            if kind != below and _written(tokens, prints[below]):
                rows = [
                    replace(row, id=variant_id(row.id, variant))
                    for row in store.rows(split)
                    for variant in range(count)
                ]
                clips = FeatureDataset(rows, FeatureStore.open(tokens), below)
            else:
                # Whole clips: frames are left out anew each time stored tokens are read.
                read = ClipDataset(store, split, processor, augment, max_shift=0, seed=seed)
                clips = ClipVariants(read, count, recipe.plain_copy or split != "train")

            def advance(done: int, total: int, number: int = number) -> None:
                if progress is not None:
                    progress(number * total + done, len(SPLITS) * total, "storing features")

            meta = {"fingerprint": prints[kind]}
            FeatureStore.resume(path, partial(_encoded, model, clips, kind, advance), meta=meta)
        stores[split] = FeatureStore.open(path)
    return stores


def _written(path: Path, fingerprint: str) -> bool:
    return path.is_dir() and FeatureStore.open(path).meta.get("fingerprint") == fingerprint


@torch.no_grad()
def _encoded(
    model: Sign2GPTPreTrainedModel,
    clips: Dataset[dict[str, Any]],
    kind: str,
    advance: Advance,
    begin: int,
) -> Iterator[tuple[str, np.ndarray]]:
    """(id, frame tokens (T*, P, C) or Z (T, D)) of each clip from the one of number `begin` on."""
    was_training = model.training
    model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    # Decoding is worth processes of its own; reading stored tokens is not.
    workers = 0 if isinstance(clips, FeatureDataset) else 2
    done = begin - begin % CLIPS_AT_ONCE  # batches are the same wherever it begins
    loader = DataLoader(
        Subset(clips, range(done, len(clips))),
        batch_size=CLIPS_AT_ONCE,
        collate_fn=ClipCollator(with_ids=True),
        num_workers=workers,
    )
    half = torch.autocast(model.device.type, torch.bfloat16, enabled=fast_bf16(model.device))
    batches = iter(loader)
    keep_freed_memory(model.device)  # not the loader's processes
    for batch in batches:
        ids = batch.pop("ids")
        batch = {name: values.to(model.device) for name, values in batch.items()}
        if kind == TrainOn.frame_tokens.value:
            with half:
                tokens = model.spatial_model.frozen_tokens(batch["pixel_values"]).float()
            arrays = [part.cpu().numpy() for part in tokens.split(batch["num_frames"].tolist())]
        else:
            features, mask = model.encode(**batch)
            arrays = [z[real].cpu().numpy() for z, real in zip(features, mask, strict=True)]
        yield from itertools.islice(zip(ids, arrays, strict=True), max(begin - done, 0), None)
        done += len(arrays)
        advance(done, len(clips))
    model.train(was_training)


def _fingerprint(
    kind: str,
    recipe: Recipe,
    store: ClipStore,
    model: Sign2GPTPreTrainedModel,
    processor: SignVideoProcessor,
    augment: ClipAugment,
    seed: int,
) -> str:
    """A digest of everything stored features depend on: weights, pixels, clips, draws."""
    digest = hashlib.sha256()
    manifest = [(row.id, row.path, row.fps, row.sha256, store.changed(row)) for row in store.rows()]
    below = kind == TrainOn.frame_tokens.value
    names = BELOW_SETTINGS if below else SIGN_SETTINGS
    architecture = {name: getattr(model.config, name) for name in names}
    settings = [
        architecture,
        processor.to_dict(),
        augment.__dict__,
        recipe.variants,
        recipe.plain_copy,
        seed,
        manifest,
    ]
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    if below:
        weights = {f"{i}": w for i, w in enumerate(model.spatial_model.frozen_parameters())}
    else:
        parts = (model.spatial_model, model.sign_encoder)
        weights = {f"{i}.{n}": w for i, p in enumerate(parts) for n, w in p.state_dict().items()}
    for name, weight in weights.items():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
