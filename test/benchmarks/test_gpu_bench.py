# SPDX-License-Identifier: Apache-2.0
"""What is measured on a GPU, as far as it runs without one."""

import warnings

import pytest
import torch
from torch import nn

from benchmarks import gpu
from benchmarks.roofline import Limits, Work, work_of
from benchmarks.stages import Times

CPU = torch.device("cpu")


def test_work_of_convolutions() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
    )
    pixels = 16 * 32
    work = work_of(network, torch.zeros(1, 3, 16, 32))
    assert work.flops == 2 * pixels * (8 * 3 * 9 + 8 * 9)
    assert work.elements == (3 + 8) * pixels + 8 * 3 * 9 + (8 + 8) * pixels + 8 * 9


def test_shares_of_the_limits() -> None:
    limits = Limits({"fp32": 1e12, "bf16": 4e12}, bandwidth=1e12)
    work = Work(flops=10**9, elements=10**8)
    assert limits.shares(work, "fp32", 2.0) == {"flop_limit_%": 50, "bandwidth_limit_%": 20}
    assert limits.shares(work, "bf16", 1.0) == {"flop_limit_%": 25, "bandwidth_limit_%": 20}


def test_waits_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def work() -> None:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    assert gpu.count_waits(work) == 3
    assert modes == ["warn", "default"]


def test_rivals_agree_and_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: dict[str, Times] = {}
    limits = Limits({"fp32": 1e12, "bf16": 1e12}, bandwidth=1e12)
    monkeypatch.setattr(gpu, "measure_limits", lambda device: limits)
    monkeypatch.setattr(gpu, "ENGINES", (("torch", "fp32"), ("torch", "bf16")))
    monkeypatch.setattr(gpu, "CAMERA", (96, 64))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "none")
    about = gpu.bench_gpu(["lite0"], [(128, 64)], [0, 3], 1, recorded.__setitem__, CPU)
    assert about["name"] == "none"
    rivals = {title: list(times) for title, times in recorded.items()}
    assert rivals == {
        "gpu input 128x64": ["plain", "ours"],
        "gpu segments 128x64 K=0": ["plain", "ours", "ours, without a graph"],
        "gpu segments 128x64 K=3": ["plain", "ours", "ours, without a graph"],
        "gpu lite0 128x64": ["eager fp32", "torch fp32 on cpu", "torch bf16 on cpu"],
        "gpu frame lite0 96x64": ["torch fp32", "torch bf16"],
    }
    forward = recorded["gpu lite0 128x64"]["torch bf16 on cpu"]
    assert forward["flop_limit_%"] > 0
    assert forward["bandwidth_limit_%"] > 0


def test_a_wrong_label_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = gpu.interpret

    def wrong(*args: object, **options: object) -> object:
        found = plain(*args, **options)  # type: ignore[arg-type]
        found.panoptic_map[0, 0] += 1
        return found

    monkeypatch.setattr(gpu, "interpret", wrong)
    with pytest.raises(AssertionError, match="not equal"):
        gpu.bench_postprocessing(128, 64, 3, 1, CPU)
