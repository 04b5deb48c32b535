"""What a training run reads: clips of one split as the recipe wants them, decoded or stored.

Stored features (the frozen blocks' output, or Z) are written once beside the run and checked by a
fingerprint of everything they depend on, so that a changed recipe never reads old ones.

Shapes: T* frames of a clip, P tokens of a frame, C frame width, T sign tokens, D sign width.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sign2gpt.data.collator import ClipCollator
from sign2gpt.data.dataset import ClipDataset
from sign2gpt.data.features import FeatureDataset, FeatureStore
from sign2gpt.data.manifest import read_manifest
from sign2gpt.progress import Advance
from sign2gpt.train.recipe import Recipe, TrainOn
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.processor import SignVideoProcessor

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
