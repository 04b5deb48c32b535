"""Checkpoints that name their frozen models: small, whole again or an error, never random."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from sign2gpt.errors import UserError
from sign2gpt.model import (
    Sign2GPTConfig,
    Sign2GPTForConditionalGeneration,
    Sign2GPTForPseudoGlossPretraining,
    checkpoint,
)
from sign2gpt.model.provenance import identify

TOKENS = torch.tensor([[2, 5, 6]])


@pytest.fixture
def sources(tiny_config, tmp_path) -> dict[str, Path]:
    """Folders of a frozen vision and a frozen language model, the latter in half precision."""
    torch.manual_seed(3)
    config = tiny_config()
    AutoModel.from_config(config.vision_config).save_pretrained(tmp_path / "dino")
    language = AutoModelForCausalLM.from_config(config.text_config).half()
    language.save_pretrained(tmp_path / "xglm", max_shard_size="10KB")
    return {"vision": tmp_path / "dino", "language": tmp_path / "xglm"}


@pytest.fixture
def model(tiny_config, awaken, sources):
    config = tiny_config(num_pseudo_glosses=5)
    built = Sign2GPTForConditionalGeneration.from_pretrained_parts(config, **sources)
    for name, weight in built.named_parameters():
        if weight.requires_grad and name.endswith(("lora_b", "gate", "sign_projection.weight")):
            weight.data.uniform_(0.1, 0.3)
    built.pseudo_gloss_head.prototypes.normal_()
    return built


@pytest.fixture
def saved(model, tmp_path) -> Path:
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def load(folder: Path, **where: Path) -> Sign2GPTForConditionalGeneration:
    return Sign2GPTForConditionalGeneration.from_pretrained(folder, **where)


def test_only_what_is_in_no_source_is_saved(model, saved, sources):
    kept = load_file(saved / "model.safetensors")
    trainable = {name for name, weight in model.named_parameters() if weight.requires_grad}
    head = {name for name in model.state_dict() if name.startswith("pseudo_gloss_head")}
    statistics = {name for name in model.state_dict() if name.startswith("spatial_model.norm.")}
    assert kept.keys() == trainable | head | statistics
    noted = Sign2GPTConfig.from_pretrained(saved).frozen_sources
    assert {part: entry["name"] for part, entry in noted.items()} == {
        part: str(folder) for part, folder in sources.items()
    }
    weights = (sources["vision"] / "model.safetensors").read_bytes()
    assert noted["vision"]["sha256"] == hashlib.sha256(weights).hexdigest()
    assert all(entry["revision"] is None for entry in noted.values())


def test_a_fresh_process_has_the_same_bits(model, saved, clips, tmp_path):
    frames, _ = clips(7)
    with torch.no_grad():
        logits = model(pixel_values=frames, decoder_input_ids=TOKENS).logits
        found = model.localise(pixel_values=frames).localisation
    outputs = {"frames": frames, "logits": logits, "found": found}
    weights = {f"weight.{name}": weight for name, weight in model.state_dict().items()}
    weights = {name: weight.clone() for name, weight in weights.items()}  # tied ones twice
    save_file(outputs | weights, tmp_path / "outputs")
    code = (
        "import sys, torch\n"
        "from safetensors.torch import load_file\n"
        "from sign2gpt.model import Sign2GPTForConditionalGeneration as Model\n"
        "given = load_file(sys.argv[2])\n"
        "model = Model.from_pretrained(sys.argv[1])\n"
        "with torch.no_grad():\n"
        "    frames, ids = given['frames'], torch.tensor([[2, 5, 6]])\n"
        "    for name, weight in model.state_dict().items():\n"
        "        assert torch.equal(weight, given['weight.' + name]), name\n"
        "    logits = model(pixel_values=frames, decoder_input_ids=ids).logits\n"
        "    found = model.localise(pixel_values=frames).localisation\n"
        # Sums in another process may go in another order.
        "torch.testing.assert_close(logits, given['logits'])\n"
        "torch.testing.assert_close(found, given['found'])\n"
    )
    command = [sys.executable, "-c", code, str(saved), str(tmp_path / "outputs")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_it_comes_back_whole_and_saves_the_same_bytes(model, saved, tmp_path):
    again = AutoModelForSeq2SeqLM.from_pretrained(saved, label_smoothing=0.3)
    assert same_weights(model, again) and again.config.label_smoothing == 0.3
    assert again.generation_config.num_beams == 4 and again.name_or_path == str(saved)
    assert not again.spatial_model.backbone.embeddings.cls_token.requires_grad
    language = again.decoder.language_model
    assert language.lm_head.weight is language.model.embed_tokens.weight
    again.save_pretrained(tmp_path / "again")
    first, second = (folder / "model.safetensors" for folder in (saved, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()
    assert again.frozen_sources == model.frozen_sources


def test_a_trainer_returns_to_an_epoch_exactly(model, saved):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(1)
    kept = load_file(saved / "model.safetensors")
    result = model.load_state_dict(kept, strict=False)
    # Exactly these, and transformers' trainer is silent and ties the head again.
    assert set(result.missing_keys) == model.source_keys() | set(model.all_tied_weights_keys)
    assert not result.unexpected_keys
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_frozen_weights_given_anew_are_saved(model, tmp_path):
    state = {name: weight.clone() for name, weight in model.state_dict().items()}
    state["spatial_model.backbone.layernorm.bias"] += 1
    model.load_state_dict(state)
    assert model.frozen_sources.keys() == {"language"}
    model.save_pretrained(tmp_path / "model")
    assert same_weights(model, load(tmp_path / "model"))


def test_added_rows_of_another_number_are_refused(tiny_config, tmp_path):
    config = tiny_config()
    AutoModelForCausalLM.from_config(config.text_config).save_pretrained(tmp_path / "lm")
    model = Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=tmp_path / "lm")
    model.resize_token_embeddings(model.get_input_embeddings().num_embeddings + 3)
    (name,) = model.added_rows()
    with pytest.raises(UserError, match="shape"):
        model.load_state_dict({name: torch.zeros(1, 32)}, strict=False)


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", torch.float16])
def test_a_dtype_is_given_as_to_any_model(saved, dtype):
    loaded = Sign2GPTForConditionalGeneration.from_pretrained(saved, dtype=dtype)
    wanted = {"auto": torch.float32, "bfloat16": torch.bfloat16}.get(dtype, dtype)
    assert {weight.dtype for weight in loaded.parameters()} == {wanted}


def test_stage_1_names_its_vision_model_alone(tiny_config, sources, tmp_path):
    model = Sign2GPTForPseudoGlossPretraining.from_pretrained_parts(
        tiny_config(None, num_pseudo_glosses=5), vision=sources["vision"]
    )
    model.save_pretrained(tmp_path / "stage1")
    again = Sign2GPTForPseudoGlossPretraining.from_pretrained(tmp_path / "stage1")
    assert same_weights(model, again) and again.frozen_sources.keys() == {"vision"}


def test_a_backbone_that_learns_is_saved(tiny_config, sources, tmp_path):
    config = tiny_config(None, num_pseudo_glosses=5, train_backbone=True)
    model = Sign2GPTForPseudoGlossPretraining.from_pretrained_parts(
        config, vision=sources["vision"]
    )
    model.save_pretrained(tmp_path / "whole")
    shutil.rmtree(sources["vision"])
    again = Sign2GPTForPseudoGlossPretraining.from_pretrained(tmp_path / "whole")
    assert same_weights(model, again)


def test_frozen_weights_set_learning_are_saved(model, tmp_path, sources):
    model.decoder.language_model.requires_grad_(True)
    model.decoder.language_model.model.layer_norm.weight.data += 1
    model.save_pretrained(tmp_path / "model")
    shutil.rmtree(sources["language"])
    again = load(tmp_path / "model")
    assert same_weights(model, again) and again.frozen_sources.keys() == {"vision"}


@pytest.mark.parametrize("family", ["xglm", "qwen3"])
def test_added_tokens_are_saved_without_the_old_ones(family, tiny_config, tmp_path):
    config = tiny_config(family)
    AutoModelForCausalLM.from_config(config.text_config).save_pretrained(tmp_path / "lm")
    model = Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=tmp_path / "lm")
    size = model.get_input_embeddings().num_embeddings
    model.resize_token_embeddings(size + 3)
    model.save_pretrained(tmp_path / "model")
    kept = load_file(tmp_path / "model" / "model.safetensors")
    added = [weight for name, weight in kept.items() if name.endswith(".added")]
    assert [tuple(w.shape) for w in added] == [(3, 32)] * (1 if family == "xglm" else 2)
    assert same_weights(model, load(tmp_path / "model"))
    grown = load(tmp_path / "model")
    grown.get_input_embeddings().weight[-3:] = 0
    grown.load_state_dict(kept, strict=False)  # as a trainer does when it returns to an epoch
    assert same_weights(model, grown)
    grown.resize_token_embeddings(size - 1)
    grown.save_pretrained(tmp_path / "shrunk")
    assert same_weights(grown, load(tmp_path / "shrunk"))


def test_frozen_weights_are_in_memory_once(saved, monkeypatch):
    joined, rejoin = {}, checkpoint.rejoin

    def watched(*args, **kwargs):
        joined.update(rejoin(*args, **kwargs))
        return dict(joined)

    monkeypatch.setattr(checkpoint, "rejoin", watched)
    state = load(saved).state_dict()
    assert all(state[name].data_ptr() == weight.data_ptr() for name, weight in joined.items())


def test_another_precision_is_that_of_the_weights_themselves(model, saved):
    half = Sign2GPTForConditionalGeneration.from_pretrained(saved, dtype=torch.bfloat16)
    assert same_weights(model.to(torch.bfloat16), half)


def fails(saved: Path, *words: str, **where: Path) -> None:
    with pytest.raises(UserError) as error:
        load(saved, **where)
    sentence = str(error.value)
    assert "\n" not in sentence and sentence.endswith(".")
    assert all(word in sentence for word in words), sentence


def test_a_source_that_is_gone_is_named(saved, sources):
    moved = sources["language"].rename(sources["language"].with_name("elsewhere"))
    fails(saved, str(saved), str(sources["language"]), "--language", "language=")
    assert same_weights(load(saved, language=moved), load(saved, language=str(moved)))
    fails(saved, str(saved / "none"), "--language", language=saved / "none")


def test_a_source_with_other_weights_is_refused(saved, sources, tmp_path):
    other = shutil.copytree(sources["vision"], tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    weights["layernorm.bias"][0] += 1e-3
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    fails(saved, str(other), "not the one", "--vision", vision=other)
    fails(saved, "not the one", "--vision", vision=sources["language"])
    shard = sorted(sources["language"].glob("*.safetensors"))[1]
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    fails(saved, str(sources["language"]), "not the one", "--language")
    shard.unlink()
    fails(saved, "no longer there", str(sources["language"]))


def test_a_weight_too_few_or_too_many_is_an_error(saved, model):
    weights = load_file(saved / "model.safetensors")
    frozen = "spatial_model.backbone.layernorm.bias"
    for changed, words in (
        ({k: w for k, w in weights.items() if k != "sign_encoder.layers.0.query.weight"}, "lacks"),
        ({**weights, "stray": torch.zeros(2)}, "left-over stray"),
        ({**weights, frozen: torch.zeros(32)}, f"left-over {frozen}"),
    ):
        save_file(changed, saved / "model.safetensors", metadata={"format": "pt"})
        fails(saved, words)


def test_wrong_notes_and_needless_sources_are_refused(saved, tiny_config, tmp_path):
    whole = tmp_path / "whole"
    Sign2GPTForConditionalGeneration(tiny_config()).save_pretrained(whole)
    assert json.loads((whole / "config.json").read_text())["frozen_sources"] is None
    fails(whole, "leave vision out", vision=saved)
    settings = json.loads((saved / "config.json").read_text())
    for key, value in (
        ("sha256", None), ("name", " "), ("revision", 7), ("vocab_size", 0), ("vocab_size", True),
        ("precision", "int3"),
    ):  # fmt: skip
        vision = {**settings["frozen_sources"]["vision"], key: value}
        changed = {**settings, "frozen_sources": {"vision": vision}}
        (saved / "config.json").write_text(json.dumps(changed))
        fails(saved, f"frozen_sources.vision.{key} is {value!r} but must be")
    for key in ("name", "sha256", "revision"):
        vision = {**settings["frozen_sources"]["vision"]}
        vision.pop(key)
        changed = {**settings, "frozen_sources": {"vision": vision}}
        (saved / "config.json").write_text(json.dumps(changed))
        fails(saved, f"frozen_sources.vision.{key} is missing")


def test_random_frozen_weights_are_saved_whole(saved, tmp_path):
    built = Sign2GPTForConditionalGeneration(Sign2GPTConfig.from_pretrained(saved))
    built.save_pretrained(tmp_path / "random")
    shutil.rmtree(saved)
    assert same_weights(built, load(tmp_path / "random"))


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Callable[..., Path]:
    """hub(name, folder, commit): puts a folder into a Hub cache as huggingface_hub lays it out."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))

    def put(name: str, folder: Path, commit: str) -> Path:
        repo = cache / f"models--{name.replace('/', '--')}"
        snapshot = repo / "snapshots" / commit
        snapshot.mkdir(parents=True)
        for directory in ("refs", "blobs"):
            (repo / directory).mkdir(exist_ok=True)
        (repo / "refs" / "main").write_text(commit)
        for file in folder.iterdir():
            large = file.suffix == ".safetensors"
            digest = (hashlib.sha256 if large else hashlib.sha1)(file.read_bytes()).hexdigest()
            shutil.copyfile(file, repo / "blobs" / digest)
            (snapshot / file.name).symlink_to(f"../../blobs/{digest}")
        return snapshot

    return put


