"""Tokenizers: a small one trained from sentences, and a given one grown by missing characters.

Both keep XGLM's conventions: <s> 0, <pad> 1, </s> 2, <unk> 3, words marked by a leading "▁".
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from sign2gpt.errors import UserError

BOS, PAD, EOS, UNK = "<s>", "<pad>", "</s>", "<unk>"
_SPECIAL = [BOS, PAD, EOS, UNK]

GERMAN = "abcdefghijklmnopqrstuvwxyzäöüß0123456789.,!?:-"

_FULL_WIDTH = dict(zip("?!:,", "？！：，", strict=True))


def train_tokenizer(
    lines: Iterable[str], vocab_size: int, alphabet: str = GERMAN
) -> PreTrainedTokenizerFast:
    """Train a byte-pair tokenizer on sentences; the same lines always give the same one.

    A sentence becomes ``</s> tokens </s>``: it starts as XGLM's do, and the end, which XGLM's own
    tokenizer leaves to its caller, is there too. Text of known characters comes back from
    :meth:`decode` as it was, save for spaces before its first word.

    Args:
        lines: training sentences.
        vocab_size: the largest number of tokens, the four special ones included.
        alphabet: characters that get a token even where the lines lack them.

    Raises:
        UserError: no text, or ``vocab_size`` cannot even hold the characters.
    """
    lines = list(lines)
    characters = sorted({*"".join(lines), *alphabet} - {" ", "▁"})
    if not any(line.strip() for line in lines):
        raise UserError("There are no sentences to train a tokenizer on: give some text.")
    needed = len(_SPECIAL) + len(characters) + 1  # and the mark of a word's start
    if vocab_size < needed:
        raise UserError(
            f"A tokenizer of {vocab_size} tokens cannot hold the {len(characters)} characters of "
            f"its sentences: give it a vocab_size of {needed} or more."
        )
    backend = Tokenizer(models.BPE(unk_token=UNK))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="first")
    backend.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=_SPECIAL,
            initial_alphabet=characters,
            show_progress=False,
        ),
    )
    end = backend.token_to_id(EOS)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{EOS} $A {EOS}", special_tokens=[(EOS, end)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BOS,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def missing_characters(tokenizer: PreTrainedTokenizerFast, sentences: Iterable[str]) -> list[str]:
    """The characters that become unknown tokens when the sentences are encoded, sorted."""
    sentences = list(sentences)
    if not sentences or tokenizer.unk_token_id is None:
        return []
    encoded = tokenizer(sentences, add_special_tokens=False, return_offsets_mapping=True)
    missing = {
        character
        for text, ids, spans in zip(
            sentences, encoded["input_ids"], encoded["offset_mapping"], strict=True
        )
        for token, (start, end) in zip(ids, spans, strict=True)
        if token == tokenizer.unk_token_id
        for character in text[start:end]
    }
    return sorted(character for character in missing if not character.isspace())


def grow_tokenizer(
    tokenizer: PreTrainedTokenizerFast, sentences: Iterable[str]
) -> tuple[PreTrainedTokenizerFast, list[str]]:
    """Give every character that the vocabulary lacks a token of its own (appendix A.2).

    The new tokens follow the old ones, so their embedding rows are appended. Sentences that hold
    none of them are encoded as before.

    Args:
        tokenizer: XGLM's, or another with an unknown token; it is left as it is.
        sentences: the TRAINING sentences.

    Returns:
        The grown tokenizer, and its added tokens in the order of their ids.
    """
    sentences, added = list(sentences), []
    grown = _without_spaces_after_added_tokens(tokenizer)
    # Once more where a new token splits a known piece, and leaves a character unknown of its own.
    while missing := missing_characters(grown, sentences):
        grown.add_tokens([AddedToken(character, normalized=False) for character in missing])
        added += missing
    return grown, added


def _without_spaces_after_added_tokens(
    tokenizer: PreTrainedTokenizerFast,
) -> PreTrainedTokenizerFast:
    """A copy that marks the start of the sentence alone with "▁".

    XGLM's tokenizer marks each stretch of text, also the one after an added token: a space would
    appear behind every new character. It is made of the plain class, since XGLM's own builds its
    pre-tokenizer anew, with that marking, when it is loaded.
    """
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    if isinstance(backend.pre_tokenizer, pre_tokenizers.Metaspace):
        backend.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement=backend.pre_tokenizer.replacement,
            prepend_scheme="never" if backend.pre_tokenizer.prepend_scheme == "never" else "first",
            split=backend.pre_tokenizer.split,
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **tokenizer.special_tokens_map,
        extra_special_tokens=tokenizer.extra_special_tokens,
        model_max_length=tokenizer.model_max_length,
        padding_side=tokenizer.padding_side,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def restore_punctuation(text: str) -> str:
    """Full-width ？！：， for the ASCII ones that XGLM's tokenizer makes of them (appendix A.2)."""
    return text.translate(str.maketrans(_FULL_WIDTH))


def loses_full_width(tokenizer: PreTrainedTokenizerFast, sentences: Iterable[str]) -> bool:
    """Whether the sentences use ？！：， and the tokenizer makes ASCII of them."""
    if not any(mark in sentence for sentence in sentences for mark in _FULL_WIDTH.values()):
        return False
    marks = "".join(_FULL_WIDTH.values())
    tokens = tokenizer(marks, add_special_tokens=False)["input_ids"]
    return restore_punctuation(tokenizer.decode(tokens)) != tokenizer.decode(tokens)


def texts_of(
    tokenizer: PreTrainedTokenizerFast, tokens: Any, full_width: bool = False
) -> list[str]:
    """Generated token ids (B, L) -> B sentences, without special tokens and outer spaces.

    Args:
        tokenizer: of the model.
        tokens: padded at the end by special tokens, or by -100.
        full_width: put ？！：， back, where the tokenizer has made ASCII of them.
    """
    tokens = np.asarray(tokens)
    tokens = np.where(tokens < 0, tokenizer.pad_token_id, tokens)
    texts = [text.strip() for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    return [restore_punctuation(text) for text in texts] if full_width else texts


def tokens_in(tokenizer: PreTrainedTokenizerFast, sentences: Iterable[str]) -> set[int]:
    """Ids of the tokens that sentences are made of, and of the special ones.

    Raises:
        UserError: there is no sentence with a word, or none of its words is known.
    """
    if isinstance(sentences, str):
        sentences = [sentences]
    sentences = [sentence for sentence in sentences if sentence.strip()]
    if not sentences:
        raise UserError("There are no sentences to take the tokens of: give some text.")
    found = tokenizer(sentences, add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids)
    tokens = {token for ids in found for token in ids}
    if not tokenizer.decode(sorted(tokens - special)).strip():
        raise UserError(
            "The model knows no character of the sentences to take the tokens of; give some in its "
            "language."
        )
    return tokens | special
