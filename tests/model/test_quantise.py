"""The frozen language model in fewer bits: near the same outputs, gradients, and small files."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from sign2gpt.errors import UserError
from sign2gpt.model import Sign2GPTForConditionalGeneration, quantise
from sign2gpt.model.precision import Precision
from sign2gpt.model.quantise import hold_language_model

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
FEWER = [Precision.int8, Precision.nf4]
TOLERANCE = {Precision.bfloat16: 0.02, Precision.int8: 0.03, Precision.nf4: 0.2}
TOKENS = torch.tensor([[2, 5, 6, 7], [2, 9, 8, 4]])


@pytest.fixture(params=["xglm", "llama"])
def model(request, tiny_config, tmp_path) -> Sign2GPTForConditionalGeneration:
    """With open gates, adapters that act, and a source for its language model."""
    torch.manual_seed(2)
    config = tiny_config(request.param)
    AutoModelForCausalLM.from_config(config.text_config).save_pretrained(tmp_path / "language")
    built = Sign2GPTForConditionalGeneration.from_pretrained_parts(
        config, language=tmp_path / "language"
    )
    for name, weight in built.named_parameters():
        if weight.requires_grad and name.endswith(("lora_b", "gate")):
            weight.data.uniform_(0.1, 0.3)
    return built.eval()


def logits(model: Sign2GPTForConditionalGeneration) -> torch.Tensor:
    torch.manual_seed(4)
    signs = torch.randn(2, 6, model.config.sign_hidden_size)
    with torch.autocast("cpu", torch.bfloat16):
        return model(sign_features=signs, decoder_input_ids=TOKENS).logits.float()


def frozen_bytes(model: Sign2GPTForConditionalGeneration) -> int:
    layers = model.decoder.language_model.base_model.layers
    return sum(w.nbytes for w in layers.parameters() if not w.requires_grad)


@pytest.mark.parametrize("kind", list(TOLERANCE), ids=lambda kind: kind.value)
def test_outputs_stay_near(model, kind):
    wanted, size = logits(model), frozen_bytes(model)
    hold_language_model(model, kind)
    given = logits(model)
    error = (given - wanted).std() / wanted.std()
    assert error < TOLERANCE[kind]
    ratio = {Precision.bfloat16: 2, Precision.int8: 3.5, Precision.nf4: 6}[kind]
    assert frozen_bytes(model) < size / ratio * 1.05
    assert all(w.dtype == torch.float32 for w in model.parameters() if w.requires_grad)


@pytest.mark.parametrize("kind", FEWER, ids=lambda kind: kind.value)
def test_what_is_trained_learns_and_is_saved_alone(model, kind, tmp_path):
    hold_language_model(model, kind)
    model.train()
    labels = TOKENS.clone()
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], 3e-2)
    losses = []
    for _ in range(30):
        signs = torch.randn(2, 6, model.config.sign_hidden_size)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(sign_features=signs, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.2
    model.save_pretrained(tmp_path / "model")
    kept = load_file(tmp_path / "model" / "model.safetensors")
    written = {name.rsplit(".", 1)[-1] for name in kept if name.startswith("decoder.language")}
    assert written == {"lora_a", "lora_b", "gate"}
    again = Sign2GPTForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert again.frozen_sources["language"]["precision"] == kind.value
    hold_language_model(again, kind)
    torch.testing.assert_close(logits(again.eval()), logits(model.eval()))
    back = model.load_state_dict(kept, strict=False)  # as a trainer returns to an epoch
    assert not back.unexpected_keys


@pytest.mark.parametrize("kind", list(TOLERANCE), ids=lambda kind: kind.value)
def test_beams_and_cache_work_in_every_precision(model, kind):
    """Without autocast, as a translator calls it: the whole model in bfloat16."""
    hold_language_model(model.to(torch.bfloat16), kind)
    signs = torch.randn(2, 6, model.config.sign_hidden_size).bfloat16()
    mask = torch.ones(2, 6, dtype=torch.bool)
    written = model.generate(sign_features=signs, sign_mask=mask, max_new_tokens=5)
    assert written.shape[0] == 2 and 2 <= written.shape[1] <= 6


def test_few_bits_that_no_source_has_are_not_saved(model, tmp_path):
    model.forget_source("language")
    hold_language_model(model, Precision.nf4)
    with pytest.raises(UserError, match="held as nf4"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model" / "model.safetensors").exists()


def test_without_the_library_it_is_one_sentence(model, monkeypatch):
    monkeypatch.setattr(quantise, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sign2gpt\[quantise\]"):
        hold_language_model(model, Precision.nf4)
