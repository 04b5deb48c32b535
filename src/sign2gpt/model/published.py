"""Sizes of the published models that Sign2GPT is built from; none of them needs the network.

They are facts taken from the models' own `config.json`; weights are another matter, see
`Sign2GPTForConditionalGeneration.from_pretrained_parts`.
"""

from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig

from sign2gpt.errors import UserError

_PUBLISHED: dict[str, dict[str, Any]] = {
    "facebook/dinov2-small": {
        "model_type": "dinov2",
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "image_size": 518,  # the table of positions; smaller frames interpolate it
        "patch_size": 14,
    },
    "microsoft/resnet-18": {
        "model_type": "resnet",
        "embedding_size": 64,
        "hidden_sizes": [64, 128, 256, 512],
        "depths": [2, 2, 2, 2],
        "layer_type": "basic",
    },
    "facebook/xglm-564M": {"model_type": "xglm", "d_model": 1024, "ffn_dim": 4096},
    "facebook/xglm-1.7B": {"model_type": "xglm", "d_model": 2048, "ffn_dim": 8192},
}

PUBLISHED_NAMES = tuple(_PUBLISHED)


def published_config(name: str) -> PreTrainedConfig:
    """The configuration of a published vision or language model.

    Raises:
        UserError: the name is not one of `PUBLISHED_NAMES`.
    """
    if name not in _PUBLISHED:
        raise UserError(
            f"The sizes of {name!r} are not known here; choose one of {', '.join(PUBLISHED_NAMES)} "
            "or give a full configuration."
        )
    sizes = dict(_PUBLISHED[name])
    return CONFIG_MAPPING[sizes.pop("model_type")](**sizes)
