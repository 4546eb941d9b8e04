# SPDX-License-Identifier: Apache-2.0
"""Functions as CUDA graphs: one launch instead of hundreds, for each shape of their input."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

_WARM_UP = 3
"""Runs before the capture, in which libraries choose their kernels and compilers compile."""
_KEPT = 8
"""Graphs. They share the memory between input and output, since they run one at a time."""


_CAPTURE = threading.Lock()
"""Held while a graph is captured, which a process may do with but one at a time."""


class Graphs(Generic[Answer]):
    """Runs a function as a CUDA graph, captured when shapes or options first come.

    ``torch.compile(mode="reduce-overhead")`` has graphs of its own, but ties them to the thread
    that captured them, and a node sets up in one thread and works in another.
    """

    def __init__(self, function: Callable[..., Answer]) -> None:
        """Take the function.

        Args:
            function: Must neither wait for the device nor answer by anything but its arguments.
                Answers with tensors.
        """
        self._function = function
        self._graphs: OrderedDict[Hashable, _Graph[Answer]] = OrderedDict()
        self._has_failed = False
        self._pool: Any = None
        self._aside: torch.cuda.Stream | None = None

    @torch.inference_mode()
    def __call__(self, *tensors: Tensor, **options: Hashable) -> Answer:
        """Return the function's answer, which is valid until the next call.

        Args:
            tensors: On a GPU; they are copied to where the graph reads them.
            options: The function's other arguments. Each combination has a graph of its own.
        """
        key = (*(tensor.shape for tensor in tensors), *sorted(options.items()))
        if key not in self._graphs and not self._has_failed:
            self._capture(key, tensors, options)
        if key not in self._graphs:
            return self._function(*tensors, **options)
        self._graphs.move_to_end(key)
        return self._graphs[key](tensors)

    def _capture(
        self, key: Hashable, tensors: tuple[Tensor, ...], options: Mapping[str, Hashable]
    ) -> None:
        while len(self._graphs) >= _KEPT:
            self._graphs.popitem(last=False)
        function = partial(self._function, **options)
        try:
            with _CAPTURE:
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                self._aside = self._aside or torch.cuda.Stream(tensors[0].device)  # type: ignore[no-untyped-call]
                self._graphs[key] = _Graph(function, tensors, self._pool, self._aside)
        except RuntimeError as error:
            # A driver or a library that cannot: slower, but it runs. The cause, if it is another,
            # is raised by the function itself.
            self._has_failed = True
            reason = str(error).partition("\n")[0]
            _log.warning("no CUDA graph can be captured, launching one by one: %s", reason)


class _Graph(Generic[Answer]):
    def __init__(
        self,
        function: Callable[..., Answer],
        examples: tuple[Tensor, ...],
        pool: Any,
        aside: torch.cuda.Stream,
    ) -> None:
        # With strides of its own: those of a batch of one are arbitrary, and compilers mind them.
        self._inputs = [
            x.clone(memory_format=torch.channels_last if x.ndim == 4 else torch.preserve_format)
            for x in examples
        ]
        device = examples[0].device
        current = torch.cuda.current_stream(device)
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                function(*self._inputs)
        current.wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        try:
            # The stream that torch would take is one for all devices, that of the first capture.
            # Other threads may go on with what a capture forbids in its own, such as allocations.
            with (
                torch.cuda.device(device),
                torch.cuda.graph(
                    self._graph, pool=pool, stream=aside, capture_error_mode="thread_local"
                ),
            ):
                self._output = function(*self._inputs)
        except RuntimeError:
            # One that does not begin or end leaves the stream that it was on as the thread's.
            torch.cuda.set_stream(current)
            raise

    def __call__(self, tensors: tuple[Tensor, ...]) -> Answer:
        for own, given in zip(self._inputs, tensors, strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._output
