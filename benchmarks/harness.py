"""Times a fast path against a naive one, and against the least that the work must take.

Both run in the same process in turns, and what counts is the median of the pairs' ratios: a busy
machine slows both. Extra memory is that of one call in a fresh process of its own.
"""

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from benchmarks import ROWS
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.precision import fast_bf16

STATUS = Path("/proc/self/status")
LONG = 5.0  # seconds of a round of which two are enough


@dataclass
class Work:
    """The least that must be done: matmul operations (2 m n k each) and bytes read and written."""

    operations: float = 0.0
    dtype: torch.dtype = torch.float32
    bytes: float = 0.0

    def seconds(self, rates: dict[str, float]) -> float:
        """The slower of the two, at the machine's own rates."""
        compute = self.operations / rates[str(self.dtype).removeprefix("torch.")]
        return max(compute, self.bytes / rates["bytes"])


@dataclass
class Target:
    """What a shape has to reach; None where it is only stated."""

    speed: float | None = None  # at least this many times as fast as naive
    memory: float | None = None  # at most this share of naive's extra memory
    per_second: float | None = None  # at least this many items a second


@dataclass
class Case:
    """One shape of a row. `naive` is None where textbook code cannot run at all."""

    fast: Callable[[], Any]
    naive: Callable[[], Any] | None
    floor: Work | Sequence[Work] | Callable[[], Any]  # or code that does only what must be done
    items: int = 1  # a call's tokens, frames, clips ...
    unit: str = "call"
    target: Target | None = None
    # Makes what both need, and runs what is not to be counted, before any time is taken.
    ready: Callable[[], Any] = lambda: None
    tolerance: float = 1e-5  # absolute and relative, of fast's values against naive's
    memory: bool = True  # measure extra memory too
    naive_share: float = 1.0  # of the work that fast does; naive's time is taken for all of it


@torch.no_grad()
def fill(model: nn.Module) -> None:
    """Give random weights to a model that was made with `no_init_weights`, which is far quicker
    than to draw each kind's own: norms are 1, biases 0, gates half open."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if name.endswith(".gate"):
            weight.fill_(0.5)
        elif weight.dim() > 1:
            nn.init.uniform_(weight, -0.05, 0.05, generator)
        else:
            nn.init.constant_(weight, float(not name.endswith("bias")))


def the_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def the_dtype() -> str:
    """Of products, where a row needs but one: bfloat16 where the device multiplies in it."""
    return "bfloat16" if fast_bf16(the_device()) else "float32"


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of one call, whatever it left running on the device included."""
    _synchronise()
    start = time.perf_counter()
    result = call()
    _synchronise()
    elapsed = time.perf_counter() - start
    del result  # freeing is not the call's
    return elapsed