def test_a_hub_name_is_found_by_its_commit_then_by_its_hash(hub, sources, tiny_config, tmp_path):
    first, second = "1" * 40, "2" * 40
    snapshot = hub("someone/dino", sources["vision"], first)
    hub("someone/xglm", sources["language"], first)
    model = Sign2GPTForConditionalGeneration.from_pretrained_parts(
        tiny_config(), vision=snapshot, language=sources["language"]
    )
    names = {"vision": "someone/dino", "language": "someone/xglm"}
    noted = {part: identify(name) for part, name in names.items()}
    for part, entry in noted.items():  # the cache and a plain folder agree
        assert entry["name"] == names[part] and entry["revision"] == first
        assert entry["sha256"] == model.frozen_sources[part]["sha256"]
        model._sources[part] |= entry
    model.save_pretrained(tmp_path / "model")
    hub("someone/dino", sources["vision"], second)
    assert same_weights(model, load(tmp_path / "model"))
    shutil.rmtree(snapshot)  # another commit, the same weights
    assert same_weights(model, load(tmp_path / "model"))
    repo = snapshot.parents[1]
    shutil.rmtree(repo)
    fails(
        tmp_path / "model", "someone/dino", str(repo.parent), "sign2gpt models --fetch someone/dino"
    )
    assert same_weights(model, load(tmp_path / "model", vision=sources["vision"]))


