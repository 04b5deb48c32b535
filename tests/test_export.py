"""Exporting: what is merged, what is refused. The whole way with a clip is in test_demo.py."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoConfig, XGLMConfig

from sign2gpt.errors import UserError
from sign2gpt.export import export_model
from sign2gpt.model import Sign2GPTConfig, Sign2GPTForPseudoGlossPretraining
from sign2gpt.model.sources import locate
from sign2gpt.model_card import model_card
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.train.recipe_file import load_recipe, save_recipe
from sign2gpt.video.processor import SignVideoProcessor

SOURCE = "sign2gpt/pose-vit"


@pytest.fixture
def model() -> Sign2GPTForPseudoGlossPretraining:
    torch.manual_seed(0)
    config = Sign2GPTConfig(
        vision_config=AutoConfig.from_pretrained(locate(SOURCE)),
        num_pseudo_glosses=2,
        sign_hidden_size=32,
        sign_intermediate_size=48,
        sign_layer_scale=1.0,
    )
    built = Sign2GPTForPseudoGlossPretraining.from_pretrained_parts(config, vision=locate(SOURCE))
    for name, weight in built.named_parameters():
        if name.endswith("lora_b"):
            weight.data.normal_()  # far more than training gives it
    return built


@pytest.fixture
def trained(model: Sign2GPTForPseudoGlossPretraining, tmp_path: Path) -> Path:
    """A stage 1 model's folder."""
    folder = tmp_path / "trained"
    model.save_pretrained(folder)
    SignVideoProcessor(image_size=84).save_pretrained(folder)
    words = PseudoGlossVocabulary({"sonne": 2, "regen": 1}, {}, 3, 1.0, 1, "words", "1", "de")
    words.save(folder / "pseudo_glosses.json")
    return folder


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_merged_adapters_leave_the_outputs_as_they_were(
    model: Sign2GPTForPseudoGlossPretraining, trained: Path, tmp_path: Path, dtype: str | None
) -> None:
    out = export_model(trained, tmp_path / "out", merge=True, dtype=dtype)
    again = Sign2GPTForPseudoGlossPretraining.from_pretrained(out)
    assert not any("lora" in name for name in again.state_dict())
    frames = torch.rand(9, 3, 84, 84, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model(pixel_values=frames).sign_features
        found = again(pixel_values=frames).sign_features.float()
        for name, weight in model.named_parameters():
            if name.endswith("lora_b"):
                weight.zero_()
        without = model(pixel_values=frames).sign_features
    error = 1e-4 if dtype is None else 0.1
    assert (found - wanted).abs().max() < error < 0.3 < (without - wanted).abs().max()


@pytest.mark.parametrize("linked", [False, True])
def test_an_empty_folder_that_is_there_takes_an_export(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    """The current one, and one behind a link, which stays."""
    out = tmp_path / "out"
    out.mkdir()
    place = Path(".")
    if linked:
        place = tmp_path / "link"
        place.symlink_to(out)
    else:
        monkeypatch.chdir(out)
    export_model(trained, place)
    assert (out / "model.safetensors").is_file() and place.is_symlink() is linked


def test_an_export_that_cannot_be_made_leaves_nothing(
    model: Sign2GPTForPseudoGlossPretraining, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def refused(words: str, folder: Path = trained, to: Path = out, **options: str) -> None:
        with pytest.raises(UserError, match=words):
            export_model(folder, to, **options)
        assert {path.name for path in tmp_path.iterdir()} == {"trained"}

    refused("no trained model", tmp_path / "none")
    refused("bfloat16", dtype="int8")
    refused("not empty", to=trained)
    refused("is not a folder", to=trained / "config.json" / "x")
    model.sign_encoder.layers[0].query.weight.data[0, 0] = 1e6
    model.save_pretrained(trained)
    refused("does not fit into float16", dtype="float16")
    (trained / "pseudo_glosses.json").write_text("{")
    refused("pseudo")
    (trained / "config.json").write_text("[]")
    refused("damaged")


def test_the_card_says_what_the_model_is_and_where_it_comes_from(
    trained: Path, tmp_path: Path
) -> None:
    state = {"best_global_step": 7, "log_history": [{"step": 7, "eval_f1": 0.754, "loss": 1.0}]}
    (trained / "trainer_state.json").write_text(json.dumps(state))
    places = {"store": "rain", "output": "out", "pseudo_glosses.vectors": "cc.bin"}
    overrides = [f"{key}=/home/me/{name}" for key, name in places.items()]
    save_recipe(load_recipe("phoenix14t/pretrain", overrides), trained / "recipe.yaml")
    card = ModelCard.load(export_model(trained, tmp_path / "rain-signs", merge=True) / "README.md")
    assert card.data.library_name == "sign2gpt" and "sign-language" in card.data.tags
    assert card.data.base_model is None  # the vision model comes with the package
    assert card.text.lstrip().startswith("# rain-signs")
    assert "| frozen models inside | sign2gpt/pose-vit (Apache-2.0) |" in card.text
    assert "frames a second, 84 pixels square |" in card.text
    assert "| trained on | rain |" in card.text and "F1 of pseudo-glosses 0.75 |" in card.text
    assert card.data.language == "de" and "an invented sign" in card.text
    shared = load_recipe(tmp_path / "rain-signs" / "recipe.yaml")
    assert (shared.store, shared.output, shared.pseudo_glosses.vectors) == ("rain", "out", "cc.bin")
    assert "/home" not in (tmp_path / "rain-signs" / "recipe.yaml").read_text()
    again = export_model(tmp_path / "rain-signs", tmp_path / "again", dtype="bfloat16")
    assert ModelCard.load(again / "README.md").content == card.content  # licences stay known
    (trained / "trainer_state.json").write_text("{}")
    with pytest.raises(UserError, match=r"trainer_state\.json is damaged"):
        export_model(trained, tmp_path / "other")


def test_a_card_names_the_hubs_models_that_are_inside(tmp_path: Path) -> None:
    config = Sign2GPTConfig(text_config=XGLMConfig())
    hub = {"facebook/dinov2-small": "a1", "facebook/xglm-564M": "b2", "/home/me/model": None}
    sources = [{"name": name, "revision": revision} for name, revision in hub.items()]
    card = ModelCard(model_card("t", tmp_path, config, SignVideoProcessor(fps=12.5), sources))
    assert card.data.base_model == ["facebook/dinov2-small", "facebook/xglm-564M"]
    assert card.data.pipeline_tag == "translation" and "sign2gpt translate" in card.text
    assert "facebook/xglm-564M (MIT), model (see its own licence)" in card.text
