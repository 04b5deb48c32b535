"""Licences and sizes of the frozen models that shipped recipes name: facts, from no network.

Licences are those that the models' own pages state. The number of parameters is that of
`published_config`; the Hub's files hold them in the given bytes each.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class FrozenFacts:
    """What is known of a frozen model wherever it lies.

    Attributes:
        licence: its SPDX identifier.
        parameters: how many weights it has.
        bytes_each: in how many bytes its publisher stores each.
    """

    licence: str
    parameters: int
    bytes_each: int


FROZEN_FACTS = {
    "facebook/dinov2-small": FrozenFacts("Apache-2.0", 22_056_576, 4),
    "microsoft/resnet-18": FrozenFacts("Apache-2.0", 11_176_512, 4),
    "facebook/xglm-564M": FrozenFacts("MIT", 564_463_616, 2),
    "facebook/xglm-1.7B": FrozenFacts("MIT", 1_732_907_008, 2),
    "sign2gpt/pose-vit": FrozenFacts("Apache-2.0", 874_624, 2),
    "sign2gpt/weather-xglm": FrozenFacts("Apache-2.0", 1_939_200, 2),
}
