"""`python -m benchmarks.compiled`: what torch.compile would give, and how long it compiles.

No row of `make bench`, as our code runs without it: see docs/log.md for what was found.
"""

from collections.abc import Callable
from copy import deepcopy
from statistics import median
from unittest.mock import patch

import torch
import torch._inductor.config
from torch import Tensor, nn

from benchmarks.frames import VISION
from benchmarks.harness import measure_rounds, seconds, the_device, the_dtype
from sign2gpt.freed_memory import keep_freed_memory
from sign2gpt.model import Sign2GPTConfig
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.published import published_config
from sign2gpt.model.sign_encoder import SignEncoder
from sign2gpt.model.spatial import SpatialModel

FRAMES, CLIPS, TOKENS = 16, 4, 512


def compare(name: str, module: nn.Module, call: Callable[[nn.Module], Tensor]) -> None:
    """Time `call`, and its way back where the module trains, of a module and of it compiled."""

    def run(one: nn.Module) -> None:
        with torch.autocast(the_device().type, torch.bfloat16, enabled=the_dtype() == "bfloat16"):
            found = call(one)
        if module.training:
            found.float().square().mean().backward()
            one.zero_grad()

    compiled = torch.compile(deepcopy(module), dynamic=False)

    def run_compiled() -> None:  # the compiler lays weights out itself, and knows no layout of ours
        with patch.object(PackedLinear, "possible", lambda weight: False):
            run(compiled)

    try:
        first = seconds(run_compiled)
    except Exception as error:
        print(f"{name}: compiled, it breaks off ({type(error).__name__}: {str(error)[:70]} ...)")
        return
    taken = measure_rounds({"naive": lambda: run(module), "fast": run_compiled})
    ratios = [plain / fast for plain, fast in zip(taken["naive"], taken["fast"], strict=True)]
    print(
        f"{name}: {median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"{median(taken['fast']):.3f} s a call; compiled in {first:.0f} s",
        flush=True,
    )


def main() -> None:
    device = the_device()
    torch._inductor.config.freezing = True  # without gradients
    keep_freed_memory(device)
    config = Sign2GPTConfig(vision_config=published_config(VISION))
    spatial = SpatialModel(config).to(device)
    for weight in spatial.frozen_parameters():
        weight.requires_grad_(False)
    pictures = torch.randn(FRAMES, 3, 224, 224, device=device)
    encoder = SignEncoder(config).to(device)
    features = torch.randn(CLIPS * TOKENS, config.sign_hidden_size, device=device)
    lengths = torch.full((CLIPS,), TOKENS, device=device)
    with torch.no_grad():
        compare("ViT-S/14, no gradients", spatial.eval(), lambda one: one(pictures))
    compare("ViT-S/14, training", spatial.train(), lambda one: one(pictures))
    compare("sign encoder, training", encoder.train(), lambda one: one(features, lengths)[0])


if __name__ == "__main__":
    main()
