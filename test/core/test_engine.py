# SPDX-License-Identifier: Apache-2.0
"""Every backend computes the same network, and a choice is always made."""

import dataclasses
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from depthlab_core import (
    DepthLab,
    ModelOutput,
    NetworkConfig,
    PanopticDepthLab,
    build_network,
)
from depthlab_core.engine import choose_engine, multiplies_bfloat16
from depthlab_core.fold import fold_batch_norms
from depthlab_core.model_zoo import LITE0
from depthlab_core.torch_engine import TorchEngine

CPU = torch.device("cpu")


def network_of(config: NetworkConfig | str) -> PanopticDepthLab:
    """A network whose outputs are of the size that trained ones have."""
    torch.manual_seed(0)
    network = build_network(config).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.0)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.1)
    heads = network.sem_seg_head, network.depth_head
    instance = network.ins_embed_head
    for predictor in (
        *(head.predictor for head in heads),
        instance.center_predictor,
        instance.offset_predictor,
    ):
        nn.init.normal_(predictor.weight, std=0.1)
    return network


@pytest.fixture(scope="module")
def lite0_network() -> PanopticDepthLab:
    return network_of("lite0")


def assert_close(got: ModelOutput, expected: ModelOutput, tolerance: float) -> None:
    for name, a, b in zip(ModelOutput._fields, got, expected, strict=True):
        assert a.dtype == torch.float32
        assert a.shape == b.shape
        error = (a - b).square().mean().sqrt() / b.square().mean().sqrt()
        assert error < tolerance, name


