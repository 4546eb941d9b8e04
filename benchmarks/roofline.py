# SPDX-License-Identifier: Apache-2.0
"""How much a network has to compute and to move, and what a GPU can do of it in a second."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_SIDE = 8192
"""Of the matrices whose product shows a GPU's arithmetic."""
_COPIED = 1 << 30
"""Bytes whose copy shows a GPU's memory; far more than fits in a cache."""
_REPEATS = 10
_BYTES = {"fp32": 4, "bf16": 2}


class Work(NamedTuple):
    """What one run of a network takes at the least.

    Attributes:
        flops: Of its convolutions; a multiply-add counts as two.
        elements: Numbers that its convolutions read and write, as if all else were fused.
    """

    flops: int
    elements: int


class Limits(NamedTuple):
    """What a GPU reached on the simplest task of its kind.

    Attributes:
        flops: Per second, by precision; ``fp32`` on tensor cores (TF32), as convolutions are.
        bandwidth: Bytes per second, read and written.
    """

    flops: Mapping[str, float]
    bandwidth: float

    def shares(self, work: Work, precision: str, milliseconds: float) -> dict[str, float]:
        """Return which share of either limit a run came to, in percent."""
        seconds = milliseconds / 1e3
        flops = work.flops / self.flops[precision] / seconds
        moved = work.elements * _BYTES[precision] / self.bandwidth / seconds
        return {"flop_limit_%": round(100 * flops, 1), "bandwidth_limit_%": round(100 * moved, 1)}


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what convolutions read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            tensors = [part for part in (*args, result) if isinstance(part, Tensor)]
            self.elements += sum(part.numel() for part in tensors)
        return result


def work_of(network: nn.Module, x: Tensor) -> Work:
    """Count the work of one run, which is made.

    Args:
        network: In evaluation mode.
        x: Its input, on its device.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter, _Traffic() as traffic:
        network(x)
    return Work(counter.get_total_flops(), traffic.elements)


def measure_limits(device: torch.device) -> Limits:
    """Measure a GPU's arithmetic and memory; takes a second and 2 GiB of it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    flops = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(_SIDE, _SIDE, device=device, dtype=dtype) for _ in range(2))
        flops[precision] = 2 * _SIDE**3 / _seconds(lambda a=a, b=b: a @ b)  # type: ignore[misc]
    torch.set_float32_matmul_precision(before)
    source = torch.zeros(_COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Limits(flops, 2 * _COPIED / _seconds(lambda: target.copy_(source)))


def _seconds(function: Callable[[], Any]) -> float:
    """Return the least time that the current GPU takes, by its own clock."""
    least = math.inf
    for _ in range(_REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        function()
        end.record()
        end.synchronize()
        least = min(least, start.elapsed_time(end) / 1e3)
    return least
