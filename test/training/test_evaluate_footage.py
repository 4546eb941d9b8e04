# SPDX-License-Identifier: Apache-2.0
"""Heights, steadiness and tracks of predictions that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from depthlab_core.labels import CITYSCAPES
from depthlab_core.prediction import Prediction
from depthlab_core.segments import compute_segments
from training.datasets.footage import Footage, read_footage
from training.datasets.sample import DatasetError
from training.evaluate_footage import FootageEvaluation, main

FOCAL = 100.0
ROAD, PERSON, CAR = 0, 11, 13


def prediction(*things: tuple[int, int, int, int, int, float]) -> Prediction:
    """Return a road with things: class, x, y, width, height, depth."""
    panoptic = np.full((120, 160), ROAD, np.int32)
    depth = np.full(panoptic.shape, 30.0, np.float32)
    for number, (category, x, y, width, height, metres) in enumerate(things):
        region = np.s_[y : y + height, x : x + width]
        panoptic[region] = category * 1000 + number + 1
        depth[region] = metres
    ones = np.ones_like(depth)
    segments, id_map = compute_segments(panoptic, depth, ones, ones, CITYSCAPES)
    semantic = (panoptic // 1000).astype(np.uint8)
    return Prediction(panoptic, semantic, id_map, depth, segments, FOCAL, True, {})


def test_heights_are_those_of_whole_things():
    evaluation = FootageEvaluation()
    # 17 px at 10 m and 34 px at 5 m are 1.7 m; one is cut by the edge, one is too tall.
    evaluation.update(prediction((PERSON, 20, 20, 14, 17, 10.0)), 0.0)
    evaluation.update(prediction((PERSON, 20, 20, 10, 34, 5.0), (PERSON, 0, 50, 20, 40, 9.0)), 0.1)
    evaluation.update(prediction((PERSON, 80, 20, 10, 30, 10.0), (CAR, 20, 80, 40, 15, 10.0)), 0.2)
    results = evaluation.result()
    assert results["height_person"] == pytest.approx(1.7)
    assert results["plausible_person"] == pytest.approx(2 / 3)
    assert (results["height_car"], results["plausible_car"]) == (pytest.approx(1.5), 1.0)
    assert results["found_person"] == pytest.approx(4 / 3)
    assert results["found_car"] == pytest.approx(1 / 3)


def test_a_thing_that_stays_is_one_track_and_its_depth_changes_as_said():
    evaluation = FootageEvaluation()
    for number in range(6):
        depth = 10.0 * 1.02**number
        evaluation.update(prediction((CAR, 40, 60, 40, 20, depth)), number / 10)
    results = evaluation.result()
    assert (results["tracks"], results["track_length"]) == (1, 6)
    assert results["depth_change"] == pytest.approx(np.log(1.02), rel=1e-3)
    assert results["class_change"] == 0


def test_things_of_unknown_depth_have_no_height():
    evaluation = FootageEvaluation()
    unknown = (PERSON, 20, 20, 14, 17, math.nan)
    evaluation.update(prediction(unknown), 0.0)
    evaluation.update(prediction(unknown), 0.1)
    results = evaluation.result()
    assert (results["found_person"], results["track_length"]) == (1, 2)
    assert not {"height_person", "plausible_person", "depth_change"} & results.keys()
    evaluation.update(prediction((PERSON, 20, 20, 14, 17, 10.0)), 0.2)
    results = evaluation.result()
    assert (results["height_person"], results["plausible_person"]) == (pytest.approx(1.7), 1)


def test_changing_classes_are_counted():
    evaluation = FootageEvaluation()
    evaluation.update(prediction((CAR, 40, 60, 40, 20, 10.0)), 0.0)
    evaluation.update(prediction(), 0.1)
    assert evaluation.result()["class_change"] == pytest.approx(40 * 20 / (120 * 160))


@pytest.mark.parametrize("assumed_focal_length", [50.0, 100.0, 300.0])
def test_the_height_of_a_level_camera_needs_no_focal_length(assumed_focal_length):
    evaluation = FootageEvaluation()
    nothing = prediction()
    rows = np.arange(120)[:, None] - 59.5
    below = np.broadcast_to(rows > 0, nothing.depth.shape)
    for height, stamp in ((1.1, 0.0), (1.2, 0.1), (1.5, 0.2)):
        # Depth is proportional to the focal length, and so is the error of a wrong one.
        depth = np.where(below, assumed_focal_length * height / np.maximum(rows, 0.5), np.nan)
        evaluation.update(
            replace(nothing, depth=depth.astype(np.float32), focal_length=assumed_focal_length),
            stamp,
        )
    results = evaluation.result()
    assert results["camera_height"] == pytest.approx(1.2, rel=1e-3)
    assert results["ground_found"] == 1


def test_ground_that_is_no_plane_tells_no_height():
    evaluation = FootageEvaluation()
    depth = np.random.default_rng(0).uniform(2, 60, (120, 160)).astype(np.float32)
    evaluation.update(replace(prediction(), depth=depth), 0.0)
    results = evaluation.result()
    assert results["ground_found"] == 0
    assert "camera_height" not in results


def test_nothing_seen_is_no_error():
    evaluation = FootageEvaluation()
    assert evaluation.result()["frames"] == 0
    evaluation.update(replace(prediction(), depth=np.full((120, 160), np.nan, np.float32)), 0.0)
    found = {"found_person": 0.0, "found_car": 0.0, "ground_found": 0.0}
    assert evaluation.result() == {"frames": 1, **found}


def test_a_folder_is_read_in_the_order_of_names_as_rgb(tmp_path):
    for name, blue in (("b.png", 200), ("a.png", 100)):
        cv2.imwrite(str(tmp_path / name), np.full((8, 9, 3), (blue, 0, 7), np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    frames = list(read_footage(tmp_path))
    assert [stamp for _, stamp in frames] == [0.0, 0.1]
    assert [tuple(image[0, 0]) for image, _ in frames] == [(7, 0, 100), (7, 0, 200)]


def test_a_video_has_its_own_rate(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for value in (0, 120, 240):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    frames = list(read_footage(path))
    assert [stamp for _, stamp in frames] == pytest.approx([0.0, 0.04, 0.08])
    assert [round(float(image.mean()), -1) for image, _ in frames] == [0, 120, 240]


def test_every_so_many_frames_are_a_dataset_without_labels(tmp_path):
    for number in range(5):
        image = np.full((8, 9, 3), 10 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    footage = Footage(tmp_path, every=2)
    assert [int(footage[index].image.mean()) for index in range(len(footage))] == [0, 20, 40]
    sample = footage[1]
    assert sample.name == f"{tmp_path.name}_000002"
    assert sample.semantic is sample.panoptic is sample.depth is sample.focal_length is None


@pytest.mark.parametrize("name", ["absent.mp4", "empty", "broken"])
def test_footage_that_cannot_be_read_is_named(tmp_path, name):
    path = tmp_path / name
    if name != "absent.mp4":
        path.mkdir()
    if name == "broken":
        (path / "x.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=name):
        list(read_footage(path))


def test_an_error_of_the_command_is_one_line(tmp_path, capsys):
    # Of two mistakes the footage's is told: it shows without a model, whose loading takes a while.
    missing = tmp_path / "absent.mp4"
    assert main(["--checkpoint", "/no/such.pt", str(missing)]) == 1
    [error] = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: footage: {missing} does not exist")


def test_frames_too_small_for_a_model_are_one_line(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((16, 20, 3), np.uint8))
    assert main(["--checkpoint", "lite0", "--device", "cpu", str(tmp_path)]) == 1
    expected = f"error: {tmp_path}: image: got 20x16 pixels, expected 32x32 or more"
    assert capsys.readouterr().err.splitlines()[-1] == expected
