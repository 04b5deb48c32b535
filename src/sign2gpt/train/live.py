"""How much memory code takes, found on the meta device, where tensors have sizes and no bytes.

There torch knows neither autocast nor the kernels of a GPU. `StandIn` has both in their place, so
that tensors have the dtype that they have there and the same are kept for the way back; `Live`
counts what is alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from sign2gpt.model.precision import autocast_dtype, meta_as

# Autocast's own lists, as far as our models and transformers' language models go by them.
_NARROW = (
    "linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm", "conv1d",
    "conv2d", "conv3d", "einsum", "scaled_dot_product_attention",
)  # fmt: skip
_WIDE_ON_GPU = ("layer_norm", "softmax", "log_softmax", "logsumexp", "pow", "rsqrt", "exp", "log",
    "sum", "cumsum", "norm", "group_norm", "nll_loss")  # fmt: skip


class StandIn(TorchFunctionMode):
    """Inside, tensors are made on the meta device, which does what a GPU ("cuda") or a CPU does."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.casts: dict[Tensor, Tensor] | None = {}  # autocast keeps those of what learns

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        dtype = autocast_dtype(torch.device("meta"))
        if dtype is not None and name in _NARROW:
            args, kwargs = _cast((args, kwargs), dtype, self.casts)
        elif dtype is not None and name in _WIDE_ON_GPU and self.kind == "cuda":
            args, kwargs = _cast((args, kwargs), torch.float32, None)
        if name == "dropout" and self.kind == "cuda":
            return _dropout(*args, **kwargs)
        if name == "scaled_dot_product_attention":
            return _attention(self.kind, *args, **kwargs)
        if func in _device_constructors() and kwargs.get("device") is None:
            # Not by `torch.device("meta")`, a second mode, which would be asked each time too.
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def _cast(arguments: Any, dtype: torch.dtype, kept: dict[Tensor, Tensor] | None) -> Any:
    def cast(value: Any) -> Any:
        if not (isinstance(value, Tensor) and value.is_meta and value.is_floating_point()):
            return value
        if kept is None or value.dtype == dtype or not (value.is_leaf and value.requires_grad):
            return value.to(dtype)
        if value not in kept:
            kept[value] = value.to(dtype)
        return kept[value]

    return tree_map(cast, arguments)


def _dropout(
    values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """The fused one, which keeps a byte a value."""
    return torch.native_dropout(values, p, True)[0] if training and p else values


def _attention(
    kind: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **more: Any,
) -> Tensor:
    """A fused kernel, which keeps no weights of the attention; the meta device has none."""
    if attn_mask is not None:
        attn_mask = torch.empty(attn_mask.shape, dtype=query.dtype, device="meta")
    if kind == "cpu" and dropout_p:  # not fused there
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **more
        )
    if kind == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale
        )[0]
    if attn_mask is not None:
        attn_mask = attn_mask.expand(*query.shape[:-1], key.shape[-2])
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, True, dropout_p, is_causal, scale=scale
    )[0]


def backward(loss: Tensor) -> None:
    """`loss.backward()`, which would leave `StandIn` for all that runs again on the way back."""
    torch.autograd.Variable._execution_engine.run_backward(
        (loss,), (torch.ones_like(loss),), False, False, (), accumulate_grad=True
    )


class Live(TorchDispatchMode):
    """Inside, what is made on the meta device is counted for as long as it is alive.

    Layers are alike, so most calls have been seen before: they are not worked out again.

    Args:
        kind: "cuda" or "cpu", what the meta device stands for.
        autocast: its dtype, if any.
        known: tensors that were there before and do not count.

    Attributes:
        now: bytes alive.
        peak: the most that were, since it was last set.
    """

    def __init__(self, kind: str, autocast: torch.dtype | None, known: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._meaning = kind, autocast
        self._sizes = {tensor.untyped_storage()._cdata: None for tensor in known}
        self._again: dict[tuple, Callable[[], Any]] = {}
        self._stack = ExitStack()
        self._stand_in = StandIn(kind)

    def __enter__(self) -> Live:
        for context in (meta_as(*self._meaning), self._stand_in):
            self._stack.enter_context(context)
        return super().__enter__()

    def end_of_forward(self) -> None:
        """What autocast has kept goes: what runs again on the way back casts anew."""
        self._stand_in.casts = None

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._stack.close()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        call = func, _outline(args), _outline(tuple(kwargs.items()))
        again = self._again.get(call)
        with torch._C.DisableTorchFunction():  # what torch calls in turn is none of `StandIn`'s
            made = func(*args, **kwargs) if again is None else again()
        new = [self._count(one) for one in (made if isinstance(made, tuple | list) else (made,))]
        if again is None and all(new):  # neither a view nor in place
            self._again[call] = _maker(made)
        return made

    def _count(self, made: Any) -> bool:
        """Whether it is new, and fills its storage; an output that is left out does."""
        if not isinstance(made, Tensor) or not made.is_meta:
            return made is None
        storage = made.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._sizes:
            return False

        def gone(_: Any) -> None:
            del self._sizes[key]
            self.now -= size

        self._sizes[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)
        return size == made.nbytes


def _outline(value: Any) -> Any:
    """All of an argument that the outlines of an operation's new tensors depend on."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.is_meta
    if isinstance(value, tuple | list):
        return tuple([_outline(one) for one in value])
    return type(value), value  # 1, 1.0 and True are equal, and make other dtypes


def _maker(made: Any) -> Callable[[], Any]:
    """What makes tensors of the same outlines."""
    if made is None:
        return lambda: None
    if isinstance(made, tuple | list):
        makers = [_maker(one) for one in made]
        return lambda: tuple([make() for make in makers])
    outline = made.shape, made.stride()
    return partial(torch.empty_strided, *outline, dtype=made.dtype, device="meta")
