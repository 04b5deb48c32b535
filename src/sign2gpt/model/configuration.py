"""Configuration: every dimension and every ablation switch; the defaults are the paper's.

Two sub-configurations say what is frozen: `vision_config` (DINOv2, or another vision model with a
class token or a pooled output) and `text_config` (XGLM or a Llama-like language model; None for a
model only pretrained on pseudo-glosses).
"""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from sign2gpt.errors import UserError
from sign2gpt.model.precision import Precision
from sign2gpt.model.published import published_config

SIGN_POSITIONS = ("sinusoidal", "none", "learnable_zero", "learnable_random")
GATES = ("straight_through", "clamp", "free")

# Keys of transformers' own that arrive besides the fields below, from files and Auto classes.
_FOREIGN_KEYS = {
    "attn_implementation",
    "experts_implementation",
    "model_type",
    "name_or_path",
    "num_labels",
    "output_attentions",
    "torch_dtype",
    "use_cache",
}


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(low: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: _is_int(value) and value >= low, f"a whole number from {low}"


def _odd_window(value: Any) -> bool:
    return value is None or (_is_int(value) and value >= 1 and value % 2 == 1)


def _one_of(names: tuple[str, ...]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in names, "one of " + ", ".join(names)


_SHARE = (lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 and below 1")
_POSITIVE = (lambda v: _is_number(v) and v > 0, "a number above 0")
_SWITCH = (lambda v: isinstance(v, bool), "true or false")
_COLOUR = (
    lambda v: isinstance(v, list) and len(v) == 3 and all(_is_number(x) for x in v),
    "three numbers, red green blue",
)


def _is_dtype(value: Any) -> bool:
    named = getattr(torch, value, None) if isinstance(value, str) else value
    return value is None or (isinstance(named, torch.dtype) and named.is_floating_point)


_NAME = (lambda v: isinstance(v, str) and bool(v.strip()), "a text that is not empty")
# What `provenance.identify` and the models note of a frozen model.
_NOTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": _NAME,
    "sha256": _NAME,
    "revision": (lambda v: v is None or _NAME[0](v), "the Hub's commit, or null"),
    "vocab_size": _whole(1),
    "precision": _one_of(tuple(precision.value for precision in Precision)),
}
_NOTED_ALWAYS = ("name", "sha256", "revision")


# What each key may be, in code and in words.
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "image_mean": _COLOUR,
    "image_std": _COLOUR,
    "spatial_lora_rank": _whole(1),
    "spatial_lora_alpha": _POSITIVE,
    "spatial_lora_layers": _whole(0),
    "spatial_lora_dropout": _SHARE,
    "spatial_lora_shared_qkv": _SWITCH,
    "train_backbone": _SWITCH,
    "sign_hidden_size": _whole(1),
    "num_sign_layers": _whole(0),
    "num_sign_heads": _whole(1),
    "sign_intermediate_size": _whole(1),
    "attention_window": (_odd_window, "an odd whole number, or null for global attention"),
    "downsample_after": (
        lambda v: v is None or (_is_int(v) and v >= 0),
        "a layer's number from 0 to num_sign_layers, or null for no downsampling",
    ),
    "sign_layer_scale": _POSITIVE,
    "sign_dropout": _SHARE,
    "sign_drop_path": _SHARE,
    "sign_position": _one_of(SIGN_POSITIONS),
    "max_sign_positions": _whole(1),
    "decoder_lora_rank": _whole(1),
    "decoder_lora_alpha": _POSITIVE,
    "decoder_lora_dropout": _SHARE,
    "gate": _one_of(GATES),
    "frozen_dropout": _SWITCH,
    "label_smoothing": _SHARE,
    "full_width_punctuation": _SWITCH,
    "num_pseudo_glosses": _whole(0),
    "pseudo_gloss_size": _whole(1),
    "pseudo_gloss_dropout": _SHARE,
    "tau_init": _POSITIVE,
    "tau_time_min": _POSITIVE,
    "tau_prototype_min": _POSITIVE,
    "tau_max": _POSITIVE,
    "pseudo_gloss_loss_scale": _POSITIVE,
    "dtype": (_is_dtype, "null, or float32, bfloat16 or another of torch's types"),
    "frozen_sources": (
        lambda v: v is None or isinstance(v, dict),
        "null, or name, revision and sha256 of vision and of language",
    ),
}


class Sign2GPTConfig(PreTrainedConfig):
    """What a Sign2GPT model is; unknown keys and wrong values raise `UserError`.

    `vision_config` and `text_config` may be configurations or dictionaries with a `model_type`;
    without a `vision_config` it is that of facebook/dinov2-small.
    """

    model_type = "sign2gpt"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "vision_config": SubConfigSpec(AutoConfig, model_type="dinov2", optional=True),
        "text_config": SubConfigSpec(AutoConfig, model_type="xglm", optional=True),
    }
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "cache",
        "encoder_last_hidden_state",
    ]

    vision_config: PreTrainedConfig | dict | None = None
    text_config: PreTrainedConfig | dict | None = None
    image_mean: list[float] | tuple[float, ...] = (0.485, 0.456, 0.406)  # of RGB in 0..1, ImageNet
    image_std: list[float] | tuple[float, ...] = (0.229, 0.224, 0.225)

    # Spatial model: adapters on the top blocks of the frozen vision transformer.
    spatial_lora_rank: int = 4
    spatial_lora_alpha: float = 4.0
    spatial_lora_layers: int = 3  # adapted blocks, from the top; 0 = no spatial adapters
    spatial_lora_dropout: float = 0.1
    spatial_lora_shared_qkv: bool = True  # one A for q, k and v, as in a fused qkv layer
    train_backbone: bool = False  # True = every weight learns (the ResNet ablation)

    # Sign encoder.
    sign_hidden_size: int = 512
    num_sign_layers: int = 4  # 0 = no sign encoder
    num_sign_heads: int = 8
    sign_intermediate_size: int = 2048
    attention_window: int | None = 7  # tokens seen, itself in the middle; None = global
    downsample_after: int | None = 2  # layers before the frame rate is halved; None = never
    sign_layer_scale: float = 1e-5
    sign_dropout: float = 0.1
    sign_drop_path: float = 0.1  # stochastic depth of the last layer, rising linearly from 0

    # Decoder: the frozen language model, gated cross-attention and adapters.
    sign_position: str = "sinusoidal"  # added to the sign features before FCm; SIGN_POSITIONS
    max_sign_positions: int = 512  # tokens that the learnable positions reach
    decoder_lora_rank: int = 4
    decoder_lora_alpha: float = 4.0
    decoder_lora_dropout: float = 0.1
    gate: str = "straight_through"  # how gates are kept in [0, 1]; GATES
    frozen_dropout: bool = False  # True = the frozen models' own dropout acts in training
    label_smoothing: float = 0.1
    full_width_punctuation: bool = False  # ？！：， are put back into generated text (A.2)
    bos_token_id: int | None = None  # these four come from text_config unless given
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    decoder_start_token_id: int | None = None

    # Pseudo-gloss head.
    num_pseudo_glosses: int = 0  # size of the vocabulary; 0 = no head
    pseudo_gloss_size: int = 300  # width of the word vectors
    pseudo_gloss_dropout: float = 0.2
    tau_init: float = 0.1
    tau_time_min: float = 0.01  # the higher, the longer a stretch of time E can mark
    tau_prototype_min: float = 0.01
    tau_max: float = 1.0
    pseudo_gloss_loss_scale: float = 10.0

    # Frozen models that the checkpoint names instead of holding them, by "vision" and "language";
    # written by `save_pretrained` alone (see `provenance.identify`).
    frozen_sources: dict | None = None

    is_encoder_decoder: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = [key for key in kwargs if key not in _FOREIGN_KEYS and not key.startswith("_")]
        if unknown:
            close = get_close_matches(unknown[0], _ALLOWED, n=1)
            hint = f"did you mean {close[0]}?" if close else "see Sign2GPTConfig for the keys."
            raise UserError(f"Unknown model setting {unknown[0]!r}; {hint}")
        self.vision_config = vision_tower(_sub_config("vision_config", self.vision_config))
        self.text_config = _sub_config("text_config", self.text_config)
        if self.vision_config is None:
            self.vision_config = published_config("facebook/dinov2-small")
        if self.num_sign_layers == 0:
            self.downsample_after = None  # there is no layer after which to do it
        self.image_mean, self.image_std = list(self.image_mean), list(self.image_std)
        self._check()
        self._take_token_ids()
        super().__post_init__(**kwargs)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any
    ) -> Any:
        """As in transformers, but a setting that cannot be raises `UserError`, which names where
        it stands."""
        try:
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        except UserError as error:
            raise UserError(
                f"The model's configuration in {pretrained_model_name_or_path} cannot be used. "
                f"{error}"
            ) from error

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As in transformers, but another model's configuration raises `UserError`."""
        found = config_dict.get("model_type", cls.model_type)
        if found != cls.model_type:
            raise UserError(
                f"This is the configuration of a {found!r} model, not of a {cls.model_type!r} one; "
                "give the folder of a model saved by sign2gpt."
            )
        return super().from_dict(config_dict, **kwargs)

    def _check(self) -> None:
        for key, (allows, words) in _ALLOWED.items():
            if not allows(getattr(self, key)):
                raise UserError(
                    f"Model setting {key} is {getattr(self, key)!r} but must be {words}."
                )
        _check_sources(self.frozen_sources or {})
        vision = self.vision_config
        if getattr(vision, "num_channels", None) != 3:
            raise UserError(
                f"vision_config is of type {vision.model_type!r} but must be of a vision model for "
                "RGB frames, such as dinov2, dinov3_vit, siglip_vision_model, convnext or resnet."
            )
        most = getattr(vision, "num_hidden_layers", 0)
        if self.spatial_lora_layers > most:
            raise UserError(
                f"Model setting spatial_lora_layers is {self.spatial_lora_layers} but must be at "
                f"most {most} with this {vision.model_type} vision model."
            )
        if self.sign_hidden_size % (2 * self.num_sign_heads) and self.num_sign_layers:
            raise UserError(
                f"Model setting sign_hidden_size is {self.sign_hidden_size} but must be a multiple "
                f"of 2 * num_sign_heads = {2 * self.num_sign_heads}."
            )
        if self.num_sign_layers and (self.downsample_after or 0) > self.num_sign_layers:
            raise UserError(
                f"Model setting downsample_after is {self.downsample_after} but must be at most "
                f"num_sign_layers = {self.num_sign_layers}, or null for no downsampling."
            )
        lowest = max(self.tau_time_min, self.tau_prototype_min)
        if not lowest <= self.tau_init <= self.tau_max:
            raise UserError(
                f"Model setting tau_init is {self.tau_init} but must lie between {lowest}, the "
                f"greater of tau_time_min and tau_prototype_min, and tau_max = {self.tau_max}."
            )

    def _take_token_ids(self) -> None:
        """Special tokens not given are the language model's; a sentence starts as it was taught."""
        text = self.text_config
        if text is None:
            return
        for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if getattr(self, key) is None:
                setattr(self, key, getattr(text, key, None))
        eos = self.eos_token_id[0] if isinstance(self.eos_token_id, list) else self.eos_token_id
        if self.pad_token_id is None:
            self.pad_token_id = eos
        if self.decoder_start_token_id is None:
            start = getattr(text, "decoder_start_token_id", None)
            bos = self.bos_token_id if self.bos_token_id is not None else eos
            self.decoder_start_token_id = start if start is not None else bos
        for key in ("eos_token_id", "decoder_start_token_id"):
            if getattr(self, key) is None:
                raise UserError(
                    f"Model setting {key} is missing and text_config has none; give the "
                    "tokenizer's token id."
                )


