"""The network, tensors only: spatial model, sign encoder, gated language decoder.

The names below are imported on first use, so that importing the package stays instant.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Sign2GPTConfig": "configuration",
    "Sign2GPTForConditionalGeneration": "modeling",
    "Sign2GPTForPseudoGlossPretraining": "modeling",
    "PseudoGlossOutput": "modeling",
    "SignEncoderOutput": "modeling",
    "count_parameters": "parameters",
    "published_config": "published",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
