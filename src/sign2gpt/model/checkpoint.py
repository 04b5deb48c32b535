"""What both models share: encoding clips, freezing, checkpoints that reload whole or not at all.

Shapes: B clips, N frames of all clips packed end to end, P tokens a frame, C backbone width, T sign
tokens, D sign width.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel

from sign2gpt.errors import UserError, one_line
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.sign_encoder import SignEncoder
from sign2gpt.model.sources import load_weights
from sign2gpt.model.spatial import SpatialModel

TRAINABLE_NAMES = ("lora_a", "lora_b", "gate")  # what was added inside the frozen models
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

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """As in transformers, under the model's own names.

        By default transformers renames the weights inside to the layouts of their first releases;
        then neither a trainer's return to its best epoch nor the next stage would find them.
        """
        super().save_pretrained(save_directory, **{"save_original_format": False, **kwargs})

    @classmethod
    def from_pretrained(cls, source: str | Path, *args: Any, **kwargs: Any) -> Any:
        """Load a model that was saved whole; unlike transformers', never with a random weight.

        Raises:
            UserError: no weights there, a damaged file, or a weight missing, left over or of
                another shape.
        """
        with_info = kwargs.pop("output_loading_info", False)
        kwargs.pop("ignore_mismatched_sizes", None)
        kwargs.setdefault("use_safetensors", True)  # nothing from a pickle
        folder = Path(source)
        if folder.is_dir() and not any(folder.glob("*.safetensors")):
            raise UserError(f"There are no weights in {source}; it needs a model.safetensors file.")
        try:
            model, info = super().from_pretrained(source, *args, output_loading_info=True, **kwargs)
        except (
            OSError, RuntimeError, ValueError, AttributeError, TypeError, SafetensorError
        ) as error:  # fmt: skip
            raise UserError(
                f"The model in {source} cannot be loaded; copy or train it again "
                f"({one_line(error)})."
            ) from error
        _require_whole(info, str(source))
        model._apply_freezing()  # loading makes new parameters, all of them trainable
        return (model, info) if with_info else model

    @classmethod
    def from_pretrained_parts(
        cls,
        config: Sign2GPTConfig,
        vision: str | Path | None = None,
        language: str | Path | None = None,
    ) -> Any:
        """Build a new model around pretrained frozen models.

        Args:
            config: the whole model's configuration.
            vision: source of the vision model (see `sources`); None = random weights.
            language: the same for the language model.

        Raises:
            UserError: a part cannot be loaded, or its weights do not fill the frozen ones exactly.
        """
        model = cls(config)
        if vision is not None:
            _fill(model.spatial_model.backbone, AutoModel, vision)
        if language is not None and hasattr(model, "decoder"):
            _fill(model.decoder.language_model, AutoModelForCausalLM, language)
        return model.eval()


def count_parameters(model: Sign2GPTPreTrainedModel) -> dict[str, tuple[int, int]]:
    """(all, trainable) parameters of each component and in total, as in Table 1(b)."""
    rows = {
        "spatial": "spatial_model",
        "sign encoder": "sign_encoder",
        "decoder": "decoder",
        "pseudo-gloss head": "pseudo_gloss_head",
    }
    parts = {row: getattr(model, name) for row, name in rows.items() if hasattr(model, name)}
    return {row: _count(part) for row, part in {**parts, "total": model}.items()}


def _count(module: nn.Module) -> tuple[int, int]:
    weights = list(module.parameters())
    trainable = [weight for weight in weights if weight.requires_grad]
    return sum(w.numel() for w in weights), sum(w.numel() for w in trainable)


def _require_whole(info: dict[str, Any], source: str) -> None:
    """Raise `UserError` unless a checkpoint filled every weight and nothing else."""
    faults = {
        "lacks": sorted(info["missing_keys"]),
        "has a left-over": sorted(info["unexpected_keys"]),
        "has another shape of": sorted(str(key[0]) for key in info["mismatched_keys"]),
    }
    for what, names in faults.items():
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(
                f"The model in {source} {what} {names[0]}{more}; give the folder that was saved "
                "for this kind of model, with the configuration it was saved with."
            )


def _fill(frozen: nn.Module, auto_class: Any, source: str | Path) -> None:
    """Copy a pretrained model's weights into the frozen weights of ours."""
    weights, info = load_weights(source, auto_class)
    _require_whole(info, str(source))
    gated = auto_class is AutoModelForCausalLM
    given = {
        name.replace(".self_attn.", ".self_attn.attention.") if gated else name: weight
        for name, weight in weights.items()
    }
    own = {
        name: weight
        for name, weight in frozen.state_dict().items()
        if name.rsplit(".", 1)[-1] not in TRAINABLE_NAMES
    }
    shapes = {name for name in own.keys() & given.keys() if own[name].shape != given[name].shape}
    info = {
        "missing_keys": own.keys() - given.keys(),
        "unexpected_keys": given.keys() - own.keys(),
        "mismatched_keys": {(name,) for name in shapes},
    }
    _require_whole(info, str(source))
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(given[name])
