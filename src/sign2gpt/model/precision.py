"""In how many bits a frozen weight is held: 32, 16, 8 or 4."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

# What a tensor on the meta device is taken to be on, and autocast's dtype there.
_meta: ContextVar[tuple[str, torch.dtype | None]] = ContextVar("meta", default=("cuda", None))


class Precision(Enum):
    """Of a frozen weight."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"
    nf4 = "nf4"

    @property
    def bytes_each(self) -> float:
        """Of a weight in the language model's blocks; NF4 has a float32 scale for 64 weights."""
        return {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "nf4": 0.5 + 4 / 64}[self.value]

    @property
    def quantised(self) -> bool:
        """Whether it takes bitsandbytes."""
        return self in (Precision.int8, Precision.nf4)

    @property
    def dtype(self) -> torch.dtype:
        """Of what is not held in fewer bits, and of the products."""
        import torch

        return torch.float32 if self is Precision.float32 else torch.bfloat16


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Of products on the device inside autocast; None outside."""
    import torch

    kind = device.type
    if kind == "meta":
        return _meta.get()[1]
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if on else None


def no_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Leaves autocast on the device, where it has one."""
    import torch

    if device.type == "meta":
        return meta_as(_meta.get()[0], None)
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


def kind_of(device: torch.device) -> str:
    """Its type; of the meta device, the type of what it stands for: there sizes are counted."""
    return _meta.get()[0] if device.type == "meta" else device.type


@contextmanager
def meta_as(kind: str, autocast: torch.dtype | None) -> Iterator[None]:
    """Inside, the meta device stands for a device of this type, with this dtype of autocast."""
    before = _meta.set((kind, autocast))
    try:
        yield
    finally:
        _meta.reset(before)


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there: on GPUs and CPUs that multiply in it."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    return any(_cpu_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))


def has_amx() -> bool:
    """Whether this CPU multiplies whole blocks of bfloat16 at once."""
    return bool(_cpu_capabilities().get("amx_bf16"))


def _cpu_capabilities() -> dict[str, bool]:
    import torch

    return getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.11
