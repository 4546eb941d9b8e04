# SPDX-License-Identifier: Apache-2.0
"""The network run by ONNX Runtime: on GPUs through TensorRT or CUDA, else on the CPU."""

from __future__ import annotations

import io
import logging
import warnings
from functools import lru_cache, partial

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from depthlab_core.fold import fold_batch_norms
from depthlab_core.network import ModelOutput, PanopticDepthLab

_SHAPES_AT_ONCE = 8
"""Sessions that are kept: cameras seldom change their size, and batches have few."""
_PROVIDERS = {
    "cuda": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
    "cpu": ("CPUExecutionProvider",),
}

_log = logging.getLogger(__name__)


class OnnxRuntimeEngine:
    """ONNX Runtime, with a session for each input shape when it first comes.

    Attributes:
        description: For the log.
        memory_format: Of the input that it takes without a copy.
    """

    memory_format = torch.contiguous_format

    def __init__(self, network: PanopticDepthLab, device: torch.device, precision: str) -> None:
        """Prepare a copy of a network.

        Args:
            network: On the CPU, in float32.
            device: Where it shall run.
            precision: ``fp32``.

        Raises:
            ValueError: If the installed ONNX Runtime cannot do that.
        """
        if precision != "fp32":
            raise ValueError(f"precision: got {precision}, expected fp32 with onnxruntime")
        available = onnxruntime.get_available_providers()
        providers = [name for name in _PROVIDERS[device.type] if name in available]
        if not providers:
            raise ValueError(
                f"onnxruntime: got providers {', '.join(available)}, expected one of "
                f"{', '.join(_PROVIDERS[device.type])} for {device.type}"
            )
        provider = providers[0].removesuffix("ExecutionProvider")
        version = onnxruntime.__version__
        self.description = f"onnxruntime {version} ({provider}) {precision} on {device}"
        self._device = device
        make = partial(_make_session, fold_batch_norms(network), providers, self.description)
        self._session = lru_cache(_SHAPES_AT_ONCE)(make)

    def prepare(self, height: int, width: int) -> None:
        """Make the session for single images of one size; takes seconds, with TensorRT minutes."""
        self._session((1, 3, height, width))

    def __call__(self, x: Tensor) -> ModelOutput:
        """Run the network on normalised images, float32 ``(B, 3, H, W)`` on its device."""
        session, image = self._session(tuple(x.shape)), x.contiguous()
        binding = session.io_binding()
        place = (image.device.type, image.device.index or 0, np.float32)
        binding.bind_input("image", *place, tuple(image.shape), image.data_ptr())
        answers = [
            torch.empty(output.shape, dtype=torch.float32, device=image.device)
            for output in session.get_outputs()
        ]
        for output, answer in zip(session.get_outputs(), answers, strict=True):
            binding.bind_output(output.name, *place, tuple(answer.shape), answer.data_ptr())
        if image.device.type == "cuda":
            torch.cuda.current_stream(image.device).synchronize()
        session.run_with_iobinding(binding)
        return ModelOutput(*answers)


def _make_session(
    network: PanopticDepthLab,
    providers: list[str],
    description: str,
    shape: tuple[int, int, int, int],
) -> onnxruntime.InferenceSession:
    batch, _, height, width = shape
    count = "" if batch == 1 else f"{batch} of "
    _log.info("%s: preparing for %s%dx%d", description, count, width, height)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Waiting threads would otherwise keep a core busy between frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(_export(network, shape), options, providers=providers)


def _export(network: PanopticDepthLab, shape: tuple[int, int, int, int]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Shapes become constants, as they shall: there is one session for each.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(shape),),
            buffer,  # type: ignore[arg-type]
            input_names=["image"],
            output_names=list(ModelOutput._fields),
            opset_version=18,
            dynamo=False,
        )
    return buffer.getvalue()
