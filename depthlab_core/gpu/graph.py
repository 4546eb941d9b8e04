# SPDX-License-Identifier: Apache-2.0
"""A network as CUDA graphs: one launch instead of hundreds, for each shape of its input."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from depthlab_core.network import ModelOutput

_WARM_UP = 3
"""Runs before the capture, in which libraries choose their kernels and compilers compile."""
_KEPT = 4
"""Graphs; each keeps the memory of everything between input and output."""


class Graphs:
    """Runs a function of one tensor as a CUDA graph, captured when a shape first comes.

    ``torch.compile(mode="reduce-overhead")`` has graphs of its own, but ties them to the thread
    that captured them, and a node sets up in one thread and works in another.
    """

    def __init__(self, function: Callable[[Tensor], ModelOutput]) -> None:
        """Take the function.

        Args:
            function: Must neither wait for the device nor answer by anything but its argument.
        """
        self._function = function
        self._graphs: OrderedDict[torch.Size, _Graph] = OrderedDict()

    def __call__(self, x: Tensor) -> ModelOutput:
        """Return the function's answer, which is valid until the next call.

        Args:
            x: ``(B, C, H, W)`` on a GPU; it is copied to where the graph reads it.
        """
        if x.shape not in self._graphs:
            while len(self._graphs) >= _KEPT:
                self._graphs.popitem(last=False)
            with torch.cuda.device(x.device):
                self._graphs[x.shape] = _Graph(self._function, x)
        self._graphs.move_to_end(x.shape)
        return self._graphs[x.shape](x)


class _Graph:
    def __init__(self, function: Callable[[Tensor], ModelOutput], example: Tensor) -> None:
        # With strides of its own: those of a batch of one are arbitrary, and compilers mind them.
        self._input = example.clone(memory_format=torch.channels_last)
        current = torch.cuda.current_stream(example.device)
        aside = torch.cuda.Stream(example.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                function(self._input)
        current.wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may go on with what a capture forbids in its own, such as allocations.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._output = function(self._input)

    def __call__(self, x: Tensor) -> ModelOutput:
        self._input.copy_(x)
        self._graph.replay()
        return self._output
