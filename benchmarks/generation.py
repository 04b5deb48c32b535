"""Beam search with a language model of XGLM-564M's shape: a clip of 64 sampled frames, from its
pixels on, and the search alone, for clips one by one and at once.

Naive is textbook code: float32 weights, under bfloat16 autocast where the machine multiplies in it,
the clip's features copied for each beam, the signs' keys and values computed anew for each token
and beam, each adapter a product of its own, transformers' own cache and vision model. Weights are
random, so that no sentence ends early.
"""

import copy
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, XGLMConfig
from transformers.initialization import no_init_weights

from benchmarks.frames import operations, plain_signs
from benchmarks.harness import Case, Target, Work, fill, the_dtype
from sign2gpt.freed_memory import keep_freed_memory
from sign2gpt.model import Sign2GPTConfig, Sign2GPTForConditionalGeneration
from sign2gpt.model.cpu_generation import wide_dtype
from sign2gpt.model.modeling import SignEncoderOutput
from sign2gpt.model.precision import Precision
from sign2gpt.model.published import published_config
from sign2gpt.translate import make_ready

TINY = {"vocab_size": 50, "d_model": 32, "ffn_dim": 48, "num_layers": 2, "attention_heads": 4}
CHECK = {"precision": "float32", "language": TINY, "new_tokens": 12}
KEPT = 5000  # tokens; PHOENIX14T has 2,887 words
IN_BF16 = the_dtype() == "bfloat16"  # textbook code's products, and the weights we hold
HELD = "bf16" if IN_BF16 else "16 bits"
NEW_TOKENS = 63 if IN_BF16 else 8  # textbook code takes over a second for each in float32
TITLE = (
    f"A clip of 64 frames to {NEW_TOKENS} tokens, 4 beams, XGLM-564M's shape; "
    f"naive in {'bfloat16' if IN_BF16 else 'float32'}"
)


def _target(speed: float) -> Target | None:
    return Target(speed=speed) if IN_BF16 else None  # they were set for bfloat16


ONE_CLIP: dict[str, dict[str, Any]] = {
    HELD: {"target": _target(3.2)},
    **({} if IN_BF16 else {"fp32": {"precision": "float32"}}),
    f"{HELD}, {KEPT:,} tokens kept": {"kept": KEPT, "target": _target(5.0)},
    f"int8, {KEPT:,} tokens kept": {"precision": "int8", "kept": KEPT, "target": _target(8.0)},
}
TOGETHER = set(ONE_CLIP)  # naive is the same code, which takes most of the time
SHAPES: dict[str, dict[str, Any]] = {
    **{name: {"frames": 64, **shape} for name, shape in ONE_CLIP.items()},
    f"{HELD}, 8 clips at once, search alone; naive: fast, 8 times one": {
        "clips": 8,
        "one_by_one": True,
        "target": Target(speed=3.0),
    },
}
BEAMS, SIGNS = 4, 32


class Textbook(Sign2GPTForConditionalGeneration):
    """The same model, generating as textbook code does."""

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = True,
        input_ids: Tensor | None = None,
        encoder_outputs: SignEncoderOutput | None = None,
        **model_kwargs: Any,
    ) -> tuple[Tensor | None, dict[str, Any]]:
        input_ids, model_kwargs = GenerationMixin._expand_inputs_for_generation(
            self, expand_size, False, input_ids, **model_kwargs
        )
        features, mask = (
            tensor.repeat_interleave(expand_size, 0)
            for tensor in (encoder_outputs.last_hidden_state, encoder_outputs.sign_mask)
        )
        memory = self.decoder.remember(features, mask, keep=False)
        model_kwargs["encoder_outputs"] = SignEncoderOutput(features, mask, memory)
        return input_ids, model_kwargs

    _prepare_cache_for_generation = GenerationMixin._prepare_cache_for_generation
    _beam_search = GenerationMixin._beam_search


