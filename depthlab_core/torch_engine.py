# SPDX-License-Identifier: Apache-2.0
"""The network run by PyTorch itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from depthlab_core.fold import fold_batch_norms
from depthlab_core.gpu.graph import Graphs
from depthlab_core.network import ModelOutput, PanopticDepthLab


class TorchEngine:
    """PyTorch, eager or compiled, channels last, batch norms folded.

    Attributes:
        description: For the log.
        memory_format: Of the input that it takes without a copy.
    """

    memory_format = torch.channels_last

    def __init__(
        self,
        network: PanopticDepthLab,
        device: torch.device,
        precision: str,
        *,
        is_compiled: bool = False,
    ) -> None:
        """Take a copy of a network to a device.

        Args:
            network: In float32.
            device: Where it shall run.
            precision: ``fp32``, or ``bf16`` for convolutions in bfloat16.
            is_compiled: By ``torch.compile``, for each input size; all are kept, up to dynamo's
                ``accumulated_recompile_limit`` (256), after which new ones run eagerly. On a GPU
                it is a CUDA graph either way.
        """
        self.description = f"torch{'.compile' if is_compiled else ''} {precision} on {device}"
        self._is_compiled = is_compiled
        self._device = device
        self._autocast = precision == "bf16"
        folded = fold_batch_norms(network).to(memory_format=torch.channels_last)
        self._network: Callable[[Tensor], ModelOutput] = folded.to(device)
        if is_compiled:
            self._network = _for_many_shapes(torch.compile(self._network, dynamic=False))
        self._run: Callable[[Tensor], ModelOutput] = self._forward
        if device.type == "cuda":
            self._run = Graphs(self._forward)

    def prepare(self, height: int, width: int) -> None:
        """Compile or capture for one input size; eager PyTorch on a CPU takes any size."""
        if self._is_compiled or self._device.type == "cuda":
            image = torch.zeros(1, 3, height, width, device=self._device)
            self(image.contiguous(memory_format=torch.channels_last))

    def __call__(self, x: Tensor) -> ModelOutput:
        """Run the network on normalised images, float32 ``(B, 3, H, W)`` on its device.

        A GPU's answer is only valid until the next call.
        """
        with torch.inference_mode():
            return self._run(x)

    def _forward(self, x: Tensor) -> ModelOutput:
        # Without its cache: a CUDA graph would read casts of weights that are gone by then.
        with torch.autocast(
            self._device.type, torch.bfloat16, enabled=self._autocast, cache_enabled=False
        ):
            output = self._network(x)
        return ModelOutput(*(part.float() for part in output))


def _for_many_shapes(compiled: Callable[[Tensor], ModelOutput]) -> Callable[[Tensor], ModelOutput]:
    def run(x: Tensor) -> ModelOutput:
        # Dynamo would stop compiling at eight shapes, and tell nobody but its own log.
        config = torch._dynamo.config
        with config.patch(recompile_limit=config.accumulated_recompile_limit):
            return compiled(x)

    return run
