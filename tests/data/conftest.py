"""A small store of real clips: folders of frames, whose grey is 40 * clip + frame."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from sign2gpt.data.manifest import ClipRow, write_manifest
from sign2gpt.files import sha256_of
from sign2gpt.video.encode import write_clip

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

LENGTHS = (9, 4, 30)  # frames at 25 a second
TEXTS = ("morgen regen", "im norden wind", "regen")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    rows = []
    for clip, (length, text) in enumerate(zip(LENGTHS, TEXTS, strict=True)):
        frames = folder / "clips" / f"c{clip}"
        frames.mkdir(parents=True)
        for frame in range(length):
            level = np.full((16, 16, 3), 40 * clip + frame, np.uint8)
            Image.fromarray(level).save(frames / f"images{frame:04d}.png")
        row = ClipRow(
            id=f"c{clip}", split="train", text=text, path=f"clips/c{clip}", frames=length, fps=25.0
        )
        rows.append(row)
    write_manifest(folder, rows)
    return folder


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    words = ["</s>", "<pad>", "<unk>", "morgen", "regen", "im", "norden", "wind"]
    model = models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


@pytest.fixture
def video_store(tmp_path: Path) -> Path:
    """Ten tiny video files, seven of them train: grey, each clip of its own level and length."""
    folder = tmp_path / "video-store"
    (folder / "clips").mkdir(parents=True)
    rows = []
    for number in range(10):
        length = 4 + 3 * (number % 4)
        path = f"clips/c{number}.mp4"
        pictures = np.full((length, 32, 32, 3), 20 * number, np.uint8)
        pictures[:, :, ::2] += np.arange(length, dtype=np.uint8)[:, None, None, None] * 4
        write_clip(folder / path, pictures, 25.0)
        rows.append(
            ClipRow(
                id=f"c{number}",
                split="train" if number < 7 else "dev",
                text=TEXTS[number % 3],
                path=path,
                signer=f"s{number % 2}",
                frames=length,
                fps=25.0,
                width=32,
                height=32,
                sha256=sha256_of(folder / path),
            )
        )
    write_manifest(folder, rows)
    return folder
