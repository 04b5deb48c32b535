"""Batches lose nothing of their clips and add nothing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from sign2gpt.data.collator import ClipCollator
from sign2gpt.errors import UserError

lengths = st.lists(st.integers(1, 12), min_size=1, max_size=6)


@given(lengths, st.sampled_from(["pixel_values", "frame_tokens"]))
def test_packing_loses_nothing(frames: list[int], key: str) -> None:
    shape = (3, 4, 4) if key == "pixel_values" else (5, 2)
    clips = [torch.randint(0, 256, (length, *shape), dtype=torch.uint8) for length in frames]
    batch = ClipCollator()([{"id": "x", "text": "", key: clip} for clip in clips])
    assert set(batch) == {key, "num_frames"}
    assert batch["num_frames"].tolist() == frames and batch["num_frames"].dtype == torch.int64
    for clip, part in zip(clips, batch[key].split(frames), strict=True):
        assert torch.equal(clip, part)


@given(lengths)
def test_padded_features_and_their_mask(tokens: list[int]) -> None:
    clips = [torch.randn(length, 3) for length in tokens]
    batch = ClipCollator()([{"id": "x", "text": "", "sign_features": clip} for clip in clips])
    assert batch["sign_mask"].dtype == torch.bool
    assert batch["sign_features"].shape == (len(tokens), max(tokens), 3)
    assert batch["sign_mask"].sum(1).tolist() == tokens
    for clip, padded, mask in zip(clips, batch["sign_features"], batch["sign_mask"], strict=True):
        assert torch.equal(padded[mask], clip)
        assert padded[~mask].abs().sum() == 0


def items(*texts: str) -> list[dict]:
    return [
        {
            "id": f"c{index}",
            "text": text,
            "sign_features": torch.zeros(2, 3),
            "pseudo_gloss_labels": torch.tensor([index, 1.0]),
        }
        for index, text in enumerate(texts)
    ]


def test_labels_end_and_are_padded(tokenizer: PreTrainedTokenizerFast) -> None:
    batch = ClipCollator(tokenizer)(items("morgen regen", "wind", ""))
    assert batch["labels"].tolist() == [[3, 4, 0], [7, 0, -100], [0, -100, -100]]
    assert batch["pseudo_gloss_labels"].tolist() == [[0, 1], [1, 1], [2, 1]]
    assert "ids" not in batch and all(isinstance(part, torch.Tensor) for part in batch.values())


def test_a_tokenizers_own_special_tokens_are_left_out(tokenizer: PreTrainedTokenizerFast) -> None:
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = processors.TemplateProcessing("</s> $A", None, [("</s>", 0)])  # XGLM's
    starting = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    assert starting("regen")["input_ids"] == [0, 4]
    assert ClipCollator(starting)(items("regen"))["labels"].tolist() == [[4, 0]]


def test_long_texts_are_refused_or_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    clips = items("regen", "im norden wind")
    assert ClipCollator(tokenizer, 4)(clips)["labels"][1].tolist() == [5, 6, 7, 0]
    with pytest.raises(UserError, match=r"'c1' makes 4 tokens .* max_text_tokens \(3\)"):
        ClipCollator(tokenizer, 3)(clips)
    cut = ClipCollator(tokenizer, 3, truncate_text=True)(clips)["labels"]
    assert cut[1].tolist() == [5, 6, 0]


def test_ids_on_request() -> None:
    assert ClipCollator(with_ids=True)(items("a", "b"))["ids"] == ["c0", "c1"]


def test_a_tokenizer_without_end_token_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(UserError, match="end token"):
        ClipCollator(bare)


def test_texts_are_checked_before_any_batch(tokenizer: PreTrainedTokenizerFast) -> None:
    ClipCollator(tokenizer, 4).check_texts({"a": "im norden wind", "b": ""})
    with pytest.raises(UserError, match=r"'b' makes 5 tokens .* max_text_tokens \(4\)"):
        ClipCollator(tokenizer, 4).check_texts({"a": "im norden wind", "b": "im norden wind regen"})
    ClipCollator(tokenizer, 4, truncate_text=True).check_texts({"b": "im norden wind regen"})
