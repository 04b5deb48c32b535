"""What a recipe's model takes from the sources it names, and what is refused before any work."""

import pytest
import torch
from transformers import AutoModel, SiglipVisionConfig

from sign2gpt.errors import UserError
from sign2gpt.model.sources import load_tokenizer
from sign2gpt.train import run
from sign2gpt.train.build import build_translation, model_config
from sign2gpt.train.inputs import video_processor
from sign2gpt.train.recipe import Recipe, Stage, TrainOn


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    torch.manual_seed(0)
    AutoModel.from_config(SiglipVisionConfig(**sizes)).save_pretrained(tmp_path / "siglip")
    return Recipe(
        stage=Stage.translate,
        store=str(tmp_path / "store"),
        output=str(tmp_path / "out"),
        vision=str(tmp_path / "siglip"),
        language="sign2gpt/weather-xglm",
        model={"spatial_lora_layers": 1, "sign_hidden_size": 32, "num_sign_heads": 4},
        processor={"crop_size": 28, "store_size": 32},
    )


def test_colours_are_those_of_the_source_unless_the_recipe_says_others(recipe):
    config = model_config(recipe)
    assert config.image_mean == config.image_std == [0.5, 0.5, 0.5]
    assert video_processor(recipe, config).image_mean == [0.5, 0.5, 0.5]
    recipe.model["image_mean"] = [0.1, 0.2, 0.3]
    assert model_config(recipe).image_mean == [0.1, 0.2, 0.3]


def test_tokens_of_a_recipe_win_over_the_tokenizers(recipe):
    tokenizer = load_tokenizer(str(recipe.language))
    recipe.model["eos_token_id"] = 9
    config = model_config(recipe, tokenizer=tokenizer)
    assert (config.eos_token_id, config.bos_token_id) == (9, tokenizer.bos_token_id)
    assert config.decoder_start_token_id == 2  # as XGLM was taught


def test_both_frozen_models_are_filled(recipe):
    model = build_translation(recipe, load_tokenizer(str(recipe.language)))
    given = AutoModel.from_pretrained(recipe.vision)
    head = model.spatial_model.backbone.head.probe
    assert torch.equal(head, given.head.probe)
    assert float(model.get_input_embeddings().weight.detach().std()) > 0


def test_frames_of_a_size_that_does_not_suit_are_refused(recipe):
    recipe.processor["image_size"] = 42
    with pytest.raises(UserError, match=r"28 x 28.*processor.image_size"):
        video_processor(recipe, model_config(recipe))


def test_frame_tokens_that_cannot_be_stored_are_refused(recipe, tmp_path):
    from sign2gpt.synth.corpus import make_corpus

    make_corpus(tmp_path / "store", clips=40, workers=1)
    recipe.train_on = TrainOn.frame_tokens
    with pytest.raises(UserError, match="train on video"):
        run(recipe)
    assert not (tmp_path / "out").exists()
