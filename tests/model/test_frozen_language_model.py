"""With closed gates and fresh adapters the decoder is the frozen language model, bit for bit."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from sign2gpt.model import Sign2GPTForConditionalGeneration

FAMILIES = ("xglm", "llama", "qwen2", "qwen3")
IDS = torch.tensor([[2, 7, 8, 9, 10], [2, 11, 12, 13, 14]])


@pytest.mark.parametrize("family", FAMILIES)
def test_fresh_model_gives_the_frozen_models_logits(family, tiny_config, awaken, clips, tmp_path):
    config = tiny_config(family)
    plain = awaken(AutoModelForCausalLM.from_config(config.text_config)).eval()
    plain.save_pretrained(tmp_path)
    model = Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=tmp_path)
    frames, num_frames = clips(5, 6)
    logits = model(pixel_values=frames, num_frames=num_frames, decoder_input_ids=IDS).logits
    assert torch.equal(logits, plain(input_ids=IDS).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_step_moves_gates_and_no_frozen_weight(family, tiny_config, clips):
    torch.manual_seed(0)
    model = Sign2GPTForConditionalGeneration(tiny_config(family)).train()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    frames, num_frames = clips(5, 6)
    labels = torch.tensor([[7, 8, 2, -100], [9, 10, 11, 2]])
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=0.1)
    model(pixel_values=frames, num_frames=num_frames, labels=labels).loss.backward()
    optimiser.step()
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            assert torch.equal(weight, before[name]), name
        if name.endswith(".gate"):
            assert not torch.equal(weight, before[name]), name
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert any("embed_tokens" in name for name in frozen)
    assert any("position_embeddings" in name for name in frozen)


def test_open_gates_let_the_signs_change_the_words(tiny_config, awaken, clips):
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config())).eval()

    def logits():
        return [
            model(pixel_values=clips(5, seed=seed)[0], decoder_input_ids=IDS[:1]).logits
            for seed in (1, 2)
        ]

    assert not torch.allclose(*logits(), atol=1e-5)
    for block in model.decoder.language_model.base_model.layers:
        block.self_attn.gate.data.zero_()
    assert torch.equal(*logits())


def test_frozen_models_have_no_dropout_unless_asked(tiny_config, awaken, clips):
    quiet = {"decoder_lora_dropout": 0.0, "spatial_lora_dropout": 0.0}
    quiet |= {"sign_dropout": 0.0, "sign_drop_path": 0.0}
    frames, _ = clips(6)
    for asked in (False, True):
        config = tiny_config(frozen_dropout=asked, **quiet)
        model = awaken(Sign2GPTForConditionalGeneration(config)).train()
        signs = model.encode(frames)
        with torch.no_grad():
            first, second = (
                model(encoder_outputs=signs, decoder_input_ids=IDS[:1]).logits for _ in range(2)
            )
        assert torch.equal(first, second) is not asked


def test_straight_through_gate_can_come_back_and_a_clamped_one_cannot(tiny_config):
    for kind, moves in (("straight_through", True), ("clamp", False), ("free", True)):
        model = Sign2GPTForConditionalGeneration(tiny_config(gate=kind))
        gated = model.decoder.gates[0]
        with torch.no_grad():
            gated.gate.fill_(-0.5)
        opened = gated.open_gate()
        assert float(opened.detach().max()) == (-0.5 if kind == "free" else 0.0)
        opened.sum().backward()
        assert bool((gated.gate.grad != 0).all()) is moves
        model.project_parameters_()
        assert float(gated.gate.detach().min()) == (-0.5 if kind == "free" else 0.0)


def test_grown_vocabulary_stays_frozen(tiny_config, clips):
    model = Sign2GPTForConditionalGeneration(tiny_config())
    old = model.get_input_embeddings().weight.clone()
    model.resize_token_embeddings(53)
    new = model.get_input_embeddings().weight
    assert new.shape[0] == 53 and not new.requires_grad
    assert torch.equal(new[:50], old)
    logits = model(pixel_values=clips(4)[0], decoder_input_ids=torch.tensor([[2, 52]])).logits
    assert logits.shape[-1] == 53
