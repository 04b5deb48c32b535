"""Each row of the benchmarks is complete, and its two variants compute the same."""

import json
import time
from importlib import import_module
from pathlib import Path

import pytest
import torch

from benchmarks import ROWS, harness
from benchmarks import __main__ as main
from benchmarks.__main__ import reached, with_tables

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def same_threads():
    """A row may want one thread alone; the next test has all of them again."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("row", ROWS)
def test_row_declares_what_it_must_and_both_variants_give_the_same(row):
    module = import_module(f"benchmarks.{row}")
    assert module.TITLE and module.__doc__ and module.SHAPES
    case = module.build(CPU, **module.CHECK)
    assert isinstance(case, harness.Case) and case.naive is not None and case.items > 0
    torch.testing.assert_close(
        case.fast(), case.naive(), atol=case.tolerance, rtol=case.tolerance, equal_nan=False
    )


def test_cpus_of_one_name_are_told_apart():
    zen4 = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    assert harness.cpu_of(zen4) == "AMD EPYC (family 25, model 17)"
    assert harness.cpu_of("model name\t: ARMv8\n") == "ARMv8"
    assert harness.cpu_of("") == ""


def test_ratio_is_that_of_the_pairs_and_the_floor_is_measured_or_computed():
    def lasting(seconds):
        return lambda: time.sleep(seconds)

    variants = {"fast": lasting(0.003), "naive": lasting(0.03), "floor": lasting(0.0)}
    taken = harness.measure_rounds(variants, budget=0.0)
    assert {len(times) for times in taken.values()} == {3}
    assert min(taken["naive"]) >= 0.03 > min(taken["fast"]) >= 0.003 > min(taken["floor"])
    rates = {"float32": 100.0, "bytes": 10.0}
    assert harness.Work(operations=200.0, bytes=10.0).seconds(rates) == 2.0
    assert harness.Work(operations=200.0, bytes=50.0).seconds(rates) == 5.0


def test_a_long_round_is_taken_twice_and_counts_from_the_first(monkeypatch):
    monkeypatch.setattr(harness, "LONG", 0.0)
    calls = []
    variants = {"fast": lambda: calls.append(1), "naive": lambda: None}
    assert {len(times) for times in harness.measure_rounds(variants, 0.0).values()} == {2}
    assert len(calls) == 2


def test_shapes_with_the_same_naive_are_timed_in_the_same_rounds(monkeypatch):
    calls = []

    def case(name):
        return harness.Case(
            fast=lambda: calls.append(name),
            naive=lambda: calls.append("naive"),
            floor=harness.Work(1.0),
            memory=False,
        )

    row = import_module("benchmarks.generation")
    monkeypatch.setattr(row, "SHAPES", {"a": {"name": "a"}, "b": {"name": "b"}})
    monkeypatch.setattr(row, "build", lambda device, name: case(name))
    monkeypatch.setattr(harness, "apart", lambda call, *given: call(*given))
    found = harness.measure("generation", ["a", "b"], {"float32": 1.0, "bytes": 1.0})
    assert list(found) == ["a", "b"] and all(one["speed"] > 0 for one in found.values())
    assert main.groups(["x", "a", "y", "b"], {"a", "b"}) == [["a", "b"], ["x"], ["y"]]
    assert calls.count("naive") == calls.count("a") == calls.count("b") >= 3


def test_targets_are_held_against_the_figures():
    found = {"speed": 3.9, "naive_bytes": 400, "fast_bytes": 100, "items_per_second": 5.0}
    target = {"speed": 4.0, "memory": 0.25, "per_second": None}
    assert [words.split(": ")[1] for words in reached(found | {"target": target})] == ["NO", "yes"]
    assert reached(found | {"target": None}) == []


def test_page_keeps_its_own_words_around_the_generated_part():
    page = (Path(__file__).parents[1] / "docs/performance.md").read_text("utf-8")
    made = with_tables(page)
    assert made == with_tables(made) and made.split("<!--")[0] == page.split("<!--")[0]
    assert made.split("-->")[-1] == page.split("-->")[-1] and "## Memory" in made


def test_figures_of_another_machine_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(main, "RESULTS", tmp_path)
    here = {"cpu": "A", "cores": 2, "instructions": ["avx2"], "gpu": None, "threads": 2}
    row = import_module("benchmarks.sign_encoder")
    first, second, third = list(row.SHAPES)[:3]

    def took(seconds, title=row.TITLE):
        return {"fast_seconds": seconds, "title": title}

    main.save(here, {"sign_encoder": {first: took(1.0), third: took(1.0, "of before")}})
    main.save(here, {"sign_encoder": {second: took(2.0)}})
    (file,) = tmp_path.iterdir()
    assert list(json.loads(file.read_text())["rows"]["sign_encoder"]) == [first, second]
    main.save(here | {"threads": 1}, {"sign_encoder": {second: took(3.0)}})
    assert list(json.loads(file.read_text())["rows"]["sign_encoder"]) == [second]
    main.save(here | {"instructions": []}, {"sign_encoder": {first: took(4.0)}})
    assert len(list(tmp_path.iterdir())) == 2
