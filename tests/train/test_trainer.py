"""The optimiser step: rates by name, decay, the one-cycle schedule."""

from pathlib import Path

import pytest
import torch
from torch import nn

from sign2gpt.train.recipe_file import load_recipe
from sign2gpt.train.stage import training_arguments
from sign2gpt.train.trainer import StageTrainer


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.gate = nn.Parameter(torch.zeros(2))
        self.frozen = nn.Parameter(torch.zeros(2), requires_grad=False)


@pytest.fixture
def trainer(tmp_path: Path) -> StageTrainer:
    recipe = load_recipe("phoenix14t/translate", [f"output={tmp_path}", "training.bf16=false"])
    arguments = training_arguments(recipe, "bleu4", ["labels"])
    arguments.eval_strategy = "no"
    return StageTrainer(Gated(), arguments, rate_multipliers={"gate": 10})


def test_rates_and_decay_by_parameter(trainer: StageTrainer) -> None:
    optimizer = trainer.create_optimizer()
    settings = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    model = trainer.model
    assert settings[id(model.linear.weight)] == pytest.approx((3e-4, 0.001))
    assert settings[id(model.linear.bias)] == pytest.approx((3e-4, 0.0))
    assert settings[id(model.gate)] == pytest.approx((3e-3, 0.0))
    assert id(model.frozen) not in settings


def test_one_cycle_from_one_per_cent_and_back(trainer: StageTrainer) -> None:
    steps = 1000
    optimizer = trainer.create_optimizer()
    schedule = trainer.create_scheduler(steps, optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"] / optimizer.param_groups[0]["initial_lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.01)
    assert rates[49] == pytest.approx(1.0)  # warmed up over 5 of 100 epochs
    assert rates[524] == pytest.approx(0.505, abs=0.01)  # half-way down the cosine
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)
    assert rates[:50] == sorted(rates[:50])
    assert rates[49:] == sorted(rates[49:], reverse=True)
