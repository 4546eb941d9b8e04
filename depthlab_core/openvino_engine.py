# SPDX-License-Identifier: Apache-2.0
"""The network run by OpenVINO on a CPU."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor

from depthlab_core.fold import fold_batch_norms
from depthlab_core.network import ModelOutput, PanopticDepthLab

_SIZES_AT_ONCE = 4
"""Compiled sizes that are kept; cameras seldom change theirs."""

_log = logging.getLogger(__name__)


class OpenVinoEngine:
    """OpenVINO, compiled for each input size when it first comes.

    Attributes:
        description: For the log.
        memory_format: Of the input that it takes without a copy.
    """

    memory_format = torch.contiguous_format

    def __init__(self, network: PanopticDepthLab, precision: str) -> None:
        """Prepare a copy of a network.

        Args:
            network: On the CPU, in float32.
            precision: ``fp32`` or ``bf16``.
        """
        self.description = f"openvino {openvino.__version__.split('-')[0]} {precision} on cpu"
        self._network = fold_batch_norms(network)
        self._core = openvino.Core()
        self._options = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._requests: dict[tuple[int, int], Any] = {}

    def prepare(self, height: int, width: int) -> None:
        """Compile for one input size; takes a second or more."""
        if (height, width) in self._requests:
            return
        _log.info("%s: compiling for %dx%d", self.description, width, height)
        if len(self._requests) == _SIZES_AT_ONCE:
            del self._requests[next(iter(self._requests))]
        compiled = self._core.compile_model(self._convert(height, width), "CPU", self._options)
        self._requests[height, width] = compiled.create_infer_request()

    def __call__(self, x: Tensor) -> ModelOutput:
        """Run the network on one normalised image, float32 ``(1, 3, H, W)`` on the CPU.

        The answer is only valid until the next call.
        """
        height, width = x.shape[-2:]
        self.prepare(height, width)
        request = self._requests[height, width]
        results = request.infer([x.contiguous().numpy()], share_inputs=True, share_outputs=True)
        return ModelOutput(*(torch.from_numpy(part) for part in results.values()))

    def _convert(self, height: int, width: int) -> openvino.Model:
        # By the front end and not by openvino.convert_model, which checks the trace by running it
        # twice more and reports usage to its makers.
        image = torch.zeros(1, 3, height, width)
        with warnings.catch_warnings(), torch.no_grad():
            # Sizes become constants, as they shall: there is one model for each size.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(self._network, image, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
            # The front end does not keep the decoder alive, nor the manager the front end.
            decoder = TorchScriptPythonDecoder(traced)
            manager = FrontEndManager()
            front_end = manager.load_by_framework("pytorch")
            model = front_end.convert(front_end.load(decoder))
        model.reshape([1, 3, height, width])
        return model
