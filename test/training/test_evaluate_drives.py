# SPDX-License-Identifier: Apache-2.0
"""A made-up drive: true maps give true tracks, true speeds and the true scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from training.evaluate_drives import DriveEvaluation, IdealPredictor, main
from training.streets.frame import StreetFrame

CAR, ROAD, SKY = 13, 0, 10
HEIGHT, WIDTH, FOCAL, CAMERA_HEIGHT = 96, 192, 120.0, 1.5
EGO, LEAD, ONCOMING = 8.0, 5.0, -3.0


def drive(length: int, rate: float = 10.0) -> Iterator[StreetFrame]:
    """Yield a straight road along the world's x axis with two cars on it, seen from a third."""
    intrinsics = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1.0]])
    v, _ = np.mgrid[:HEIGHT, :WIDTH]
    below = (v - intrinsics[1, 2]) / FOCAL
    for k in range(length):
        time = k / rate
        depth = np.zeros((HEIGHT, WIDTH), np.float32)
        is_road = below > 0.01
        depth[is_road] = CAMERA_HEIGHT / below[is_road]
        panoptic = np.where(is_road, ROAD, SKY * 1000).astype(np.int32)
        for number, start, speed, side in ((1, 20.0, LEAD, 1.0), (2, 45.0, ONCOMING, -3.0)):
            z = start + (speed - EGO) * time
            left, right = (FOCAL * (side + w) / z + intrinsics[0, 2] for w in (-0.9, 0.9))
            top, bottom = (FOCAL * y / z + intrinsics[1, 2] for y in (0.1, CAMERA_HEIGHT))
            window = np.s_[round(top) : round(bottom), max(round(left), 0) : round(right)]
            panoptic[window] = CAR * 1000 + number
            depth[window] = z
        pose = np.eye(4)
        # The optical axes in the world: x to the right is -y, y down is -z, z ahead is x.
        pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
        pose[:3, 3] = [EGO * time, 0, CAMERA_HEIGHT]
        yield StreetFrame(
            name=f"drive_{k}",
            image=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
            semantic=(panoptic // 1000).astype(np.uint8),
            panoptic=panoptic,
            depth=depth,
            intrinsics=intrinsics,
            world_from_camera=pose,
            velocities={CAR * 1000 + 1: (LEAD, 0.0, 0.0), CAR * 1000 + 2: (ONCOMING, 0.0, 0.0)},
            time=time,
            camera_height=CAMERA_HEIGHT,
        )


def predictor(**spoilt: float) -> IdealPredictor:
    values = {"miss": 0.0, "depth_noise": 0.0, "depth_scale": 1.0} | spoilt
    return IdealPredictor(**values, rng=np.random.default_rng(0))


def test_the_truth_scores_full_marks():
    evaluation = DriveEvaluation()
    evaluation.drive(drive(30), predictor())
    result = evaluation.result()
    assert result["id_switches"] == 0
    assert result["idf1"] == result["found"] == 1
    assert result["speed_median"] < 0.1
    assert result["contact_rel"] < 0.03
    assert result["ground_applied"] == 1
    assert result["height_ratio_median"] == pytest.approx(1, abs=1e-3)
    assert result["abs_rel_after"] == pytest.approx(0, abs=2e-3)


def test_true_depth_is_that_of_the_pixels_that_have_one():
    def with_gaps(frame: StreetFrame) -> StreetFrame:
        depth = frame.depth.copy()
        # As between the spokes of a wheel, over more than half of each car.
        depth[(frame.panoptic > CAR * 1000) & (np.arange(WIDTH) % 5 < 3)] = 0
        return replace(frame, depth=depth)

    results = []
    for frames in (drive(20), map(with_gaps, drive(20))):
        evaluation = DriveEvaluation()
        evaluation.drive(frames, predictor(depth_noise=0.05))
        results.append(evaluation.result())
    whole, gappy = results
    assert 0.01 < whole["contact_rel"] < 0.5
    for name in ("speed_known", "speed_mae", "contact_rel"):
        assert gappy[name] == pytest.approx(whole[name], rel=1e-3), name


def test_the_ground_puts_a_wrong_scale_right():
    evaluation = DriveEvaluation()
    evaluation.drive(drive(10), predictor(depth_scale=1.4))
    result = evaluation.result()
    assert result["abs_rel_before"] == pytest.approx(0.4, abs=0.01)
    assert result["abs_rel_after"] == pytest.approx(0, abs=2e-3)


def test_misses_and_noise_show():
    evaluation = DriveEvaluation()
    evaluation.drive(drive(30), predictor(miss=0.15, depth_noise=0.04))
    result = evaluation.result()
    assert 0.7 < result["found"] < 0.98
    assert result["id_switches"] == 0
    assert 0.1 < result["speed_mae"] < result["speed_mae_of_zero"] / 3
    assert math.isfinite(result["contact_rel"])


def test_command_line_refuses_a_missing_checkpoint(capsys, tmp_path):
    assert main(["--checkpoint", str(tmp_path / "none.safetensors")]) == 1
    assert "none.safetensors" in capsys.readouterr().err


def test_command_line_refuses_images_too_small_for_a_model(capsys):
    assert main(["--checkpoint", "lite0", "--device", "cpu", "--size", "64x16"]) == 1
    expected = "error: image: got 64x16 pixels, expected 32x32 or more\n"
    assert capsys.readouterr().err.endswith(expected)


@pytest.mark.parametrize("option", ["--miss", "--depth-noise", "--depth-scale"])
def test_command_line_spoils_the_truth_alone(capsys, option):
    with pytest.raises(SystemExit):
        main(["--checkpoint", "lite0", option, "0.5"])
    expected = f"{option}: got --checkpoint, expected none: the truth alone is spoilt\n"
    assert capsys.readouterr().err.endswith(expected)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--size", ["0x64"]),
        ("--size", ["64"]),
        ("--depth-noise", ["-0.1"]),
        ("--depth-scale", ["0"]),
        ("--depth-scale", ["nan"]),
        ("--seed", ["-1"]),
    ],
)
def test_command_line_refuses_impossible_values(capsys, option, values):
    with pytest.raises(SystemExit):
        main([option, *values])
    assert f"argument {option}: got '{values[0]}', expected " in capsys.readouterr().err
