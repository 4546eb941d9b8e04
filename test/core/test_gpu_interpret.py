# SPDX-License-Identifier: Apache-2.0
"""The GPU's post-processing: the host never waits, centres have room, one copy brings all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.scenes import street_scene
from depthlab_core import CITYSCAPES, ModelOutput
from depthlab_core.config import PostprocessConfig
from depthlab_core.gpu import interpret as gpu_interpret
from depthlab_core.gpu.centers import find_instance_centers
from depthlab_core.gpu.download import Download
from depthlab_core.gpu.graph import Graphs
from depthlab_core.gpu.interpret import GpuInterpreter, Tables, interpret_on_device, tables_of
from depthlab_core.interpret import interpret
from depthlab_core.postprocess import find_instance_centers as find_plainly

OPTIONS: dict[str, Any] = {
    "labels": CITYSCAPES,
    "postprocess": PostprocessConfig(),
    "depth_scale": 1.0,
    "mask_undefined": True,
}


class Traffic(TorchDispatchMode):
    """Counts tensors that go from one device to another, each of which may be a wait."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            source = args[0] if func.overloadpacket is torch.ops.aten._to_copy else args[1]
            if source.device != result.device:
                self.copies.append(str(func))
        return result


def pretended_output(device: str) -> ModelOutput:
    """Tensors that have a device and a shape, and no values that anything could depend on."""
    channels = (len(CITYSCAPES), 1, 2, 1)
    return ModelOutput(*(torch.rand(1, count, 16, 32, device=device) for count in channels))


@pytest.mark.parametrize("top_k", [None, 5, 200])
def test_nothing_waits_for_the_device(top_k: int | None) -> None:
    # Whatever needs a number from the device, such as nonzero, item or a mask as an index, raises
    # in this mode. It can pretend to have a GPU.
    with FakeTensorMode():
        output = pretended_output("cuda")
        known = torch.ones(len(CITYSCAPES), dtype=torch.bool, device="cuda")
        options = OPTIONS | {"postprocess": PostprocessConfig(top_k=top_k)}
        with Traffic() as traffic:
            answer = interpret_on_device(
                output, 64, 128, tables=Tables(known, known), room=8, **options
            )
    assert traffic.copies == []
    assert {part.device.type for part in answer} == {"cuda"}
    assert answer.id_map.shape == (64, 128)


def test_the_plain_form_would_be_found_waiting() -> None:
    with FakeTensorMode(), pytest.raises(DynamicOutputShapeException):
        interpret(pretended_output("cpu"), 64, 128, **OPTIONS)
    with FakeTensorMode(), Traffic() as traffic:
        torch.tensor([1.0]).to("cuda")
    assert traffic.copies == ["aten._to_copy.default"]


def test_is_one_graph() -> None:
    # What can be traced without a break depends on no value, either.
    compiled = torch.compile(interpret_on_device, fullgraph=True, backend="eager")
    output = street_scene(64, 128, centers=3)
    options = OPTIONS | {"tables": tables_of(CITYSCAPES, torch.device("cpu")), "room": 8}
    expected = interpret_on_device(output, 64, 128, **options)
    for got, part in zip(compiled(output, 64, 128, **options), expected, strict=True):
        torch.testing.assert_close(got, part, rtol=0, atol=0, equal_nan=True)


def test_without_graphs_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: operation not permitted\nmore of it")

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", fail)
    output = street_scene(64, 128, centers=3)
    interpreter = GpuInterpreter(torch.device("cpu"))
    expected = interpreter(output, 64, 128, **OPTIONS)
    interpreter._run = Graphs(interpreter._run)
    for _ in range(2):
        found = interpreter(output, 64, 128, **OPTIONS)
        np.testing.assert_array_equal(found.panoptic_map, expected.panoptic_map)
    assert caplog.messages == [
        "no CUDA graph can be captured, launching one by one: CUDA error: operation not permitted"
    ]


def test_makes_room_for_more_centres(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[int] = []

    def spy(*args: Any, room: int, **options: Any) -> gpu_interpret.DeviceAnswer:
        rooms.append(room)
        return interpret_on_device(*args, room=room, **options)

    monkeypatch.setattr(gpu_interpret, "interpret_on_device", spy)
    monkeypatch.setattr(gpu_interpret, "_ROOM", 4)
    interpreter = GpuInterpreter(torch.device("cpu"))
    for centers in (3, 30, 20):
        output = street_scene(256, 512, centers=centers)
        found = interpreter(output, 256, 512, **OPTIONS)
        expected = interpret(output, 256, 512, **OPTIONS)
        np.testing.assert_array_equal(found.panoptic_map, expected.panoptic_map)
    assert rooms == [4, 4, 32, 32]


@pytest.mark.parametrize("top_k", [None, 1, 2, 5, 200, 10**6])
@pytest.mark.parametrize("levels", [2, 5, 10**6])
def test_centers(top_k: int | None, levels: int) -> None:
    generator = np.random.default_rng(0)
    heatmap = torch.from_numpy((generator.integers(0, levels, (90, 70)) / levels).astype("f4"))
    heatmap[3, 3:60:7] = torch.nan
    options: dict[str, Any] = {"threshold": 0.3, "nms_kernel": 5, "top_k": top_k}
    expected = find_plainly(heatmap, **options)
    got = find_instance_centers(heatmap, room=heatmap.numel(), **options)
    count = int(got.found)
    assert count == len(expected)
    np.testing.assert_array_equal(got.points[:count].numpy(), expected.numpy())
    if count > 1:
        np.testing.assert_array_equal(got.points[count:], got.points[:1].expand(6300 - count, 2))
        little = find_instance_centers(heatmap, room=count - 1, **options)
        assert little.found > count - 1


def test_download_keeps_types_shapes_and_values() -> None:
    parts: list[Tensor] = [
        torch.tensor([[1.5, torch.nan]], dtype=torch.float64),
        torch.tensor([7, -(2**40)]),
        torch.zeros(0, 3),
        torch.arange(6, dtype=torch.int32).view(2, 3).T,
        torch.tensor([-1], dtype=torch.int16),
        torch.tensor([[3], [255]], dtype=torch.uint8),
    ]
    arrays = Download(torch.device("cpu"))(parts)
    for array, part in zip(arrays, parts, strict=True):
        assert array.dtype == part.numpy().dtype
        np.testing.assert_array_equal(array, part.numpy())
