"""How much memory training and translation take: counted for a GPU, and measured on this CPU.

    python -m benchmarks.memory            the tables of docs/performance.md, counted
    python -m benchmarks.memory measure    resident memory of real steps and sentences beside counts

A measured model has random weights of XGLM-564M's size; each is in a fresh process.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.harness import STATUS, status
from benchmarks.training_step import CLEAR
from sign2gpt.model.precision import Precision, fast_bf16
from sign2gpt.train.build import model_config
from sign2gpt.train.recipe import Recipe
from sign2gpt.train.recipe_file import load_recipe
from sign2gpt.train.sizes import CARDS, FRAMES, count_step, count_translation, on_meta, plan

XGLM = ("564M", "1.7B")
RECOMPUTE = "training.activation_checkpointing=true"
CLIPS, SHORT = 2, 8  # of a step that is measured


def recipe(size: str, *settings: str, name: str = "phoenix14t/translate") -> Recipe:
    nowhere = Path(tempfile.gettempdir()) / "nowhere"
    places = [f"store={nowhere}", f"output={nowhere}", f"language=facebook/xglm-{size}"]
    return load_recipe(name, [*places, *settings])


def tables() -> None:
    cards = " | ".join(f"{card} GB" for card in CARDS)
    print(f"| XGLM | held in | weights, GB | training, batch 8, GB | batch in {cards} |")
    print("|" + "---|" * (4 + len(CARDS)))
    for size in XGLM:
        kinds = [(kind.value, [f"language_precision={kind.value}"]) for kind in Precision]
        name, settings = kinds[-1]
        kinds.append((f"{name}, and `training.activation_checkpointing`", [*settings, RECOMPUTE]))
        for name, settings in kinds:
            planned = plan(recipe(size, *settings))
            batches = " | ".join(str(clips) for clips in planned.batches.values())
            gigabytes = f"{planned.weights_gb:.1f} | {planned.whole_gb:.1f}"
            print(f"| {size} | {name} | {gigabytes} | {batches} |", flush=True)
    print("\n| XGLM | held in | weights, GB | beside them, GB | translation, GB |")
    print("|" + "---|" * 5)
    for size in XGLM:
        for kind in Precision:
            given = recipe(size, f"language_precision={kind.value}")
            weights, more = count_translation(given, on_meta(given), FRAMES)
            parts = " | ".join(f"{part / 1e9:.2f}" for part in (weights, more, weights + more))
            print(f"| {size} | {kind.value} | {parts} |", flush=True)


def measure() -> None:
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # freed blocks go back at once
    for what in ("step", "step again", *(f"translate {kind.value}" for kind in Precision)):
        if not what.endswith("nf4"):  # which a CPU is slow at
            command = [sys.executable, "-m", "benchmarks.memory", *what.split()]
            subprocess.run(command, env=environment, check=True)


def step(again: str = "") -> None:
    """A training step in float32, weights, gradients and moments included."""
    from sign2gpt.model import Sign2GPTForConditionalGeneration

    settings = ["language_precision=float32", "training.bf16=false"]
    given = recipe("564M", *settings)
    model = Sign2GPTForConditionalGeneration(model_config(given)).train()
    bare = on_meta(given)
    if again:
        model.activation_checkpointing_enable()
        bare.activation_checkpointing_enable()
    learns = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learns, lr=1e-6)
    frames = torch.zeros(CLIPS * SHORT, 3, 224, 224, dtype=torch.uint8)
    labels = torch.zeros(CLIPS, 24, dtype=torch.int64)

    def run() -> None:
        model(frames, torch.full((CLIPS,), SHORT), labels=labels).loss.backward()
        optimizer.step()

    run()  # gradients and moments are there from the second step on
    model.spatial_model.reader.forget()
    before, most = _resident(run)
    counted = count_step(given, bare, CLIPS, SHORT, kind="cpu")
    peak = max(counted.forward, counted.backward) - frames.nbytes
    name = "step, computed again" if again else "step"
    print(f"{name}: {(most - before) / 1e9:.2f} GB above {before / 1e9:.2f}, "
          f"counted {peak / 1e9:.2f}", flush=True)  # fmt: skip


def translate(kind: str) -> None:
    """A clip's sentence of 64 tokens by 4 beams, weights included; and making the model ready."""
    from sign2gpt.model import Sign2GPTForConditionalGeneration
    from sign2gpt.translate import make_ready

    bare = status("VmRSS")
    given = recipe("564M", f"language_precision={kind}")
    model = Sign2GPTForConditionalGeneration(model_config(given)).eval()
    CLEAR.write_text("5")  # making random weights took more
    make_ready(model, Precision(kind), None)
    ready = status("VmHWM") - bare
    frames = torch.zeros(FRAMES, 3, 224, 224, dtype=torch.uint8)

    def run() -> None:
        with torch.inference_mode():
            model.generate(frames, min_length=64, max_length=64)

    before, most = _resident(run)
    counted = count_translation(given, on_meta(given), FRAMES, kind="cpu")
    print(f"translate, {kind}: {(before - bare) / 1e9:.2f} GB of weights, at most "
          f"{(most - bare) / 1e9:.2f}, while it is made ready {ready / 1e9:.2f}; this CPU "
          f"{'multiplies' if fast_bf16(torch.device('cpu')) else 'does not multiply'} in bfloat16; "
          f"counted {sum(counted) / 1e9:.2f}", flush=True)  # fmt: skip


def _resident(call) -> tuple[int, int]:
    """Bytes of resident memory before a call, and the most during it."""
    CLEAR.write_text("5")  # sets VmHWM back to VmRSS
    before = status("VmRSS")
    call()
    return before, status("VmHWM")


if __name__ == "__main__":
    assert STATUS.exists(), "resident memory is read from /proc"
    verb, *rest = sys.argv[1:] or ["tables"]
    {"tables": tables, "measure": measure, "step": step, "translate": translate}[verb](*rest)
