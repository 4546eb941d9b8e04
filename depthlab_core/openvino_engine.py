# SPDX-License-Identifier: Apache-2.0
"""The network run by OpenVINO on a CPU."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import Any

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor

from depthlab_core.fold import fold_batch_norms
from depthlab_core.layers import ImagePool, limit_window
from depthlab_core.network import ModelOutput, PanopticDepthLab

_SHAPES_AT_ONCE = 8
"""Compiled shapes that are kept: cameras seldom change their size, and batches have few."""
_OUTPUT_STRIDE = 16
"""Of the encoders."""

_log = logging.getLogger(__name__)


class OpenVinoEngine:
    """OpenVINO, compiled for each input shape when it first comes.

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
        options = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        models = _Models(fold_batch_norms(network))
        make = partial(_compile, openvino.Core(), models, options, self.description)
        self._request = lru_cache(_SHAPES_AT_ONCE)(make)

    def prepare(self, height: int, width: int) -> None:
        """Compile for single images of one size; takes a second or more."""
        self._request((1, 3, height, width))

    def __call__(self, x: Tensor) -> ModelOutput:
        """Run the network on normalised images, float32 ``(B, 3, H, W)`` on the CPU.

        The answer is only valid until the next call.
        """
        request = self._request(tuple(x.shape))
        results = request.infer([x.contiguous().numpy()], share_inputs=True, share_outputs=True)
        return ModelOutput(*(torch.from_numpy(part) for part in results.values()))


class _Models:
    """A network as OpenVINO's models, each converted from one trace for all sizes that it fits.

    A trace takes longer than what is compiled from it, and PyTorch keeps megabytes of it for good.
    """

    def __init__(self, network: PanopticDepthLab) -> None:
        self._network = network
        self._by_constants: dict[Hashable, openvino.Model] = {}

    def __call__(self, shape: tuple[int, int, int, int]) -> openvino.Model:
        constants = _constants(self._network, *shape[2:])
        if constants not in self._by_constants:
            self._by_constants[constants] = _convert(self._network, shape)
        model = self._by_constants[constants].clone()
        model.reshape(list(shape))
        return model


def _constants(network: PanopticDepthLab, height: int, width: int) -> Hashable:
    """Return all that a trace holds as numbers and that depends on the input's size."""
    features = -(-height // _OUTPUT_STRIDE), -(-width // _OUTPUT_STRIDE)
    windows = tuple(
        limit_window(module.window, *features)
        for module in network.modules()
        if isinstance(module, ImagePool) and module.window is not None
    )
    # What is left over where the encoder halves decides how timm's convolutions pad.
    return (height % _OUTPUT_STRIDE, width % _OUTPUT_STRIDE, windows)


def _compile(
    core: openvino.Core,
    models: Callable[[tuple[int, int, int, int]], openvino.Model],
    options: dict[str, Any],
    description: str,
    shape: tuple[int, int, int, int],
) -> Any:
    batch, _, height, width = shape
    count = "" if batch == 1 else f"{batch} of "
    _log.info("%s: compiling for %s%dx%d", description, count, width, height)
    return core.compile_model(models(shape), "CPU", options).create_infer_request()


def _convert(network: PanopticDepthLab, shape: tuple[int, int, int, int]) -> openvino.Model:
    # By the front end and not by openvino.convert_model, which checks the trace by running it
    # twice more and reports usage to its makers.
    images = torch.zeros(shape)
    with warnings.catch_warnings(), torch.no_grad():
        # Some numbers become constants: those of _constants, which it answers for.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, images, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
        # The front end does not keep the decoder alive, nor the manager the front end.
        decoder = TorchScriptPythonDecoder(traced)
        manager = FrontEndManager()
        front_end = manager.load_by_framework("pytorch")
        return front_end.convert(front_end.load(decoder))
