# SPDX-License-Identifier: Apache-2.0
"""Tensors to the host in one copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Download:
    """Copies tensors to the host: packed on the device, into page-locked memory, on a stream.

    The only place where the host waits for the device.
    """

    def __init__(self, device: torch.device) -> None:
        """Make the stream.

        Args:
            device: Where the tensors are; on the CPU there is nothing to copy.
        """
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, tensors: Sequence[Tensor]) -> list[npt.NDArray[Any]]:
        """Return the tensors as arrays.

        Args:
            tensors: Those of wider elements first, so that all lie at a multiple of their size.
        """
        packed = torch.cat([part.contiguous().flatten().view(torch.uint8) for part in tensors])
        content = self._to_host(packed).numpy()
        arrays: list[npt.NDArray[Any]] = []
        start = 0
        for part in tensors:
            end = start + part.numel() * part.element_size()
            dtype = np.dtype(str(part.dtype).removeprefix("torch."))
            arrays.append(content[start:end].view(dtype).reshape(part.shape))
            start = end
        return arrays

    def _to_host(self, packed: Tensor) -> Tensor:
        if self._stream is None:
            return packed
        # PyTorch keeps page-locked memory and gives it out anew once no array holds it any more.
        host = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._stream):
            host.copy_(packed, non_blocking=True)
            copied.record(self._stream)
        # The allocator must not give the memory away while the copy still reads it.
        packed.record_stream(self._stream)
        copied.synchronize()
        return host
