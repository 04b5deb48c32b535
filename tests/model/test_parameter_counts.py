"""Table 1(b) of the paper to the digit, on the meta device: no weight is in memory."""

import pytest
import torch

from sign2gpt.model import Sign2GPTConfig, Sign2GPTForConditionalGeneration, count_parameters
from sign2gpt.model.published import published_config


def counts(**settings) -> dict[str, tuple[int, int]]:
    language = published_config(settings.pop("language", "facebook/xglm-564M"))
    with torch.device("meta"):
        config = Sign2GPTConfig(text_config=language, **settings)
        return count_parameters(Sign2GPTForConditionalGeneration(config))


def test_table_1b():
    assert counts(language="facebook/xglm-1.7B") == {
        "spatial": (22_328_448, 271_872),
        "sign encoder": (12_613_632, 12_613_632),
        "decoder": (1_736_710_528, 3_803_520),
        "total": (1_771_652_608, 16_689_024),
    }


def test_separate_adapters_for_query_key_and_value_cost_three_more_matrices():
    with_one = counts()["spatial"][1]
    with_three = counts(spatial_lora_shared_qkv=False)["spatial"][1]
    assert with_one - 197_120 - 1_024 == 73_728
    assert with_three - 197_120 - 1_024 == 82_944


def test_pretraining_head_is_counted_and_frozen_in_a_translator():
    rows = counts(num_pseudo_glosses=2_533)
    assert rows["pseudo-gloss head"] == (512 * 300 + 300 + 2, 0)


def test_resnet_18_learns_about_eleven_million_weights():
    resnet = published_config("microsoft/resnet-18")
    rows = counts(vision_config=resnet, spatial_lora_layers=0, train_backbone=True)
    assert rows["spatial"][0] == rows["spatial"][1]
    assert rows["spatial"][0] == pytest.approx(11.4e6, rel=0.02)
