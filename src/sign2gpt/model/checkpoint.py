"""What both models share: encoding clips, freezing, checkpoints that reload whole or not at all.

Shapes: B clips, N frames of all clips packed end to end, P tokens a frame, C backbone width, T sign
tokens, D sign width.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel

from sign2gpt.errors import UserError, one_line
from sign2gpt.files import make_weights_readable
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.frozen_weights import (
    ADDED,
    FROZEN,
    HUB_OPTIONS,
    checkpoint_config,
    fill,
    own_weights,
    quietly,
    rejoin,
    require_whole,
)
from sign2gpt.model.precision import Precision
from sign2gpt.model.provenance import identify
from sign2gpt.model.sign_encoder import SignEncoder
from sign2gpt.model.spatial import SpatialModel

FREEZABLE = ("spatial_model", "sign_encoder", "pseudo_gloss_head")


class Sign2GPTPreTrainedModel(PreTrainedModel):
    """Spatial model and sign encoder, by the same names in both models, so weights hand over."""

    config: Sign2GPTConfig
    config_class = Sign2GPTConfig
    base_model_prefix = "sign2gpt"
    main_input_name = "pixel_values"
    input_modalities = ("video",)
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # the loss is a mean over the batch, not over accumulated steps

    def __init__(self, config: Sign2GPTConfig):
        super().__init__(config)
        self.spatial_model = SpatialModel(config)
        self.sign_encoder = SignEncoder(config)
        self._frozen: set[str] = set()
        self._sources: dict[str, dict[str, Any]] = {}
        self._held_in: str | None = None

    def finish_init(self) -> None:
        """Call at the end of a model's `__init__`."""
        self.post_init()
        if hasattr(self, "decoder"):
            self._frozen.add("pseudo_gloss_head")
        self._apply_freezing()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: every module draws its own weights, and loading leaves none to be drawn."""

    def encode(
        self,
        pixel_values: Tensor | None = None,
        num_frames: Tensor | None = None,
        frame_tokens: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Frames of clips -> sign_features Z (B, T, D) and sign_mask (B, T) bool.

        Args:
            pixel_values: (N, 3, H, W), uint8 RGB or normalised floats; or
            frame_tokens: (N, P, C) stored by `spatial_model.frozen_tokens`.
            num_frames: (B,) int64 frames of each clip, adding up to N; None = one clip.

        Raises:
            UserError: neither or both kinds of frames, or numbers that do not add up.
        """
        grad = torch.is_grad_enabled()
        with torch.set_grad_enabled(grad and "spatial_model" not in self._frozen):
            features = self.spatial_model(pixel_values, frame_tokens)
        if num_frames is None:
            num_frames = torch.tensor([len(features)], device=features.device)
        return self.sign_encoder(features, num_frames)

    def freeze(self, spatial: bool = False, sign_encoder: bool = False) -> None:
        """Choose what stands still besides the frozen models: for Sign(Z)2GPT, both.

        A frozen module has no gradient, no dropout, and its BatchNorm statistics do not move.
        """
        chosen = {"spatial_model": spatial, "sign_encoder": sign_encoder}
        self._frozen -= set(chosen)
        self._frozen |= {name for name, frozen in chosen.items() if frozen}
        self._apply_freezing()
        self.train(self.training)

    def train(self, mode: bool = True) -> "Sign2GPTPreTrainedModel":
        super().train(mode)
        for name in self._frozen_modules():
            getattr(self, name).eval()
        return self

    def _frozen_modules(self) -> list[str]:
        return [name for name in FREEZABLE if name in self._frozen and hasattr(self, name)]

    def _apply_freezing(self) -> None:
        self.requires_grad_(True)
        for name in self._frozen_modules():
            getattr(self, name).requires_grad_(False)
        for name in ("spatial_model", "decoder"):
            if hasattr(self, name):
                for weight in getattr(self, name).frozen_parameters():
                    weight.requires_grad_(False)

    def project_parameters_(self) -> None:
        """Put temperatures and gates back into their ranges; call after each optimiser step."""
        if hasattr(self, "pseudo_gloss_head"):
            self.pseudo_gloss_head.project_()
        if hasattr(self, "decoder"):
            for gated in self.decoder.gates:
                gated.project_()

    @property
    def frozen_sources(self) -> dict[str, dict[str, Any]]:
        """By "vision" and "language": the source that a frozen model was filled from, as
        `provenance.identify` notes it. What is not here is saved with the model."""
        return dict(self._sources)

    def forget_source(self, part: str) -> None:
        """From now on save the weights of a frozen model ("vision" or "language") too: they are no
        longer those of its source."""
        self._sources.pop(part, None)

    def note_precision(self, precision: Precision) -> None:
        """Note in what the language model's weights are held from now on; a checkpoint says so."""
        self._held_in = precision.value if precision.quantised else None
        if precision is not Precision.float32 and "language" in self._sources:
            self._sources["language"]["precision"] = precision.value

    def source_keys(self, *parts: str) -> set[str]:
        """Names in the state dict that are not saved, as a source (of `parts`, or any) has them."""
        return {
            f"{FROZEN[part][0]}.{name}"
            for part in parts or self._sources
            for name in own_weights(self.get_submodule(FROZEN[part][0]))
        }

    def added_rows(self) -> dict[str, Tensor]:
        """What was added to the language model's vocabulary, (added tokens, W) by name; views."""
        known = self._sources.get("language", {}).get("vocab_size")
        if known is None:
            return {}
        names = {weight: name for name, weight in self.named_parameters()}  # tied ones once
        ends = (self.get_input_embeddings(), self.get_output_embeddings())
        tables = [weight for end in ends if end is not None for weight in end.parameters()]
        return {names[w] + ADDED: w.data[known:] for w in tables if len(w) > known}

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        state_dict: dict[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        """As in transformers, under the model's own names and without the weights of named sources.

        By default transformers renames the weights inside to the layouts of their first releases;
        then neither a trainer's return to its best epoch nor the next stage would find them.
        A frozen model that is set learning, or was given other weights by `load_state_dict`, is
        saved with the rest; after any other change of its weights call `forget_source`.

        Raises:
            UserError: a language model held in 8 or 4 bits that no source has, or a model that was
                made ready for generation alone (see `cpu_generation`).
        """
        if hasattr(self, "decoder") and self.decoder.head is not None:
            raise UserError(
                "A model that was made ready for generation, as a Translator's is, cannot be saved;"
                " load it with Sign2GPTForConditionalGeneration.from_pretrained to save it."
            )
        for part in self.frozen_sources:
            own = own_weights(self.get_submodule(FROZEN[part][0]), keep_vars=True)
            if any(weight.requires_grad for weight in own.values()):
                self.forget_source(part)
        self.config.frozen_sources = self.frozen_sources or None
        leave = self.source_keys()
        if "language" not in self._sources and self._held_in is not None:
            raise UserError(
                f"The language model is held as {self._held_in} and no source has its weights, so "
                "they cannot be saved; load the model anew in float32 or bfloat16."
            )
        state = self.state_dict() if state_dict is None else state_dict
        kept = {name: weight for name, weight in state.items() if name not in leave}
        kept |= {name: rows.clone() for name, rows in self.added_rows().items()}
        kwargs = {"save_original_format": False, **kwargs}
        super().save_pretrained(save_directory, state_dict=kept, **kwargs)
        make_weights_readable(Path(save_directory))

    def _load_from_state_dict(self, state_dict: dict[str, Any], *args: Any) -> None:
        """As in torch; rows added to the vocabulary go where they belong, and a frozen model that
        is given other weights than its source's is saved from then on."""
        for name, rows in self.added_rows().items():
            if name in state_dict:
                given = state_dict.pop(name)
                if given.shape != rows.shape:
                    raise UserError(
                        f"The weight {name} has shape {tuple(given.shape)} where the model has "
                        f"{tuple(rows.shape)}; give it the same vocabulary."
                    )
                rows.copy_(given)
        own = self.state_dict() if self._sources else {}
        for part in self.frozen_sources:
            held = self.source_keys(part) & state_dict.keys()
            if any(not torch.equal(own[key], state_dict[key].to(own[key])) for key in held):
                self.forget_source(part)
        super()._load_from_state_dict(state_dict, *args)

    @classmethod
    @quietly()
    def from_pretrained(
        cls,
        source: str | Path,
        *args: Any,
        vision: str | Path | None = None,
        language: str | Path | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load a model that was saved; unlike transformers', never with a random weight.

        Frozen models that the checkpoint names are read from their sources, once it is sure that
        their weights are those that it was trained with.

        Args:
            source: the model's folder, or its name on the Hub.
            vision: where the frozen vision model lies now, if not where the checkpoint says.
            language: the same for the language model.

        Raises:
            UserError: no weights there, a damaged file, a weight missing, left over or of another
                shape; a frozen model that is not there or not the same.
        """
        with_info = kwargs.pop("output_loading_info", False)
        kwargs["ignore_mismatched_sizes"] = True  # refused below, by name
        kwargs.setdefault("use_safetensors", True)  # nothing from a pickle
        folder = Path(source)
        if folder.is_dir() and not any(folder.glob("*.safetensors")):
            raise UserError(f"There are no weights in {source}; it needs a model.safetensors file.")
        try:
            config = checkpoint_config(source, kwargs)
            noted = config.frozen_sources or {}
            for part, place in (("vision", vision), ("language", language)):
                if place is not None and part not in noted:
                    raise UserError(
                        f"The model in {source} has no frozen {part} model outside of it; leave "
                        f"{part} out."
                    )
            if noted:
                places = {"vision": vision, "language": language}
                kwargs["state_dict"] = rejoin(source, config, places, kwargs)
                kwargs["config"] = config
            model, info = super().from_pretrained(
                None if noted else source, *args, output_loading_info=True, **kwargs
            )
            if noted:
                model._came_from(source, kwargs)
        except (
            OSError, RuntimeError, ValueError, AttributeError, TypeError, LookupError,
            SafetensorError,
        ) as error:  # fmt: skip
            raise UserError(
                f"The model in {source} cannot be loaded; copy or train it again "
                f"({one_line(error)})."
            ) from error
        require_whole(info, str(source))
        model._require_numbers(str(source))
        model._sources = deepcopy(noted)
        model._apply_freezing()  # loading makes new parameters, all of them trainable
        return (model, info) if with_info else model

    def _require_numbers(self, source: str) -> None:
        """Raise `UserError` if a weight of what is learnt is no number."""
        parts = [] if self.config.train_backbone else ["vision"]
        parts += ["language"] if hasattr(self, "decoder") else []
        state = self.state_dict()
        for name in sorted(state.keys() - (self.source_keys(*parts) if parts else set())):
            if state[name].is_floating_point() and not bool(state[name].isfinite().all()):
                raise UserError(
                    f"The weight {name} of the model in {source} is no number in places: its "
                    "training diverged, or the file is damaged; use another model."
                )

    def _came_from(self, source: str | Path, kwargs: dict[str, Any]) -> None:
        """What transformers does of itself where it reads the weights: the name, and the settings
        of the search."""
        self.name_or_path = self.config.name_or_path = str(source)
        if self.can_generate() and kwargs.get("generation_config") is None:
            options = HUB_OPTIONS | {key: kwargs[key] for key in HUB_OPTIONS if key in kwargs}
            self.adjust_generation_fn(
                None, False, False, str(source), force_download=False, proxies=None,
                trust_remote_code=None, **options,
            )  # fmt: skip

    @classmethod
    def from_pretrained_parts(
        cls,
        config: Sign2GPTConfig,
        vision: str | Path | None = None,
        language: str | Path | None = None,
    ) -> Any:
        """Build a new model around pretrained frozen models.

        Checkpoints of it name the frozen models and do not hold them.

        Args:
            config: the whole model's configuration.
            vision: source of the vision model (see `sources`); None = random weights.
            language: the same for the language model.

        Raises:
            UserError: a part cannot be loaded, or its weights do not fill the frozen ones exactly.
        """
        model = cls(config)
        for part, source in (("vision", vision), ("language", language)):
            path, auto_class = FROZEN[part]
            if source is None or (part == "language" and not hasattr(model, "decoder")):
                continue
            fill(model.get_submodule(path), auto_class, source)
            noted = None if part == "vision" and config.train_backbone else identify(source)
            if noted is not None:
                model._sources[part] = noted
        if "language" in model._sources:
            size = model.get_input_embeddings().num_embeddings
            model._sources["language"]["vocab_size"] = size
        return model.eval()
