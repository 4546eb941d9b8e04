# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime runs where it was asked to, or torch takes its place."""

import logging
from typing import Any, ClassVar

import onnxruntime
import pytest
import torch

from depthlab_core import PanopticDepthLab, build_network, onnxruntime_engine
from depthlab_core.engine import choose_engine
from depthlab_core.onnxruntime_engine import OnnxRuntimeEngine

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lite0_network() -> PanopticDepthLab:
    return build_network("lite0").eval()


class Spied(onnxruntime.InferenceSession):
    """A session that keeps what it was asked for."""

    asked_for: ClassVar[list[Any]] = []

    def __init__(self, *args: Any, providers: list[Any]) -> None:
        self.asked_for.append(providers)
        # Without the provider's name, which this ONNX Runtime may or may not know.
        super().__init__(*args, providers=["CPUExecutionProvider"])


def pretend_providers(monkeypatch: pytest.MonkeyPatch, device: str, *names: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(names))
    monkeypatch.setitem(onnxruntime_engine._PROVIDERS, device, names)
    monkeypatch.setattr(Spied, "asked_for", [])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Spied)


@pytest.mark.parametrize(
    ("runs", "told"), [({}, "CPU"), ({"CUDAExecutionProvider": {"device_id": "0"}}, "CUDA:0")]
)
def test_onnxruntime_is_asked_for_the_device_s_own_gpu(
    lite0_network: PanopticDepthLab,
    monkeypatch: pytest.MonkeyPatch,
    runs: dict[str, dict[str, str]],
    told: str,
) -> None:
    pretend_providers(monkeypatch, "cuda", "TensorrtExecutionProvider", "CUDAExecutionProvider")
    if runs:
        monkeypatch.setattr(Spied, "get_providers", lambda _: list(runs))
        monkeypatch.setattr(Spied, "get_provider_options", lambda _: runs)
    engine = OnnxRuntimeEngine(lite0_network, torch.device("cuda:3"), "fp32")
    message = f"onnxruntime: got a session on {told}, expected one on Tensorrt:3 or CUDA:3"
    with pytest.raises(ValueError, match=f"^{message}$"):
        engine.prepare(64, 96)
    index = {"device_id": 3}
    assert Spied.asked_for == [
        [("TensorrtExecutionProvider", index), ("CUDAExecutionProvider", index)]
    ]


def test_torch_takes_over_from_a_provider_that_onnxruntime_replaces(
    lite0_network: PanopticDepthLab,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pretend_providers(monkeypatch, "cpu", "CUDAExecutionProvider")
    engine = choose_engine(lite0_network, CPU, (64, 96), backend="onnxruntime")
    assert engine.description == "torch fp32 on cpu"
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.getMessage() == (
        "onnxruntime does not run this network, torch does instead: onnxruntime: got a session on "
        "CPU, expected one on CUDA"
    )


def test_onnxruntime_names_the_provider_that_runs(
    lite0_network: PanopticDepthLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_providers(monkeypatch, "cpu", "CUDAExecutionProvider", "CPUExecutionProvider")
    engine = choose_engine(lite0_network, CPU, (64, 96), backend="onnxruntime")
    assert engine.description == f"onnxruntime {onnxruntime.__version__} (CPU) fp32 on cpu"
    assert len(Spied.asked_for) == 1
    assert dict(Spied.asked_for[0])["CPUExecutionProvider"] == {}


def test_torch_takes_over_from_an_onnxruntime_that_fails_when_it_runs(
    lite0_network: PanopticDepthLab,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", fail)
    engine = choose_engine(lite0_network, CPU, (64, 96), backend="onnxruntime")
    assert engine.description == "torch fp32 on cpu"
    assert "no kernel image is available" in caplog.text


def test_what_onnxruntime_cannot_do_torch_does(
    lite0_network: PanopticDepthLab, caplog: pytest.LogCaptureFixture
) -> None:
    engine = choose_engine(lite0_network, CPU, (64, 96), backend="onnxruntime", precision="bf16")
    assert engine.description == "torch bf16 on cpu"
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "got bf16, expected fp32 with onnxruntime" in warning.getMessage()
