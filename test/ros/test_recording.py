# SPDX-License-Identifier: Apache-2.0
"""The demo's files: what stands in them, and that they can be read back."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from depthlab_msgs.msg import Segment, SegmentArray
from std_msgs.msg import Header

from depthlab_ros.demo import format_summary
from depthlab_ros.progress import WIDTH
from depthlab_ros.recording import Recording, Summary, message_to_dict
from depthlab_ros.video_writer import VideoWriter, contact_sheet, read_frames

SECOND = 1_000_000_000


def segment_array(seconds: int, *, segments: int = 2) -> SegmentArray:
    msg = SegmentArray(header=Header(stamp=Time(sec=seconds)), model="stub")
    msg.segments = [Segment(id=i + 1, depth=0.1, depth_std=float("nan")) for i in range(segments)]
    return msg


def picture(brightness: int, height: int = 49, width: int = 65) -> np.ndarray:
    return np.full((height, width, 3), brightness, np.uint8)


def test_message_to_dict_has_every_field_and_no_nan():
    msg = Segment(id=3, class_name="car", is_thing=True, score=0.1, depth=float("nan"))
    msg.position.x = 1e-9
    msg.bbox.width = 7
    fields = message_to_dict(msg)
    assert list(fields) == list(Segment.get_fields_and_field_types())
    assert (fields["id"], fields["class_name"], fields["is_thing"]) == (3, "car", True)
    assert fields["score"] == 0.1
    assert fields["depth"] is None
    assert fields["position"] == {"x": 1e-9, "y": 0.0, "z": 0.0}
    assert fields["bbox"]["width"] == 7
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields


def test_video_keeps_times_and_pictures(tmp_path):
    path = tmp_path / "clip.mp4"
    times = [0.0, 0.1, 0.5, 2.0]
    with VideoWriter(path) as video:
        for index, time in enumerate(times):
            video.write(picture(50 * index), time)
            video.write(picture(255), time)  # not later: left out
    frames = list(read_frames(path))
    assert [time for _, time in frames] == pytest.approx(times, abs=1e-3)
    assert [round(float(image.mean()) / 50) for image, _ in frames] == [0, 1, 2, 3]
    assert frames[0][0].shape == (48, 64, 3)
    # Other readers agree that it is a plain H.264 file.
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") in (b"avc1", b"h264")


def test_video_takes_frames_of_another_size(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path) as video:
        video.write(picture(10), 0.0)
        video.write(picture(200, height=100, width=30), 1.0)
    assert [image.shape for image, _ in read_frames(path)] == [(48, 64, 3)] * 2


@pytest.mark.parametrize(
    ("frames", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (5, 2, 3), (40, 3, 3)]
)
def test_contact_sheet(tmp_path, frames, rows, columns):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path) as video:
        for index in range(frames):
            video.write(picture(100, height=60, width=80), index / 10)
    sheet = contact_sheet(path)
    assert sheet.shape == (rows * (480 + 28), columns * 640, 3)
    assert abs(int(sheet[28 + 240, 320, 0]) - 100) <= 3


def test_recording_writes_everything(tmp_path):
    folder = tmp_path / "new" / "demo"
    with Recording(folder) as recording:
        recording.device = "cpu"
        for second in range(1, 9):
            recording.on_camera(second * SECOND)
        for second, latency_ms in ((1, 100), (3, 200), (5, 300)):
            received = second * SECOND + latency_ms * 1_000_000
            recording.on_segments(segment_array(second, segments=second), received)
            recording.on_annotated(picture(second), second * SECOND)
        assert recording.seconds_in == 7.0
        summary = recording.write_overview()

    assert summary == Summary(
        frames_in=8,
        frames_out=3,
        dropped=5,
        fps=round(2 / 4.2, 2),
        latency_ms_p50=200.0,
        latency_ms_p95=290.0,
        segments_per_frame=3.0,
        model="stub",
        device="cpu",
    )
    assert json.loads((folder / "summary.json").read_text()) == vars(summary)
    lines = [json.loads(line) for line in (folder / "segments.jsonl").read_text().splitlines()]
    assert [line["stamp"] for line in lines] == [1.0, 3.0, 5.0]
    assert [len(line["segments"]) for line in lines] == [1, 3, 5]
    assert lines[0]["segments"][0]["depth"] == 0.1
    assert lines[0]["segments"][0]["depth_std"] is None
    assert [time for _, time in read_frames(folder / "annotated.mp4")] == pytest.approx([0, 2, 4])
    assert cv2.imread(str(folder / "contact_sheet.png")) is not None


def test_recording_of_nothing_leaves_no_old_results(tmp_path):
    for name in ("annotated.mp4", "contact_sheet.png"):
        (tmp_path / name).write_bytes(b"old")
    with Recording(tmp_path) as recording:
        summary = recording.write_overview()
    assert (summary.frames_in, summary.frames_out, summary.fps) == (0, 0, 0.0)
    assert not (tmp_path / "contact_sheet.png").exists()


def test_table_fits_the_terminal(tmp_path):
    (tmp_path / "summary.json").touch()
    summary = Summary(300, 150, 150, 5.04, 123.4, 234.5, 9.876, "lite0", "cpu")
    table = format_summary(summary, tmp_path)
    assert max(len(line) for line in table.splitlines()) <= WIDTH
    assert "frames out  150 (150 dropped: newest frame wins)" in table
    assert "latency     123 ms median" in table
    assert "summary.json" in table


def test_a_frame_whose_calibration_was_lost_counts_as_in(tmp_path):
    with Recording(tmp_path) as recording:
        recording.on_camera(SECOND)
        recording.on_segments(segment_array(1), 1 * SECOND)
        recording.on_segments(segment_array(2), 2 * SECOND)
        summary = recording.summary()
    assert (summary.frames_in, summary.frames_out, summary.dropped) == (2, 2, 0)