def _check_sources(sources: dict[str, Any]) -> None:
    """Whether each frozen model is noted as it has to be; the sentence names the wrong key."""
    for part, noted in sources.items():
        key = f"frozen_sources.{part}"
        if part not in ("vision", "language"):
            raise UserError(f"Unknown model setting {key}; the frozen models are vision, language.")
        if not isinstance(noted, dict):
            raise UserError(f"Model setting {key} must be {', '.join(_NOTED_ALWAYS)} of a model.")
        for name, (allows, words) in _NOTED.items():
            if name not in noted and name in _NOTED_ALWAYS:
                raise UserError(f"Model setting {key}.{name} is missing and must be {words}.")
            if name in noted and not allows(noted[name]):
                raise UserError(
                    f"Model setting {key}.{name} is {noted[name]!r} but must be {words}."
                )


def vision_tower(config: PreTrainedConfig | None) -> PreTrainedConfig | None:
    """The vision half of a model of pictures and texts (CLIP, SigLIP); others as they are."""
    tower = getattr(config, "vision_config", None)
    return tower if isinstance(tower, PreTrainedConfig) else config


def _sub_config(key: str, given: Any) -> PreTrainedConfig | None:
    if given is None or isinstance(given, PreTrainedConfig):
        return given
    model_type = given.get("model_type") if isinstance(given, dict) else None
    if model_type is None or model_type not in CONFIG_MAPPING:
        raise UserError(
            f"Model setting {key} needs a model_type known to transformers (such as dinov2 or "
            f"xglm) but has {model_type!r}."
        )
    sizes = {name: value for name, value in given.items() if name != "model_type"}
    try:
        return CONFIG_MAPPING[model_type](**sizes)
    except (TypeError, ValueError) as error:  # transformers' strict configurations raise these
        raise UserError(f"Model setting {key} cannot be used: {error}") from error


def read_config(folder: Path) -> Sign2GPTConfig:
    """The configuration of a model that sign2gpt saved; UserError where it is damaged."""
    try:
        return Sign2GPTConfig.from_pretrained(folder)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"The configuration {folder / 'config.json'} is damaged; copy or train that model "
            "again, or name another."
        ) from error
