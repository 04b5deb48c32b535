"""What the models return, as transformers' `ModelOutput`s.

Shapes: B clips, T sign tokens, D sign width, V pseudo-glosses.
"""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput

from sign2gpt.model.gated_attention import SignMemory


@dataclass
class SignEncoderOutput(ModelOutput):
    """Sign features Z as `last_hidden_state` (B, T, D), and `sign_mask` (B, T) bool.

    `memory` is filled in for the time of one `generate` call.
    """

    last_hidden_state: Tensor | None = None
    sign_mask: Tensor | None = None
    memory: SignMemory | None = None


@dataclass
class PseudoGlossOutput(ModelOutput):
    """What the pseudo-gloss head finds.

    loss (), presence Ê (B, V), localisation E (B, T, V), sign_features (B, T, D), sign_mask (B, T);
    E and Ê leave out the column of the zero prototype.
    """

    loss: Tensor | None = None
    presence: Tensor | None = None
    localisation: Tensor | None = None
    sign_features: Tensor | None = None
    sign_mask: Tensor | None = None
