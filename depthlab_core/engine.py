# SPDX-License-Identifier: Apache-2.0
"""Who runs the network: the choice between backends and precisions."""

from __future__ import annotations

import importlib.util
import logging
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from depthlab_core.config import NumberFormat
from depthlab_core.network import ModelOutput, PanopticDepthLab
from depthlab_core.torch_engine import TorchEngine

Backend = Literal["auto", "torch", "torch_compile", "openvino", "onnxruntime"]
Precision = Literal["auto", "fp32", "bf16"]

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """A network that is ready to run."""

    @property
    def description(self) -> str:
        """Backend, precision and device."""

    @property
    def memory_format(self) -> torch.memory_format:
        """Of the input that it takes without a copy."""

    def prepare(self, height: int, width: int) -> None:
        """Do what must be done once for single images of a size; the first call does it, else."""

    def __call__(self, x: Tensor) -> ModelOutput:
        """Run the network on normalised images, float32 ``(B, 3, H, W)``."""


def choose_engine(
    network: PanopticDepthLab,
    device: torch.device,
    input_size: tuple[int, int],
    *,
    backend: str = "auto",
    precision: str = "auto",
    lowest_precision: NumberFormat = "bf16",
) -> Engine:
    """Take a network to the backend that suits, and log which and why.

    Args:
        network: On the CPU, in float32; it is copied.
        device: Where it shall run.
        input_size: Height and width of the input to prepare for.
        backend: ``torch``; ``torch_compile``, which compiles for up to minutes (on a GPU both run
            as CUDA graphs); ``openvino`` (CPU only); ``onnxruntime`` (float32; on a GPU through
            TensorRT or CUDA); or ``auto``: OpenVINO on CPUs where it is installed, else torch.
        precision: ``fp32``, ``bf16``, or ``auto``: bfloat16 with OpenVINO on CPUs that multiply it
            natively, float32 elsewhere.
        lowest_precision: What ``auto`` may go down to.

    Raises:
        ValueError: If a name is unknown. A backend that does not work costs a warning; PyTorch
            then takes its place.
    """
    for name, got, kind in (("backend", backend, Backend), ("precision", precision, Precision)):
        if got not in typing.get_args(kind):
            expected = ", ".join(typing.get_args(kind))
            raise ValueError(f"{name}: got {got!r}, expected one of {expected}")
    reason = "as asked for"
    if backend == "auto":
        backend, reason = _best_backend(device)
    chosen = precision
    if precision == "auto":
        is_native = backend == "openvino" and multiplies_bfloat16(_cpu_flags())
        chosen = "bf16" if is_native and lowest_precision == "bf16" else "fp32"
    if backend != "torch":
        try:
            return _ready(_MAKERS[backend](network, device, chosen), input_size, reason)
        except Exception as error:
            # Whatever it is that a library of another vendor raises: PyTorch will do.
            _log.warning("%s does not run this network, torch does instead: %s", backend, error)
            reason = "as a substitute"
            chosen = "fp32" if precision == "auto" else precision
    return _ready(TorchEngine(network, device, chosen), input_size, reason)


def multiplies_bfloat16(cpu_flags: str) -> bool:
    """Return whether a CPU has instructions that multiply bfloat16 matrices or vectors."""
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(cpu_flags.split())


def _best_backend(device: torch.device) -> tuple[str, str]:
    if device.type != "cpu":
        return "torch", f"the one for {device.type}"
    if importlib.util.find_spec("openvino") is None:
        return "torch", "openvino is not installed"
    return "openvino", "the fastest on CPUs"


def _openvino(network: PanopticDepthLab, device: torch.device, precision: str) -> Engine:
    if device.type != "cpu":
        raise ValueError(f"device: got {device}, expected cpu")
    # Here, because it is optional.
    from depthlab_core.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(network, precision)


def _onnxruntime(network: PanopticDepthLab, device: torch.device, precision: str) -> Engine:
    # Likewise.
    from depthlab_core.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(network, device, precision)


def _torch_compile(network: PanopticDepthLab, device: torch.device, precision: str) -> Engine:
    return TorchEngine(network, device, precision, is_compiled=True)


_MAKERS: dict[str, Callable[[PanopticDepthLab, torch.device, str], Engine]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "torch_compile": _torch_compile,
}


def _ready(engine: Engine, input_size: tuple[int, int], reason: str) -> Engine:
    engine.prepare(*input_size)
    _log.info("network runs by %s (%s)", engine.description, reason)
    return engine


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("flags")), "")