def test_half_precision_leaves_depth_as_fine_as_it_was(lite0_network: PanopticDepthLab) -> None:
    # In bfloat16 itself, a few dozen values of log depth are all that there are in an image.
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    engine = choose_engine(lite0_network, CPU, (64, 96), backend="torch", precision="bf16")
    plain = choose_engine(lite0_network, CPU, (64, 96), backend="torch", precision="fp32")
    count = len(plain(x).depth.unique())
    assert count > 300
    assert len(engine(x).depth.unique()) > 0.95 * count
    assert_close(engine(x), plain(x), 0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("backend", ["torch", "torch_compile"])
def test_a_graph_answers_by_its_input_alone(lite0_network: PanopticDepthLab, backend: str) -> None:
    gpu = torch.device("cuda")
    engine = choose_engine(lite0_network, gpu, (64, 96), backend=backend, precision="fp32")
    plain = choose_engine(lite0_network, CPU, (64, 96), backend="torch", precision="fp32")
    for shape in [(1, 3, 64, 96), (2, 3, 64, 96), (1, 3, 96, 64), (1, 3, 64, 96)]:
        for _ in range(2):
            x = torch.randn(shape)
            got = ModelOutput(*(part.cpu() for part in engine(x.to(gpu))))
            assert_close(got, plain(x), 1e-2)


@pytest.mark.parametrize("name", ["lite0", "r52"])
def test_folded_batch_norms_change_nothing(name: str) -> None:
    network = network_of(name)
    folded = fold_batch_norms(network)
    x = torch.randn(1, 3, 64, 96)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.inference_mode():
        assert_close(folded(x), network(x), 1e-4)


@pytest.mark.parametrize(
    ("backend", "precision", "tolerance"),
    [
        ("torch", "fp32", 1e-4),
        ("torch", "bf16", 0.05),
        ("openvino", "fp32", 1e-4),
        ("openvino", "bf16", 0.05),
        ("onnxruntime", "fp32", 1e-4),
    ],
)
def test_backends_agree(
    lite0_network: PanopticDepthLab, backend: str, precision: str, tolerance: float
) -> None:
    engine = choose_engine(lite0_network, CPU, (64, 96), backend=backend, precision=precision)
    assert engine.description.startswith(backend)
    assert precision in engine.description
    for size in ((64, 96), (96, 64), (64, 96)):
        x = torch.randn(1, 3, *size)
        with torch.inference_mode():
            expected = lite0_network(x)
        assert_close(engine(x), expected, tolerance)
        x = x.contiguous(memory_format=torch.channels_last)
        assert_close(engine(x), expected, tolerance)


def test_openvino_runs_r52() -> None:
    # Its pooling window depends on the size.
    network = network_of("r52")
    engine = choose_engine(network, CPU, (64, 96), backend="openvino", precision="fp32")
    assert engine.description.startswith("openvino")
    for size in ((64, 96), (96, 128)):
        x = torch.randn(1, 3, *size)
        with torch.inference_mode():
            assert_close(engine(x), network(x), 1e-4)


def test_openvino_forgets_the_shape_that_was_not_used_for_longest(
    lite0_network: PanopticDepthLab, caplog: pytest.LogCaptureFixture
) -> None:
    engine = choose_engine(lite0_network, CPU, (32, 32), backend="openvino", precision="fp32")
    caplog.clear()  # of the first shape, where another test has left the level at INFO
    with caplog.at_level(logging.INFO, "depthlab_core.openvino_engine"):
        for width in (64, 96, 128, 160, 192, 224, 256, 32, 288, 32, 64):
            assert engine(torch.zeros(1, 3, 32, width)).depth.shape == (1, 1, 8, width // 4)
    compiled = [message.rpartition(" ")[2] for message in caplog.messages]
    # The first was used again before the ninth came, so the second made room.
    assert compiled == [f"{w}x32" for w in (64, 96, 128, 160, 192, 224, 256, 288, 64)]


@pytest.mark.parametrize(("window", "traces"), [(None, 2), ((3, 4), 3)])
def test_openvino_traces_once_for_all_sizes_that_a_trace_fits(
    monkeypatch: pytest.MonkeyPatch, window: tuple[int, int] | None, traces: int
) -> None:
    # PyTorch gives no memory of a trace back: pictures of many sizes would fill it.
    module = pytest.importorskip("depthlab_core.openvino_engine", reason="openvino is missing")
    traced, convert = [], module._convert
    monkeypatch.setattr(
        module, "_convert", lambda *args: (traced.append(args[1]), convert(*args))[1]
    )
    network = network_of(dataclasses.replace(LITE0.network, aspp_pool_window=window))
    engine = choose_engine(network, CPU, (64, 48), backend="openvino", precision="fp32")
    assert engine.description.startswith("openvino")
    # Only the first is narrower than the window, and only the last is padded otherwise by timm.
    for count, size in ((1, (64, 48)), (1, (48, 96)), (2, (96, 80)), (1, (71, 75))):
        x = torch.randn(count, 3, *size)
        with torch.inference_mode():
            assert_close(engine(x), network(x), 1e-4)
    assert len(traced) == traces


@pytest.mark.parametrize("backend", ["torch", "openvino", "onnxruntime"])
def test_a_batch_is_answered_as_its_images_are(
    lite0_network: PanopticDepthLab, backend: str
) -> None:
    engine = choose_engine(lite0_network, CPU, (64, 96), backend=backend, precision="fp32")
    images = torch.randn(2, 3, 64, 96)
    expected = [ModelOutput(*map(torch.clone, engine(image[None]))) for image in images]
    together = engine(images)
    for index, alone in enumerate(expected):
        part = ModelOutput(*(answer[index : index + 1] for answer in together))
        assert_close(part, alone, 1e-5)


def test_a_choice_is_logged_once(
    lite0_network: PanopticDepthLab, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "depthlab_core.engine"):
        choose_engine(lite0_network, CPU, (64, 64), backend="torch", precision="bf16")
    assert caplog.messages == ["network runs by torch bf16 on cpu (as asked for)"]


def test_without_openvino_torch_runs_the_network(
    lite0_network: PanopticDepthLab,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "depthlab_core.openvino_engine", raising=False)
    with caplog.at_level(logging.WARNING):
        engine = choose_engine(lite0_network, CPU, (64, 64), backend="openvino")
    assert engine.description == "torch fp32 on cpu"
    assert len(caplog.messages) == 1
    assert "openvino does not run this network" in caplog.text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f", False),
        ("avx512f avx512_bf16", True),
        ("avx512f amx_bf16 amx_tile", True),
        ("", False),
    ],
)
def test_bfloat16_only_where_it_is_native(flags: str, expected: bool) -> None:
    assert multiplies_bfloat16(f"flags\t\t: {flags}") is expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"backend": "tpu"},
            "backend: got 'tpu', expected one of "
            "auto, torch, torch_compile, openvino, onnxruntime",
        ),
        ({"precision": "int3"}, "precision: got 'int3', expected one of auto, fp32, bf16"),
    ],
)
def test_unknown_names(lite0_checkpoint: Path, option: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DepthLab.load(lite0_checkpoint, "cpu", **option)


def test_the_default_predicts(lite0_checkpoint: Path) -> None:
    model = DepthLab.load(lite0_checkpoint, "cpu")
    model.warm_up(96, 128)
    prediction = model.predict(np.full((96, 128, 3), 90, np.uint8))
    assert prediction.panoptic_map.shape == (96, 128)


def test_a_model_may_forbid_bfloat16(lite0_network: PanopticDepthLab) -> None:
    engine = choose_engine(
        lite0_network, CPU, (32, 32), backend="openvino", lowest_precision="fp32"
    )
    assert "fp32" in engine.description


def test_compiled_torch_agrees(
    lite0_network: PanopticDepthLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Traced as on a GPU, but run eagerly: code for this CPU would take minutes to make.
    compiled = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda network, dynamic: compiled(network, backend="eager")
    )
    engine = choose_engine(lite0_network, CPU, (64, 96), backend="torch_compile")
    assert engine.description == "torch.compile fp32 on cpu"
    x = torch.randn(1, 3, 64, 96).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = lite0_network(x)
    assert_close(engine(x), expected, 1e-4)


class OneConvolution(nn.Module):
    """Stands for a network, where tracing a real one many times would take minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        return ModelOutput(*self.convolution(x).split(1, dim=1))


def test_every_shape_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []

    def count(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        widths.extend(x.shape[3] for x in inputs if x.shape[:3] == (1, 3, 8))
        return graph.forward

    compiled = torch.compile
    monkeypatch.setattr(
        torch,
        "compile",
        lambda network, dynamic: compiled(network, backend=count, dynamic=dynamic),
    )
    limit = torch._dynamo.config.recompile_limit
    network = OneConvolution()
    engine = TorchEngine(network, CPU, "fp32", is_compiled=True)
    for width in (*range(8, 20), 8, 19):
        x = torch.randn(1, 3, 8, width)
        torch.testing.assert_close(engine(x), network(x))
    assert widths == list(range(8, 20))
    assert torch._dynamo.config.recompile_limit == limit
