# SPDX-License-Identifier: Apache-2.0
"""Agreement of two predictions is told in numbers, and the command compares what is asked for."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import agreement
from benchmarks.agreement import Agreement
from depthlab_core import CITYSCAPES, DepthLab, Prediction


def prediction() -> Prediction:
    """Road on the left and a car on the right, ten metres away."""
    panoptic = np.zeros((4, 10), np.int32)
    panoptic[:, 5:] = 13001
    return Prediction(
        panoptic_map=panoptic,
        semantic_map=(panoptic // 1000).astype(np.uint8),
        id_map=(panoptic > 0).astype(np.uint16) + np.uint16(1),
        depth=np.full((4, 10), 10, np.float32),
        segments=[],
        focal_length=100.0,
        focal_length_assumed=True,
        timings={},
    )


def test_what_is_the_same_agrees() -> None:
    measured = Agreement(CITYSCAPES)
    measured.update(prediction(), prediction())
    found = measured.result()
    assert (found["equal_panoptic"], found["equal_class"], found["pq"]) == (1, 1, 1)
    assert (found["depth_difference_mean"], found["depth_difference_p95"]) == (0, 0)


def test_differences_are_told() -> None:
    yardstick = prediction()
    panoptic, semantic = yardstick.panoptic_map.copy(), yardstick.semantic_map.copy()
    panoptic[:, 5] = semantic[:, 5] = 0  # a fifth of the car has become road
    panoptic[0, 9] = 13002
    depth = yardstick.depth.copy()
    depth[:, 0] = 11
    depth[:, 9] = math.nan
    other = replace(yardstick, panoptic_map=panoptic, semantic_map=semantic, depth=depth)
    measured = Agreement(CITYSCAPES)
    measured.update(other, yardstick)
    found = measured.result()
    assert found["equal_panoptic"] == pytest.approx(35 / 40)
    assert found["equal_class"] == pytest.approx(36 / 40)
    assert found["depth_difference_mean"] == pytest.approx(0.1 * 4 / 36, rel=1e-5)
    # Road: 20 of 24 pixels; car: 15 of 20, and one segment too many.
    assert found["pq_stuff"] == pytest.approx(20 / 24)
    assert found["pq_things"] == pytest.approx(15 / 20 / 1.5)


def test_depth_that_neither_knows() -> None:
    nothing = replace(prediction(), depth=np.full((4, 10), math.nan, np.float32))
    measured = Agreement(CITYSCAPES)
    measured.update(nothing, prediction())
    assert measured.result()["depth_difference_mean"] == 0


def test_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    generator = np.random.default_rng(0)
    for index in range(3):
        picture = generator.integers(0, 256, (96, 128, 3), np.uint8)
        cv2.imwrite(str(pictures / f"{index}.png"), picture)
    path = tmp_path / "agreement.json"
    loaded: list[tuple[str, ...]] = []
    load = DepthLab.load

    def spy(*arguments: str) -> DepthLab:
        loaded.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(DepthLab, "load", spy)
    arguments = ["--source", str(pictures), "--engines", "torch:fp32", "torch:fp32"]
    arguments += ["--frames", "2", "--out", str(path)]
    monkeypatch.setattr(sys, "argv", ["agreement", *arguments])
    agreement.main()
    assert loaded == [("lite0", "cpu", "torch", "fp32")] * 2
    report = json.loads(path.read_text())
    assert (report["frames"], report["yardstick"]) == (2, "torch:fp32")
    assert report["torch:fp32"]["equal_panoptic"] == 1
    assert "torch:fp32 against torch:fp32, 2 frames" in capsys.readouterr().out
