"""The demo's two frozen models: what ships is whole and good, and can be made again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from sign2gpt.model.sources import SHIPPED
from sign2gpt.synth.corpus import plan_clip
from sign2gpt.synth.poses import by_side, posed_frames
from sign2gpt.train.priors import make_language_prior, make_vision_prior


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*.safetensors")) < 8_000_000


def test_the_vision_model_knows_where_hands_are_and_how_they_are_shaped() -> None:
    model = AutoModel.from_pretrained(SHIPPED / "pose-vit", dtype=torch.float32)
    frames, labels = posed_frames(np.random.default_rng(123), 1500)
    labels = by_side(labels)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        pixels = ((torch.from_numpy(frames) / 255 - mean) / std).permute(0, 3, 1, 2)
        features = torch.cat([model(part).pooler_output for part in pixels.split(250)])
    inputs = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    wanted = {
        "position": labels["position"].reshape(1500, -1),
        "extension": labels["extension"].reshape(1500, -1),
    }
    unexplained = {}
    for name, values in wanted.items():
        target = torch.from_numpy(values).double()
        weights = torch.linalg.lstsq(inputs[:1000], target[:1000]).solution
        error = (inputs[1000:] @ weights - target[1000:]).square().mean(0)
        unexplained[name] = float((error / target[1000:].var(0)).mean())
    assert unexplained["position"] < 0.06, unexplained
    assert unexplained["extension"] < 0.35, unexplained


def test_the_language_model_reads_forecasts_it_has_never_seen() -> None:
    model = AutoModelForCausalLM.from_pretrained(SHIPPED / "weather-xglm", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED / "weather-xglm")
    held_out = [plan.text for plan in map(plan_clip, range(400)) if plan.split != "train"]
    generator = np.random.default_rng(0)
    jumbled = [" ".join(generator.permutation(text.split())) for text in held_out]

    def loss(texts: list[str]) -> float:
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        with torch.inference_mode():
            return float(model(**batch, labels=labels).loss)

    assert loss(held_out) < 2.5
    assert loss(jumbled) > loss(held_out) + 2


def test_the_language_model_takes_content_from_what_lies_before() -> None:
    model = AutoModelForCausalLM.from_pretrained(SHIPPED / "weather-xglm", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED / "weather-xglm")
    plans = [plan for plan in map(plan_clip, range(600)) if plan.split != "train"]

    def loss(before: list[str]) -> float:
        """Mean over the clips' sentences, each read behind another sentence."""
        losses = []
        for first, plan in zip(before, plans, strict=True):
            context = tokenizer(first)["input_ids"]  # with the end token at both sides
            own = [*tokenizer(plan.text, add_special_tokens=False)["input_ids"], context[-1]]
            labels = torch.tensor([[-100] * len(context) + own])
            with torch.inference_mode():
                losses.append(float(model(torch.tensor([context + own]), labels=labels).loss))
        return float(np.mean(losses))

    same = [next(p for p in plan.paraphrases if p != plan.text) for plan in plans]
    assert loss(same) < loss([*same[1:], same[0]]) / 2


@pytest.mark.slow
def test_they_can_be_made_again(tmp_path: Path) -> None:
    make_vision_prior(tmp_path / "vision", pictures=512, epochs=1, seed=0)
    make_language_prior(tmp_path / "language", steps=3, seed=0)
    for name, kind in (("vision", AutoModel), ("language", AutoModelForCausalLM)):
        shipped = {"vision": "pose-vit", "language": "weather-xglm"}[name]
        made = kind.from_pretrained(tmp_path / name).state_dict()
        there = kind.from_pretrained(SHIPPED / shipped).state_dict()
        assert {n: w.shape for n, w in made.items()} == {n: w.shape for n, w in there.items()}
        weights, config = (tmp_path / name / file for file in ("model.safetensors", "config.json"))
        assert weights.stat().st_mode == config.stat().st_mode
