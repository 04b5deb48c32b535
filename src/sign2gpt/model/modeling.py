"""The two models: pseudo-gloss pretraining (stage 1) and translation (stage 2).

Shapes: B clips, N frames of all clips packed end to end, P tokens a frame, C backbone width, T sign
tokens, D sign width, V pseudo-glosses, L text tokens, M vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    GenerationConfig,
)
from transformers.cache_utils import Cache
from transformers.modeling_outputs import Seq2SeqLMOutput

from sign2gpt.errors import UserError
from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.decoder import GatedDecoder
from sign2gpt.model.frozen_weights import quietly
from sign2gpt.model.generation import SignGenerationMixin
from sign2gpt.model.head_loss import head_loss
from sign2gpt.model.outputs import PseudoGlossOutput, SignEncoderOutput
from sign2gpt.model.parameters import count_parameters
from sign2gpt.model.pseudo_gloss_head import PseudoGlossHead

__all__ = [
    "PseudoGlossOutput",
    "Sign2GPTForConditionalGeneration",
    "Sign2GPTForPseudoGlossPretraining",
    "SignEncoderOutput",
    "count_parameters",
]


class Sign2GPTForPseudoGlossPretraining(Sign2GPTPreTrainedModel):
    """Stage 1: spatial model, sign encoder and pseudo-gloss head; no decoder is built."""

    def __init__(self, config: Sign2GPTConfig):
        super().__init__(config)
        if config.num_pseudo_glosses == 0:
            raise UserError(
                "Pretraining needs pseudo-glosses; set num_pseudo_glosses to the vocabulary's size."
            )
        self.pseudo_gloss_head = PseudoGlossHead(config)
        self.finish_init()

    def forward(
        self,
        pixel_values: Tensor | None = None,
        num_frames: Tensor | None = None,
        frame_tokens: Tensor | None = None,
        pseudo_gloss_labels: Tensor | None = None,
        sign_features: Tensor | None = None,
        sign_mask: Tensor | None = None,
    ) -> PseudoGlossOutput:
        """Which pseudo-glosses are signed, and where (section 3.3).

        Args:
            pixel_values: (N, 3, H, W), uint8 RGB or normalised floats; or
            frame_tokens: (N, P, C) stored by `spatial_model.frozen_tokens`; or
            sign_features: (B, T, D) with sign_mask (B, T), already encoded.
            num_frames: (B,) int64 frames of each clip; None = one clip.
            pseudo_gloss_labels: (B, V), 1 where the sentence holds the pseudo-gloss. With them, in
                training, there is no localisation: the loss does not need it, and it is large.

        Raises:
            UserError: inputs that do not fit together, or prototypes never set.
        """
        if sign_features is None:
            sign_features, sign_mask = self.encode(pixel_values, num_frames, frame_tokens)
        localisation = None
        if self.training and pseudo_gloss_labels is not None:
            presence = self.pseudo_gloss_head.presence(sign_features, sign_mask)
        else:
            localisation, presence = self.pseudo_gloss_head(sign_features, sign_mask)
        loss = None
        if pseudo_gloss_labels is not None:
            loss = self.pseudo_gloss_head.loss(presence, pseudo_gloss_labels)
        return PseudoGlossOutput(loss, presence, localisation, sign_features, sign_mask)


class Sign2GPTForConditionalGeneration(Sign2GPTPreTrainedModel, SignGenerationMixin):
    """Stage 2: spatial model, sign encoder and gated decoder; with the stage-1 head, frozen, where
    `num_pseudo_glosses` is set, so that a translator can also say where each sign is."""

    def __init__(self, config: Sign2GPTConfig):
        super().__init__(config)
        self.decoder = GatedDecoder(config)
        if config.num_pseudo_glosses:
            self.pseudo_gloss_head = PseudoGlossHead(config)
        self.generation_config = GenerationConfig(
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
            num_beams=4,
            max_length=64,
        )
        self.finish_init()

    def forward(
        self,
        pixel_values: Tensor | None = None,
        num_frames: Tensor | None = None,
        frame_tokens: Tensor | None = None,
        sign_features: Tensor | None = None,
        sign_mask: Tensor | None = None,
        encoder_outputs: SignEncoderOutput | tuple | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        return_dict: bool = True,
    ) -> Seq2SeqLMOutput:
        """Sentences for clips, teacher-forced, or one step of generation.

        Args:
            pixel_values: (N, 3, H, W), uint8 RGB or normalised floats; or
            frame_tokens: (N, P, C) stored by `spatial_model.frozen_tokens`; or
            sign_features: (B, T, D) with sign_mask (B, T) bool; or
            encoder_outputs: those two in a tuple or a `SignEncoderOutput`.
            num_frames: (B,) int64 frames of each clip; None = one clip.
            decoder_input_ids: (B * beams, L); made from `labels` where absent.
            labels: (B, L) int64, -100 where there is no target.

        Returns:
            loss: cross-entropy over real targets, with `label_smoothing` while training or not.
            logits: (B, L, M); None in training with labels, where the head, the dearest layer with
            a large vocabulary, is applied at real targets only.

        Raises:
            UserError: inputs that do not fit together.
        """
        if encoder_outputs is None and sign_features is not None:
            encoder_outputs = SignEncoderOutput(sign_features, sign_mask)
        signs = self._signs(pixel_values, num_frames, frame_tokens, encoder_outputs)
        memory = signs.memory
        if memory is None:
            memory = self.decoder.remember(signs.last_hidden_state, signs.sign_mask)
        if decoder_input_ids is None:
            if labels is None:
                raise UserError("Give labels or decoder_input_ids to the translation model.")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        features, cache = self.decoder(
            decoder_input_ids,
            memory,
            cache=cache,
            use_cache=labels is None if use_cache is None else use_cache,
            attention_mask=decoder_attention_mask,
        )
        loss, logits = None, None
        if labels is None:
            logits = self.next_token_scores(features)
        elif not self.training:
            logits = self.decoder.logits(features)
        if labels is not None:
            loss = self._loss(features, logits, labels)
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            cache=cache,
            encoder_last_hidden_state=signs.last_hidden_state,
        )

    @torch.no_grad()
    def generate(
        self,
        inputs: Tensor | None = None,
        *,
        pixel_values: Tensor | None = None,
        num_frames: Tensor | None = None,
        frame_tokens: Tensor | None = None,
        sign_features: Tensor | None = None,
        sign_mask: Tensor | None = None,
        encoder_outputs: SignEncoderOutput | tuple | None = None,
        **kwargs: Any,
    ) -> Any:
        """Translate clips: token ids (B, L) from transformers' own search, beams of 4 by default.

        The clips are given as to `forward`; everything else as to transformers' `generate`.
        """
        if encoder_outputs is None and sign_features is not None:
            encoder_outputs = SignEncoderOutput(sign_features, sign_mask)
        pixel_values = inputs if pixel_values is None else pixel_values
        # Packed frames are more than there are clips, so they are encoded before transformers
        # reads the number of clips off its main input.
        signs = self._signs(pixel_values, num_frames, frame_tokens, encoder_outputs)
        if kwargs.get("max_new_tokens") is not None:
            kwargs.setdefault("max_length", None)  # the default of 64 would draw a warning
        for training_only in ("labels", "pseudo_gloss_labels"):
            kwargs.pop(training_only, None)
        return super().generate(encoder_outputs=signs, **kwargs)

    def localise(
        self,
        pixel_values: Tensor | None = None,
        num_frames: Tensor | None = None,
        frame_tokens: Tensor | None = None,
        encoder_outputs: SignEncoderOutput | tuple | None = None,
    ) -> PseudoGlossOutput:
        """Where each pseudo-gloss is signed: E (B, T, V) and Ê (B, V), inputs as to `forward`.

        Raises:
            UserError: the model has no pseudo-gloss head.
        """
        if not self.config.num_pseudo_glosses:
            raise UserError(
                "This translation model has no pseudo-gloss head, so it cannot say where a sign "
                "is; train it from a model pretrained on pseudo-glosses."
            )
        signs = self._signs(pixel_values, num_frames, frame_tokens, encoder_outputs)
        features, mask = signs.last_hidden_state, signs.sign_mask
        localisation, presence = self.pseudo_gloss_head(features, mask)
        return PseudoGlossOutput(None, presence, localisation, features, mask)

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Labels (B, L) shifted right behind the start token, padding in place of -100."""
        start = labels.new_full((len(labels), 1), self.config.decoder_start_token_id)
        shifted = torch.cat((start, labels[:, :-1]), dim=1)
        return shifted.masked_fill(shifted == -100, self.config.pad_token_id)

    def get_input_embeddings(self) -> nn.Module:
        return self.decoder.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.decoder.language_model.get_output_embeddings()

    def resize_token_embeddings(self, new_num_tokens: int, **kwargs: Any) -> nn.Module:
        """Grow the frozen vocabulary (appendix A.2): new embeddings start at the mean of the old
        with slight noise, and stay frozen."""
        language_model = self.decoder.language_model
        with quietly():  # it announces how new rows start, which is said above
            embeddings = language_model.resize_token_embeddings(new_num_tokens, **kwargs)
        self.config.text_config.vocab_size = new_num_tokens
        if new_num_tokens < self.frozen_sources.get("language", {}).get("vocab_size", 0):
            self.forget_source("language")  # added rows can be saved beside a source, not lost ones
        self._apply_freezing()
        return embeddings

    def _signs(
        self,
        pixel_values: Tensor | None,
        num_frames: Tensor | None,
        frame_tokens: Tensor | None,
        encoder_outputs: SignEncoderOutput | tuple | None,
    ) -> SignEncoderOutput:
        if encoder_outputs is None:
            return SignEncoderOutput(*self.encode(pixel_values, num_frames, frame_tokens))
        if isinstance(encoder_outputs, SignEncoderOutput):
            signs = encoder_outputs
        else:
            signs = SignEncoderOutput(*encoder_outputs)
        features = signs.last_hidden_state
        if signs.sign_mask is None:  # every token is real
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
            return SignEncoderOutput(features, mask, signs.memory)
        return signs

    def _loss(self, features: Tensor, logits: Tensor | None, labels: Tensor) -> Tensor:
        """Cross-entropy over real targets, in float32; 0 where there is none."""
        real = labels != -100
        smoothing = self.config.label_smoothing
        head = self.get_output_embeddings()
        chunked = logits is None and type(head) is nn.Linear and head.bias is None
        if not bool(real.any()):
            return features.sum() * 0.0
        if chunked and not head.weight.requires_grad:
            return head_loss(features[real], head.weight, labels[real], smoothing)
        scores = self.decoder.logits(features[real]) if logits is None else logits[real]
        return F.cross_entropy(scores.float(), labels[real], label_smoothing=smoothing)


AutoConfig.register("sign2gpt", Sign2GPTConfig, exist_ok=True)
AutoModelForPreTraining.register(Sign2GPTConfig, Sign2GPTForPseudoGlossPretraining, exist_ok=True)
AutoModelForSeq2SeqLM.register(Sign2GPTConfig, Sign2GPTForConditionalGeneration, exist_ok=True)
