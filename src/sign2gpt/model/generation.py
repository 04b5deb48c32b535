"""How transformers' search runs over a translation model: the clip is read once, and kept.

Shapes: B clips, F beams, L text tokens, M vocabulary.
"""

from contextvars import ContextVar
from typing import Any

from torch import Tensor
from transformers import (
    GenerationConfig,
    GenerationMixin,
    LogitsProcessorList,
    StoppingCriteriaList,
)
from transformers.generation import GenerationMode

from sign2gpt.errors import UserError
from sign2gpt.model.beam_cache import BeamCache
from sign2gpt.model.kept_tokens import KeptHead
from sign2gpt.model.outputs import SignEncoderOutput
from sign2gpt.model.shortlist import Shortlist

PLAIN_MODES = (
    GenerationMode.GREEDY_SEARCH,
    GenerationMode.SAMPLE,
    GenerationMode.BEAM_SEARCH,
    GenerationMode.BEAM_SAMPLE,
)
# The model whose beam search runs, and its list; between the model's forward and the choice of
# tokens transformers hands on scores alone.
_searching: ContextVar[tuple[object, Shortlist | None]] = ContextVar(
    "searching", default=(None, None)
)


class SignGenerationMixin(GenerationMixin):
    """`GenerationMixin` where it meets signs: what is copied per beam, cached, and loaded.

    transformers tells by its name that a model can generate.
    """

    def adjust_generation_fn(
        self, generation_config: Any, auto: bool, pipeline: bool, source: Any, *args: Any, **kw: Any
    ) -> None:
        """How transformers loads generation_config.json, but a file that is not whole is an error.

        transformers passes over it, and a search without `max_length` ends after 20 tokens:
        sentences would be cut off unnoticed. The file is always saved with the weights.
        """
        super().adjust_generation_fn(generation_config, auto, pipeline, source, *args, **kw)
        tokens = range(self.config.text_config.vocab_size)
        allowed = {"decoder_start_token_id": tokens, "eos_token_id": tokens}
        allowed |= {"num_beams": range(1, 65), "max_length": range(2, 10**9)}
        for name, values in allowed.items():
            value = getattr(self.generation_config, name)
            several = name == "eos_token_id" and isinstance(value, list) and value
            if not all(item in values for item in (value if several else [value])):
                where = f"generation_config.json in {source}" if source else "model's config.json"
                raise UserError(
                    f"The {where} is missing or damaged ({name} is {value!r}); copy or train that "
                    "model again."
                )

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = True,
        input_ids: Tensor | None = None,
        encoder_outputs: SignEncoderOutput | None = None,
        **model_kwargs: Any,
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """Beams copy the text only; the signs are read once and kept for this generation."""
        input_ids, model_kwargs = super()._expand_inputs_for_generation(
            expand_size, is_encoder_decoder=False, input_ids=input_ids, **model_kwargs
        )
        features, mask = encoder_outputs.last_hidden_state, encoder_outputs.sign_mask
        memory = self.decoder.remember(features, mask, keep=True)
        model_kwargs["encoder_outputs"] = SignEncoderOutput(features, mask, memory)
        return input_ids, model_kwargs

    def _prepare_cache_for_generation(
        self,
        generation_config: Any,
        model_kwargs: dict[str, Any],
        mode: GenerationMode,
        clips: int,
        *args: Any,
    ) -> None:
        """As in transformers, but a decoder that is laid out for a CPU has a cache of ours."""
        plain = mode in PLAIN_MODES and "decoder_attention_mask" not in model_kwargs
        asked = "cache" in model_kwargs or generation_config.cache_implementation
        super()._prepare_cache_for_generation(generation_config, model_kwargs, mode, clips, *args)
        made, text = model_kwargs.get("cache"), self.config.text_config
        fits = plain and not asked and self.decoder.attends_clipwise and BeamCache.possible(text)
        if made is not None and fits:
            made.self_attention_cache = BeamCache(text, clips)

    def _beam_search(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **model_kwargs: Any,
    ) -> Any:
        """As in transformers, but for rounding and what comes first of the same scores; on a CPU
        among the likeliest tokens alone, where nobody asks for the others' scores."""
        search = generation_config
        every = logits_processor or search.do_sample or search.output_scores or search.output_logits
        ends = 0 if search._eos_token_tensor is None else len(search._eos_token_tensor)
        least = max(2, 1 + ends)  # so many of each beam are kept in all
        head = self.decoder.head
        said = len(head.kept) if isinstance(head, KeptHead) else self.config.text_config.vocab_size
        listed = not every and said >= least and input_ids.device.type == "cpu"
        before = _searching.set((self, Shortlist(least * search.num_beams) if listed else None))
        try:
            return super()._beam_search(
                input_ids, logits_processor, stopping_criteria, generation_config, **model_kwargs
            )
        finally:
            _searching.reset(before)

    @property
    def _shortlist(self) -> Shortlist | None:
        """The one of this model's search, in this thread."""
        model, shortlist = _searching.get()
        return shortlist if model is self else None

    def next_token_scores(self, features: Tensor) -> Tensor:
        """The decoder's features (N, L, W) -> logits (N, L, M); inside a beam search that looks at
        the likeliest tokens alone, the shortlist's log-probabilities (N, 1, K + 1)."""
        shortlist = self._shortlist
        if shortlist is None:
            return self.decoder.logits(features)
        last, head = features[:, -1], self.decoder.head
        if isinstance(head, KeptHead):
            return shortlist.of(head.rows(last), head.kept)[:, None]
        return shortlist.of(self.decoder.logits(last))[:, None]

    def _get_top_k_continuations(
        self, accumulated_log_probs: Tensor, **settings: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As in transformers, of (B, F * M); or of (B, F * (K + 1)), the beams' shortlists."""
        shortlist = self._shortlist
        if shortlist is None:
            return super()._get_top_k_continuations(accumulated_log_probs, **settings)
        num_beams, end = settings["num_beams"], settings["cur_len"]
        listed = accumulated_log_probs.unflatten(-1, (num_beams, -1))[..., :-1]
        scores, texts, beams = super()._get_top_k_continuations(listed.flatten(1), **settings)
        # What was taken for a token there is its place on its beam's list.
        text, place = beams[..., end - settings["decoder_prompt_len"]], texts[..., end]
        texts[..., end] = shortlist.tokens[text.long(), place]
        return scores, texts, beams

    def _prepare_special_tokens(
        self, generation_config: GenerationConfig, *args: Any, **kwargs: Any
    ) -> None:
        """As in transformers, less a warning: the start of a sentence needs no mask."""
        kwargs["kwargs_has_attention_mask"] = None
        super()._prepare_special_tokens(generation_config, *args[1:], **kwargs)
