# SPDX-License-Identifier: Apache-2.0
"""The network run by PyTorch itself."""

from __future__ import annotations

import torch
from torch import Tensor

from depthlab_core.fold import fold_batch_norms
from depthlab_core.network import ModelOutput, PanopticDepthLab


class TorchEngine:
    """Eager PyTorch, channels last, batch norms folded.

    Attributes:
        description: For the log.
        memory_format: Of the input that it takes without a copy.
    """

    memory_format = torch.channels_last

    def __init__(self, network: PanopticDepthLab, device: torch.device, precision: str) -> None:
        """Take a copy of a network to a device.

        Args:
            network: In float32.
            device: Where it shall run.
            precision: ``fp32``, or ``bf16`` for convolutions in bfloat16.
        """
        self.description = f"torch {precision} on {device}"
        self._device = device
        self._autocast = precision == "bf16"
        folded = fold_batch_norms(network).to(memory_format=torch.channels_last)
        self._network = folded.to(device)

    def prepare(self, height: int, width: int) -> None:
        """Do nothing: PyTorch takes any size as it comes."""

    def __call__(self, x: Tensor) -> ModelOutput:
        """Run the network on one normalised image, float32 ``(1, 3, H, W)`` on its device."""
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast),
        ):
            output = self._network(x)
        return ModelOutput(*(part.float() for part in output))