def measure_rates(device: torch.device) -> dict[str, float]:
    """Best matmul operations a second by dtype, and bytes a second of a large copy."""
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        size = 8192 if device.type == "cuda" else 2048
        if dtype == torch.bfloat16 and not fast_bf16(device):
            size = 256  # a hundredth as fast
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        quickest = _best(torch.mm, left, right)
        if PackedLinear.possible(right):  # by another library, or in another layout
            quickest = min(quickest, _best(PackedLinear(right, None, size), left))
        rates[str(dtype).removeprefix("torch.")] = 2 * size**3 / quickest
    source = torch.ones(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    rates["bytes"] = 2 * source.numel() / _best(lambda a, b: a.copy_(b), target, source)
    return rates


def measure_rounds(
    variants: dict[str, Callable[[], Any]], budget: float = 6.0, most: int = 31
) -> dict[str, list[float]]:
    """Seconds of each variant, taken in turns until `budget` seconds are spent, at least 3 times
    where there is more than one, or twice where a round takes over `LONG` seconds.

    The order within a round alternates. The first round warms up and is not counted, unless it
    alone takes longer than the budget: then what is made ready is a small part of it.
    """
    taken: dict[str, list[float]] = {name: [] for name in variants}
    start = time.perf_counter()
    first = {name: [seconds(call)] for name, call in variants.items()}
    round_takes = time.perf_counter() - start
    least = 1 if len(variants) == 1 else 2 if round_takes > LONG else 3
    if round_takes > budget:
        taken = first
    else:
        start = time.perf_counter()
    for turn in range(min(map(len, taken.values())), most):
        if turn >= least and time.perf_counter() - start > budget:
            break
        for name in list(variants)[:: -1 if turn % 2 else 1]:
            taken[name].append(seconds(variants[name]))
    return taken


def measure(row: str, names: Sequence[str], rates: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Everything about one shape of a row, or about several that have the same naive and are timed
    in the same rounds, ready for JSON."""
    found = apart(_measured, row, names, rates)
    for name, shape in found.items():
        for variant in shape.pop("variants"):
            shape[f"{variant}_bytes"] = _in_fresh_process(row, name, variant)
    return found


def apart(call: Callable[..., Any], *given: Any) -> Any:
    """What a call returns that runs in a process of its own: the memory that earlier work took and
    gave back changes how long an allocation takes.

    A fork, where no driver forbids it: this process has imported everything, and started no thread.
    """
    context = get_context("spawn" if torch.cuda.is_available() else "fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *given).result()


def _measured(row: str, names: Sequence[str], rates: dict[str, float]) -> dict[str, dict[str, Any]]:
    module = import_module(f"benchmarks.{row}")
    cases: dict[str, Case] = {
        name: module.build(the_device(), **module.SHAPES[name]) for name in names
    }
    variants: dict[str, Callable[[], Any]] = {}
    for name, case in cases.items():
        case.ready()
        if case.naive is not None:
            variants["naive"] = case.naive
        variants[name] = case.fast
        if callable(case.floor):
            variants["floor"] = case.floor
    taken = measure_rounds(variants)
    return {name: _described(name, case, taken, rates) for name, case in cases.items()}


def _described(
    name: str, case: Case, taken: dict[str, list[float]], rates: dict[str, float]
) -> dict[str, Any]:
    fast = median(taken[name])
    if callable(case.floor):
        floor = median(taken["floor"])
    else:  # one work after another
        works = [case.floor] if isinstance(case.floor, Work) else case.floor
        floor = sum(work.seconds(rates) for work in works)
    found: dict[str, Any] = {
        "repeats": len(taken[name]),
        "fast_seconds": fast,
        "floor_seconds": floor,
        "over_floor": fast / floor,
        "items_per_second": case.items / fast,
        "unit": case.unit,
        "target": vars(case.target) if case.target else None,
        "rates": rates,
    }
    if case.naive is not None:
        naive = [seconds / case.naive_share for seconds in taken["naive"]]
        found["naive_seconds"] = median(naive)
        ratios = [n / f for n, f in zip(naive, taken[name], strict=True)]
        found["speed"] = median(ratios)
        found["speed_range"] = [min(ratios), max(ratios)]
    given = [variant for variant in ("fast", "naive") if getattr(case, variant)]
    return found | {"variants": given if case.memory else []}


def extra_memory(row: str, name: str, variant: str) -> int:
    """Bytes that one call needs at most beside its inputs, in this process: start a fresh one.

    On a CPU the kernel's high-water mark of resident memory, set back before the call: it sees what
    libraries take beside torch's allocator, which torch's profiler does not. `ru_maxrss` would also
    count the parent process (Linux keeps it across exec) and the making of the inputs.
    """
    module = import_module(f"benchmarks.{row}")
    device = the_device()
    getattr(module.build(device, **module.CHECK), variant)()  # libraries load their kernels
    call = getattr(module.build(device, **module.SHAPES[name]), variant)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    return {
        "cpu": cpu_of(text) or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "instructions": [
            flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag} " in text
        ],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def cpu_of(text: str) -> str:
    """By /proc/cpuinfo, with its family and model: of one name there may be several, one twice as
    fast as another. Empty where it does not say."""
    keys = ("model name", "cpu family", "model")
    name, *numbers = (re.search(rf"^{key}\s*: (.*)", text, re.MULTILINE) for key in keys)
    if name is None or not all(numbers):
        return name[1].strip() if name else ""
    return f"{name[1].strip()} (family {numbers[0][1]}, model {numbers[1][1]})"


def _best(call: Callable[[Any, Any], Any], *operands: Any, repeats: int = 12) -> float:
    return min(seconds(lambda: call(*operands)) for _ in range(repeats))


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def status(key: str) -> int:
    """Bytes of this process, by a key of /proc/self/status."""
    found = re.search(rf"{key}:\s*(\d+) kB", STATUS.read_text())
    assert found is not None
    return 1024 * int(found[1])


def _in_fresh_process(row: str, name: str, variant: str) -> int | None:
    """None where it cannot be measured: no /proc and no GPU."""
    if not STATUS.exists() and not torch.cuda.is_available():
        return None
    # A fork of one that has imported everything and run nothing, where a GPU's driver allows it.
    context = get_context("spawn" if torch.cuda.is_available() else "forkserver")
    context.set_forkserver_preload([f"benchmarks.{row}" for row in ROWS])
    # Freed blocks go back to the system at once, so that resident memory is memory in use.
    with (
        patch.dict(os.environ, {"MALLOC_MMAP_THRESHOLD_": "65536"}),  # heard as a process starts
        ProcessPoolExecutor(1, mp_context=context) as pool,
    ):
        return pool.submit(extra_memory, row, name, variant).result()
