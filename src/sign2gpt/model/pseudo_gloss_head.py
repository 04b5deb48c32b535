"""Pseudo-gloss head: which words are signed in a clip, and where (section 3.3, equations 2 to 5).

Shapes: B clips, T sign tokens, D sign width, E word-vector width, V pseudo-glosses.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sign2gpt.errors import UserError
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.dropout import dropout
from sign2gpt.model.precision import no_autocast
from sign2gpt.model.presence import presence_of


class PseudoGlossHead(nn.Module):
    """Compares sign features with fixed prototypes, the word vectors of the pseudo-glosses.

    The all-zero prototype of transitions is not stored: its similarity is 0 whatever the feature.
    """

    prototypes: Tensor

    def __init__(self, config: Sign2GPTConfig):
        super().__init__()
        size = config.pseudo_gloss_size
        self.loss_scale = config.pseudo_gloss_loss_scale
        self.tau_time_range = (config.tau_time_min, config.tau_max)
        self.tau_prototype_range = (config.tau_prototype_min, config.tau_max)
        self.dropout = config.pseudo_gloss_dropout
        self.projection = nn.Linear(config.sign_hidden_size, size)
        self.tau_time = nn.Parameter(torch.tensor(float(config.tau_init)))
        self.tau_prototype = nn.Parameter(torch.tensor(float(config.tau_init)))
        self.register_buffer("prototypes", torch.zeros(config.num_pseudo_glosses, size))

    def set_prototypes(self, vectors: Tensor | np.ndarray) -> None:
        """Give the pseudo-glosses' word vectors (V, E), in the vocabulary's order.

        Raises:
            UserError: wrong shape, or a value that is not finite.
        """
        given = torch.as_tensor(vectors, dtype=self.prototypes.dtype)
        if given.shape != self.prototypes.shape:
            raise UserError(
                f"The word vectors have shape {tuple(given.shape)} where the model has "
                f"{tuple(self.prototypes.shape)} prototypes; set num_pseudo_glosses and "
                "pseudo_gloss_size from the vectors."
            )
        if not bool(given.isfinite().all()):
            raise UserError("The word vectors hold values that are not finite; compute them anew.")
        self.prototypes.copy_(given)

    def forward(self, sign_features: Tensor, sign_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Localise the pseudo-glosses, in float32 whatever the dtype around it.

        Args:
            sign_features: Z (B, T, D).
            sign_mask: (B, T) bool.

        Returns:
            localisation E (B, T, V), zero at padding, and presence Ê (B, V), both without the
            column of the zero prototype.
        """
        with no_autocast(sign_features.device):
            projected, prototypes, tau_time, tau_prototype = self._parts(sign_features)
            similarity = projected @ prototypes.T  # (B, T, V), equation 2
            # Equations 3 and 4, softmaxes over time and over prototypes; the zero prototype has
            # similarity 0, and so its e^0 is in each token's denominator.
            over_time = (similarity / tau_time).masked_fill(~sign_mask[..., None], float("-inf"))
            over_prototypes = similarity / tau_prototype
            denominator = F.pad(over_prototypes.logsumexp(2, keepdim=True), (0, 1)).logsumexp(2)
            chosen = (over_prototypes - denominator[..., None]).exp()
            localisation = over_time.softmax(1) * chosen  # E; its sum over time is equation 5
            return localisation, localisation.sum(1)

    def presence(self, sign_features: Tensor, sign_mask: Tensor) -> Tensor:
        """Ê (B, V) as `forward` gives it, for training: E is never made as a whole."""
        with no_autocast(sign_features.device):
            projected, prototypes, tau_time, tau_prototype = self._parts(sign_features)
            return presence_of(projected, prototypes, sign_mask, tau_time, tau_prototype)

    def _parts(self, sign_features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z' (B, T, E) and P (V, E), both of length 1, and the temperatures; all float32."""
        features = dropout(sign_features.float(), self.dropout, self.training)
        weight, bias = self.projection.weight.float(), self.projection.bias.float()
        projected = F.normalize(F.linear(features, weight, bias), dim=-1)
        prototypes = F.normalize(self.prototypes.float(), dim=-1)
        tau_time = self.tau_time.float().clamp(*self.tau_time_range)
        tau_prototype = self.tau_prototype.float().clamp(*self.tau_prototype_range)
        return projected, prototypes, tau_time, tau_prototype

    def loss(self, presence: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy of Ê (B, V) against 0/1 labels (B, V), mean over all, scaled.

        Raises:
            UserError: the prototypes were never set, or labels of another shape.
        """
        if labels.shape != presence.shape:
            raise UserError(
                f"The pseudo-gloss labels have shape {tuple(labels.shape)}; give "
                f"{tuple(presence.shape)}, clips by pseudo-glosses."
            )
        if not bool(self.prototypes.any()):
            raise UserError(
                "The pseudo-gloss prototypes are all zero; give the word vectors with "
                "pseudo_gloss_head.set_prototypes before training."
            )
        with no_autocast(presence.device):
            # 1 - 1e-8 is 1.0 in float32, whose logarithm's gradient would be NaN.
            probability = presence.float().clamp(1e-6, 1 - 1e-6)
            wanted = labels.float()
            # As it stands: F.binary_cross_entropy breaks off at a NaN and does not say why.
            likelihood = wanted * probability.log() + (1 - wanted) * (1 - probability).log()
            return -self.loss_scale * likelihood.mean()

    @torch.no_grad()
    def project_(self) -> None:
        """Put both temperatures back into their range: outside it they have no gradient."""
        self.tau_time.clamp_(*self.tau_time_range)
        self.tau_prototype.clamp_(*self.tau_prototype_range)
