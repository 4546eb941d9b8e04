# SPDX-License-Identifier: Apache-2.0
"""What ``make bench`` measures besides where there is a GPU.

The functions take any device, so that tests can run them without one; what only a GPU tells, waits
and its memory, is left out then.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.clock import in_turns
from benchmarks.roofline import Limits, measure_limits, work_of
from benchmarks.scenes import street_scene
from benchmarks.stages import OPTIONS, Times
from depthlab_core import CITYSCAPES, DepthLab, ModelOutput, build_network
from depthlab_core.config import InputConfig
from depthlab_core.device_input import DeviceInput
from depthlab_core.engine import choose_engine
from depthlab_core.gpu.interpret import (
    DeviceAnswer,
    GpuInterpreter,
    interpret_on_device,
    tables_of,
)
from depthlab_core.interpret import Interpretation, interpret
from depthlab_core.preprocess import image_to_tensor, input_geometry

ENGINES = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("torch_compile", "fp32"),
    ("torch_compile", "bf16"),
)
CAMERA = (1280, 720)
"""Width and height of the images of whole frames."""


def bench_gpu(
    networks: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    centers: Sequence[int],
    rounds: int,
    record: Callable[[str, Times], None],
    device: torch.device,
) -> dict[str, Any]:
    """Measure all of it.

    Args:
        networks: Names of models.
        sizes: Width and height of images.
        centers: Numbers of centres.
        rounds: Timed runs of each rival.
        record: Takes the title and the times of each comparison.
        device: The GPU.

    Returns:
        The GPU's name and limits.
    """
    limits = measure_limits(device)
    name = torch.cuda.get_device_name(device)
    tera = {precision: flops / 1e12 for precision, flops in limits.flops.items()}
    print(
        f"{name}: {tera['fp32']:.0f} TFLOP/s in TF32, {tera['bf16']:.0f} in bf16, "
        f"{limits.bandwidth / 1e12:.2f} TB/s",
        flush=True,
    )
    for width, height in sizes:
        size = f"{width}x{height}"
        record(f"gpu input {size}", bench_input(width, height, rounds, device))
        for count in centers:
            few = max(rounds // 3, 1)
            times = bench_postprocessing(width, height, count, few, device)
            record(f"gpu segments {size} K={count}", times)
        for network in networks:
            times = bench_forward(network, width, height, rounds, device, limits)
            record(f"gpu {network} {size}", times)
    if "lite0" in networks:
        record(
            "gpu frame lite0 {}x{}".format(*CAMERA), bench_frame("lite0", *CAMERA, rounds, device)
        )
    return {
        "name": name,
        "cuda": torch.version.cuda,
        "flops": dict(limits.flops),
        "bandwidth": limits.bandwidth,
    }


def bench_input(width: int, height: int, rounds: int, device: torch.device) -> Times:
    """Image to normalised tensor on the device."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    config = InputConfig()
    geometry = input_geometry(height, width, config)
    prepare = DeviceInput(config, device)

    def plain() -> torch.Tensor:
        return image_to_tensor(image, geometry, config).to(device)

    def ours() -> torch.Tensor:
        return prepare(image, geometry)

    torch.testing.assert_close(ours(), plain(), rtol=0, atol=1e-5)
    return _timed({"plain": plain, "ours": ours}, rounds, device)


def bench_postprocessing(
    width: int, height: int, centers: int, rounds: int, device: torch.device
) -> Times:
    """Network output on the device to segments on the host; labels are compared first.

    Without a graph they are not fetched, either.
    """
    scene = street_scene(height, width, centers=centers)
    output = ModelOutput(*(part.to(device) for part in scene))
    interpreter = GpuInterpreter(device)
    tables = tables_of(CITYSCAPES, device)

    def plain() -> Interpretation:
        return interpret(output, height, width, **OPTIONS)

    def ours() -> Interpretation:
        return interpreter(output, height, width, **OPTIONS)

    def without_graph() -> DeviceAnswer:
        return interpret_on_device(
            output, height, width, tables=tables, room=interpreter.room, **OPTIONS
        )

    with torch.inference_mode():
        found, expected = ours(), plain()
        for name in ("panoptic_map", "semantic_map", "id_map", "depth"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        rivals = {"plain": plain, "ours": ours, "ours, without a graph": without_graph}
        return _timed(rivals, rounds, device)


def bench_forward(
    name: str, width: int, height: int, rounds: int, device: torch.device, limits: Limits
) -> Times:
    """The network by every backend, against eager torch in float32 as it was trained."""
    torch.manual_seed(0)
    network = build_network(name).eval()
    x = torch.randn(1, 3, height, width).to(device, memory_format=torch.channels_last)
    yardstick = copy.deepcopy(network).to(device)
    work = work_of(yardstick, x)

    @torch.inference_mode()
    def eager() -> ModelOutput:
        result: ModelOutput = yardstick(x)
        return result

    rivals: dict[str, Callable[[], Any]] = {"eager fp32": eager}
    precisions = {"eager fp32": "fp32"}
    for backend, precision in ENGINES:
        engine = choose_engine(
            network, device, (height, width), backend=backend, precision=precision
        )
        # What runs, which is not what was asked for if that failed.
        rivals[engine.description] = lambda engine=engine: engine(x)  # type: ignore[misc]
        precisions[engine.description] = precision
    times = _timed(rivals, rounds, device)
    for rival, precision in precisions.items():
        times[rival] |= limits.shares(work, precision, times[rival]["p50"])
    return times


def bench_frame(name: str, width: int, height: int, rounds: int, device: torch.device) -> Times:
    """Whole frames of a bundled model, from the image to segments and ground."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    rivals: dict[str, Callable[[], Any]] = {}
    for backend, precision in ENGINES:
        model = DepthLab.load(name, str(device), backend, precision)
        model.warm_up(height, width)
        rivals[f"{backend} {precision}"] = lambda model=model: model.predict(image)  # type: ignore[misc]
    return _timed(rivals, rounds, device)


def count_waits(function: Callable[[], Any]) -> int:
    """Count how often PyTorch makes the host wait for the GPU, but for waits that are asked for.

    An explicit wait (for an event, a stream or all of the device) is not counted.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            function()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(warning.message) for warning in caught)


def _timed(rivals: dict[str, Callable[[], Any]], rounds: int, device: torch.device) -> Times:
    """Time rivals in turns until the device is through; on a GPU, count waits and memory, too.

    PyTorch does not count the memory that a CUDA graph keeps between its input and output.
    """

    def waited(function: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            function()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return run

    times = in_turns({name: waited(function) for name, function in rivals.items()}, rounds)
    if device.type == "cuda":
        for name, function in rivals.items():
            times[name]["waits"] = count_waits(function)
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            waited(function)()
            times[name]["peak_mib"] = torch.cuda.max_memory_allocated(device) >> 20
    return times
