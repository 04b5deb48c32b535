"""Each row of the benchmarks is complete, and its two variants compute the same."""

import time
from importlib import import_module
from pathlib import Path

import pytest
import torch

from benchmarks import ROWS, harness
from benchmarks.__main__ import reached, with_tables

CPU = torch.device("cpu")


@pytest.mark.parametrize("row", ROWS)
def test_row_declares_what_it_must_and_both_variants_give_the_same(row):
    module = import_module(f"benchmarks.{row}")
    assert module.TITLE and module.__doc__ and module.SHAPES
    case = module.build(CPU, **module.CHECK)
    assert isinstance(case, harness.Case) and case.naive is not None and case.items > 0
    torch.testing.assert_close(
        case.fast(), case.naive(), atol=case.tolerance, rtol=case.tolerance, equal_nan=False
    )


def test_ratio_is_that_of_the_pairs_and_the_floor_is_measured_or_computed():
    def lasting(seconds):
        return lambda: time.sleep(seconds)

    case = harness.Case(fast=lasting(0.003), naive=lasting(0.03), floor=lasting(0.0))
    taken = harness.measure_pairs(case, budget=0.0)
    assert {len(times) for times in taken.values()} == {3}
    assert min(taken["naive"]) >= 0.03 > min(taken["fast"]) >= 0.003 > min(taken["floor"])
    rates = {"float32": 100.0, "bytes": 10.0}
    assert harness.Work(operations=200.0, bytes=10.0).seconds(rates) == 2.0
    assert harness.Work(operations=200.0, bytes=50.0).seconds(rates) == 5.0


def test_targets_are_held_against_the_figures():
    found = {"speed": 3.9, "naive_bytes": 400, "fast_bytes": 100, "items_per_second": 5.0}
    target = {"speed": 4.0, "memory": 0.25, "per_second": None}
    assert [words.split(": ")[1] for words in reached(found | {"target": target})] == ["NO", "yes"]
    assert reached(found | {"target": None}) == []


def test_page_keeps_its_own_words_around_the_generated_part():
    page = (Path(__file__).parents[1] / "docs/performance.md").read_text("utf-8")
    made = with_tables(page)
    assert made == with_tables(made) and made.split("<!--")[0] == page.split("<!--")[0]