def build(
    device: torch.device,
    precision: str = "bfloat16",
    kept: int | None = None,
    clips: int = 1,
    frames: int = 0,
    new_tokens: int = NEW_TOKENS,
    language: dict[str, int] | None = None,
    one_by_one: bool = False,
    target: Target | None = None,
) -> Case:
    """`frames` > 0: from pixels on, the spatial model and the sign encoder included.

    `one_by_one`: naive is the fast search of one clip, whose time is taken for each of them.
    """
    plain = _textbook(tuple((language or {}).items()), device)
    held = Precision(precision)
    fast = _laid_out(plain, held, kept)
    generator = torch.Generator().manual_seed(1)
    if frames:
        size = (clips * frames, 3, 224, 224)
        pixels = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator).to(device)
        lengths = torch.full((clips,), frames, device=device)
        given = {"pixel_values": pixels, "num_frames": lengths}
    else:
        width = plain.config.sign_hidden_size
        features = torch.randn(clips, SIGNS, width, generator=generator).to(device)
        mask = torch.ones(clips, SIGNS, dtype=torch.bool, device=device)
        given = {"sign_features": features, "sign_mask": mask}

    def search(
        model: Sign2GPTForConditionalGeneration, tokens: int = new_tokens, **inputs: Tensor
    ) -> Tensor:
        for name, value in inputs.items():
            inputs[name] = value.to(model.dtype) if value.is_floating_point() else value
        model.generation_config.eos_token_id = None  # no sentence ends before its last token
        return model.generate(**inputs, max_new_tokens=tokens, num_beams=BEAMS)

    def naive(tokens: int = new_tokens) -> Tensor:
        low = IN_BF16 and held is not Precision.float32
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=low):
            if not frames:
                return search(plain, tokens, **given)
            signs, mask = plain_signs(plain, pixels, lengths)
            return search(plain, tokens, sign_features=signs, sign_mask=mask)

    def one(tokens: int = new_tokens) -> Tensor:
        return search(fast, tokens, **{name: value[:1] for name, value in given.items()})

    def ready() -> None:
        """A few tokens, so that no first call is counted, which takes its memory."""
        keep_freed_memory(device)  # as a translator does
        beside(tokens=4)
        search(fast, tokens=4, **given)

    beside = one if one_by_one else naive
    return Case(
        fast=lambda: search(fast, **given),
        naive=beside,
        ready=ready,
        floor=_floor(plain, held, kept, clips, frames, new_tokens),
        items=clips,
        unit="clip",
        target=target,
        memory=False,
        naive_share=1 / clips if one_by_one else 1.0,
    )


@lru_cache(maxsize=1)
def _textbook(language: tuple[tuple[str, int], ...], device: torch.device) -> Textbook:
    torch.manual_seed(0)
    text = XGLMConfig(**dict(language)) if language else published_config("facebook/xglm-564M")
    with no_init_weights():  # 564 million random numbers are drawn once, not three times
        model = Textbook(Sign2GPTConfig(text_config=text))
    model.tie_weights()
    fill(model)
    return model.eval().to(device)


def _laid_out(
    plain: Textbook, precision: Precision, kept: int | None
) -> Sign2GPTForConditionalGeneration:
    """The model as `Translator.from_pretrained` makes it ready."""
    dtype = wide_dtype(precision) if plain.device.type == "cpu" else precision.dtype
    cast = {  # one weight after another, so that no second copy in float32 stands in memory
        id(weight): nn.Parameter(weight.detach().to(dtype), requires_grad=False)
        for weight in plain.parameters()
    }
    model = copy.deepcopy(plain, cast)
    model.__class__ = Sign2GPTForConditionalGeneration
    make_ready(model, precision, kept and range(kept))
    return model


def _floor(
    plain: Textbook, precision: Precision, kept: int | None, clips: int, frames: int, tokens: int
) -> tuple[Work, Work]:
    """What the frames take; then each weight of the language model's blocks and of its head, read
    once a token and multiplied by each beam."""
    text = plain.decoder.language_model
    blocks = sum(
        weight.numel()
        for name, weight in text.base_model.layers.named_parameters()
        if weight.dim() > 1 and "lora" not in name
    )
    head = text.config.hidden_size * (kept or text.config.vocab_size)
    dtype = getattr(torch, the_dtype())
    return (
        Work(clips * frames * operations(plain.config.vision_config, 224), dtype),
        Work(
            2 * clips * BEAMS * tokens * (blocks + head),
            dtype,
            tokens * precision.bytes_each * (blocks + head),
        ),
    )
