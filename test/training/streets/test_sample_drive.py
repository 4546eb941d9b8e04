# SPDX-License-Identifier: Apache-2.0
"""The bag of a drive holds its frames and their truth."""

import struct

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from training.streets.sample_drive import (
    DEPTH_SCALE,
    RATE,
    START_NS,
    TOPICS,
    UNLABELLED,
    encode_depth,
    encode_panoptic,
    main,
    write_bag,
)


@pytest.fixture(scope="module")
def messages(tmp_path_factory, drive):
    folder = tmp_path_factory.mktemp("bag") / "drive"
    write_bag(folder, drive, quality=90)
    store = get_typestore(Stores.ROS2_JAZZY)
    found = {topic: [] for topic in TOPICS}
    order = []
    with Reader(folder) as reader:
        for connection, _, data in reader.messages():
            found[connection.topic].append(store.deserialize_cdr(data, connection.msgtype))
            order.append(connection.topic)
    # A frame's image comes last, so that all that belongs to it is known by then.
    assert order == list(TOPICS) * len(drive)
    return found


def test_everything_of_a_frame_has_its_stamp(messages, drive):
    expected = [START_NS + round(k * 1e9 / RATE) for k in range(len(drive))]
    for topic in TOPICS:
        stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages[topic]]
        assert stamps == expected


def test_truth_comes_back(messages, drive):
    for frame, panoptic, depth in zip(
        drive,
        messages["/truth/panoptic/compressed"],
        messages["/truth/depth/compressedDepth"],
        strict=True,
    ):
        values = cv2.imdecode(panoptic.data, cv2.IMREAD_UNCHANGED).astype(int)
        values[values == UNLABELLED] = -1
        np.testing.assert_array_equal(values, frame.panoptic)
        _, a, b = struct.unpack("<iff", depth.data[:12].tobytes())
        steps = cv2.imdecode(depth.data[12:], cv2.IMREAD_UNCHANGED).astype(float)
        np.testing.assert_array_equal(steps == 0, frame.depth == 0)
        known = frame.depth > 0
        error = np.abs(a / (steps[known] - b) - frame.depth[known])
        assert (error <= 0.6 * frame.depth[known] ** 2 / DEPTH_SCALE + 1e-4).all()


def test_image_and_calibration(messages, drive):
    frame, info = drive[0], messages["/camera_info"][0]
    assert (info.width, info.height) == (192, 96)
    np.testing.assert_allclose(info.k.reshape(3, 3), frame.intrinsics)
    image = cv2.imdecode(messages["/image_raw/compressed"][0].data, cv2.IMREAD_COLOR)
    assert np.abs(image[..., ::-1].astype(int) - frame.image).mean() < 4


def test_extremes_fit_into_16_bits():
    depth = np.array([[0.0, 0.1, 5000.0]], np.float32)
    steps = cv2.imdecode(np.frombuffer(encode_depth(depth)[12:], np.uint8), cv2.IMREAD_UNCHANGED)
    assert steps.tolist() == [[0, 65535, 3]]
    panoptic = np.array([[-1, 0, 18_999]], np.int32)
    values = cv2.imdecode(np.frombuffer(encode_panoptic(panoptic), np.uint8), -1)
    assert values.tolist() == [[UNLABELLED, 0, 18_999]]


def test_command_replaces_its_own_result_and_nothing_else(tmp_path, capsys):
    out = tmp_path / "drive"
    command = ["--out", str(out), "--frames", "1", "--size", "64x32"]
    assert main(command) == 0
    assert main(command) == 0
    assert {path.suffix for path in out.iterdir()} == {".mcap", ".md", ".yaml"}
    assert "--size 64x32" in (out / "README.md").read_text()
    (out / "diary.txt").touch()
    assert main(command) == 1
    assert "which exists and is no earlier drive" in capsys.readouterr().err
    assert (out / "diary.txt").exists()


def test_impossible_options_are_named(tmp_path, capsys):
    for option, expected in (
        ("--quality=0", "1 to 100"),
        ("--size=8x64", "WIDTHxHEIGHT, each 16"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["--out", str(tmp_path / "drive"), option])
        name, value = option.split("=")
        error = capsys.readouterr().err
        assert name in error
        assert value in error
        assert f"expected {expected}" in error
    assert not (tmp_path / "drive").exists()
