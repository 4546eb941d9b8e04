# SPDX-License-Identifier: Apache-2.0
"""Video files and image folders as the player reads them, and what is no source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from depthlab_ros.captures import is_device
from depthlab_ros.frame_source import DEFAULT_RATE, Leniency, SourceError
from depthlab_ros.sources import open_source
from depthlab_ros.video_writer import VideoWriter


def picture(number: int) -> np.ndarray:
    """A grey image whose brightness is its number times 20."""
    return np.full((48, 64, 3), number * 20, np.uint8)


def write_video(path: Path, *, count: int = 6, rate: float = 20.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (64, 48))
    for number in range(count):
        writer.write(picture(number))
    writer.release()
    return path


def brightness(image: np.ndarray) -> int:
    return round(float(image.mean()) / 20)


def test_video(tmp_path):
    source = open_source(str(write_video(tmp_path / "clip.avi")))
    assert (source.rate, source.frame_count, source.is_live) == (20.0, 6, False)
    for _ in range(2):  # a second pass starts again
        frames = list(source.frames())
        assert [brightness(frame.image) for frame in frames] == [0, 1, 2, 3, 4, 5]
        assert [frame.time for frame in frames] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25])
    assert frames[0].stamp_ns is None
    assert frames[0].camera is None
    assert frames[0].image.shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_video_of_a_variable_rate_keeps_its_times(tmp_path, name):
    # As the demo writes its own video, and phones and screen recorders theirs.
    times = [0.0, 0.1, 0.5, 2.0, 2.1]
    with VideoWriter(tmp_path / name) as video:
        for number, time in enumerate(times):
            video.write(picture(number), time)
    frames = list(open_source(str(tmp_path / name)).frames())
    assert [brightness(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3)


def test_video_without_times_comes_at_its_rate(tmp_path):
    with VideoWriter(tmp_path / "clip.h264") as video:
        for number in range(4):
            video.write(picture(number), number)
    source = open_source(str(tmp_path / "clip.h264"))
    times = [frame.time for frame in source.frames()]
    assert times == pytest.approx([number / source.rate for number in range(4)])


def test_video_whose_name_has_a_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(Path("clip.avi")).rename("12:30.avi")
    assert len(list(open_source("12:30.avi").frames())) == 6


def test_video_colours_are_rgb(tmp_path):
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # BGR
    writer.release()
    [frame] = open_source(str(path)).frames()
    red, green, blue = frame.image.reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert green < 15
    assert blue < 15


def test_folder_in_natural_order_and_of_any_size(tmp_path):
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), picture(number))
    cv2.imwrite(str(tmp_path / "frame11.jpg"), np.full((30, 20, 3), 220, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._frame1.png").write_bytes(b"what macOS knows of frame1.png")
    source = open_source(str(tmp_path))
    assert (source.rate, source.frame_count) == (DEFAULT_RATE, 4)
    frames = list(source.frames())
    assert [brightness(frame.image) for frame in frames] == [1, 2, 10, 11]
    assert frames[3].image.shape == (30, 20, 3)
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_names_with_digits_that_are_no_decimals(tmp_path):
    for name in ("1\u00b22", "1\u00b210", "\u2460"):  # a superscript 2, and a 1 in a circle
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture(1))
    assert len(list(open_source(str(tmp_path)).frames())) == 3


def test_folder_leaves_out_what_it_cannot_read_and_says_so(tmp_path):
    jpeg = cv2.imencode(".jpg", picture(3))[1].tobytes()
    (tmp_path / "0.png").write_bytes(b"broken")
    (tmp_path / "1.jpg").write_bytes(jpeg)
    (tmp_path / "2.jpg").write_bytes(jpeg[: len(jpeg) * 9 // 10])  # not partly grey
    (tmp_path / "3.jpg").write_bytes(b"")
    (tmp_path / "4.png").mkdir()
    (tmp_path / "5.jpg").write_bytes(jpeg)
    said = []
    frames = list(open_source(str(tmp_path), warn=said.append).frames())
    assert [brightness(frame.image) for frame in frames] == [3, 3]
    # The others keep their times.
    assert [frame.time for frame in frames] == pytest.approx([0.1, 0.5])
    names = [f"{tmp_path}/{name}" for name in ("0.png", "2.jpg", "3.jpg", "4.png")]
    assert said == [
        f"cannot read the image '{name}', damaged or cut short: left out" for name in names
    ]


@pytest.mark.parametrize("count", [1, 30])
def test_folder_of_nothing_but_broken_images_is_one_error(tmp_path, count):
    for number in range(count):
        (tmp_path / f"{number}.png").write_bytes(b"broken")
    said = []
    with pytest.raises(SourceError, match=r"cannot read the image '.*/0\.png', damaged"):
        list(open_source(str(tmp_path), warn=said.append).frames())
    assert said == []


def test_many_bad_images_after_a_good_one_are_no_error():
    said = []
    leniency = Leniency(said.append)
    for number in range(Leniency.PATIENCE - 1):
        leniency.on_problem(f"bad {number}")
    assert said == []
    leniency.on_image()
    for _ in range(3 * Leniency.PATIENCE):
        leniency.on_problem("bad")
    leniency.on_end()
    assert said == [f"bad {i}: left out" for i in range(9)] + ["bad: left out"] * 30


def test_a_bundled_recording_goes_by_its_name_unless_there_is_such_a_file(tmp_path, monkeypatch):
    assert open_source("drive").has_truth
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.avi").rename(tmp_path / "drive")
    assert open_source("drive").frame_count == 6


def test_missing_source():
    with pytest.raises(SourceError, match=r"got '/no/such\.mp4', which does not exist"):
        open_source("/no/such.mp4")
    with pytest.raises(SourceError, match=r"got no source, expected .* camera device or drive$"):
        open_source("")


@pytest.mark.parametrize("name", ["~nobody_has_this_name/clip.mp4", "x" * 300, "a\0b"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(SourceError, match="which does not exist"):
        open_source(name)
    assert not is_device(name)


@pytest.mark.parametrize("name", ["clip.mp4", "bag.mcap", "bag.db3"])
def test_rubbish_is_one_clear_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"rubbish" * 100)
    with pytest.raises(SourceError) as error:
        open_source(str(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_empty_folder(tmp_path):
    with pytest.raises(SourceError, match="without images"):
        open_source(str(tmp_path))


def test_a_folder_whose_name_is_a_number_is_that_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024").mkdir()
    cv2.imwrite("2024/1.png", picture(4))
    assert not is_device("2024")
    assert is_device("2025")
    [frame] = open_source("2024").frames()
    assert brightness(frame.image) == 4