def test_a_publisher_s_pickle_gives_its_tensors_and_runs_nothing(
    model, sources, tiny_config, tmp_path
):
    """Both published XGLMs come as `pytorch_model.bin` alone."""
    language = tmp_path / "published"
    language.mkdir()
    shutil.copyfile(sources["language"] / "config.json", language / "config.json")
    weights = {}
    for shard in sources["language"].glob("*.safetensors"):
        weights |= load_file(shard)
    torch.save(weights, language / "pytorch_model.bin")
    config = tiny_config(num_pseudo_glosses=5)
    built = Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=language)
    own = {name: w for name, w in built.state_dict().items() if name in built.source_keys()}
    assert own and all(torch.equal(w, model.state_dict()[name]) for name, w in own.items())
    built.save_pretrained(tmp_path / "built")
    assert same_weights(built, load(tmp_path / "built"))
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (ran,))

    torch.save({**weights, "trap": Trap()}, language / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded"):
        Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=language)
    assert not ran.exists()


def test_the_hash_can_be_checked_by_hand(sources):
    listing = subprocess.run(
        "LC_ALL=C sha256sum model-*.safetensors | sha256sum",
        shell=True, cwd=sources["language"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.match(r"\w+", listing.stdout).group() == identify(sources["language"])["sha256"]
