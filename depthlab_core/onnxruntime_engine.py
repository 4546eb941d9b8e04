# SPDX-License-Identifier: Apache-2.0
"""The network run by ONNX Runtime: on GPUs through TensorRT or CUDA, else on the CPU."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
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
        description: For the log; it names the provider that runs, once ``prepare`` is through.
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
        self._device = device
        self.description = self._described(providers)
        options = {}
        if device.type == "cuda":
            # ONNX Runtime would take GPU 0, wherever the tensors are.
            index = torch.cuda.current_device() if device.index is None else device.index
            options = {"device_id": index}
        asked_for = [(name, options) for name in providers]
        make = partial(_make_session, fold_batch_norms(network), asked_for, self.description)
        self._session = lru_cache(_SHAPES_AT_ONCE)(make)

    def prepare(self, height: int, width: int) -> None:
        """Make and run a session for single images of one size; with TensorRT it takes minutes.

        Raises:
            ValueError: If ONNX Runtime falls back to another provider or GPU than asked for.
        """
        session = self._session((1, 3, height, width))
        self.description = self._described(session.get_providers()[:1])
        # Some faults of a driver or a library show only when it runs.
        self(torch.zeros(1, 3, height, width, device=self._device))

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

    def _described(self, providers: list[str]) -> str:
        names = " or ".join(_place(name, {}) for name in providers)
        return f"onnxruntime {onnxruntime.__version__} ({names}) fp32 on {self._device}"


def _make_session(
    network: PanopticDepthLab,
    providers: list[tuple[str, dict[str, int]]],
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
    session = onnxruntime.InferenceSession(_export(network, shape), options, providers=providers)
    # Where a provider does not load, ONNX Runtime takes the next, on GPU 0, or the CPU.
    first = session.get_providers()[0]
    got = _place(first, session.get_provider_options()[first])
    expected = [_place(*provider) for provider in providers]
    if got not in expected:
        raise ValueError(
            f"onnxruntime: got a session on {got}, expected one on {' or '.join(expected)}"
        )
    return session


def _place(provider: str, options: Mapping[str, str | int]) -> str:
    name = provider.removesuffix("ExecutionProvider")
    return f"{name}:{options['device_id']}" if "device_id" in options else name


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
