# SPDX-License-Identifier: Apache-2.0
"""Cameras of this machine; videos are tested with the other sources."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from depthlab_ros.captures import DeviceSource, capture_target, is_device
from depthlab_ros.frame_source import SourceError
from depthlab_ros.sources import open_source


def test_device_names():
    assert is_device("0")
    assert is_device("/dev/video12")
    assert not is_device("/dev/video")
    assert not is_device("clip0.mp4")
    with pytest.raises(SourceError, match="device '97': /dev/video97 does not exist"):
        open_source("97")


class QueueingCamera:
    """A camera that fills its buffers and then drops what is new, as Video4Linux has it.

    It takes a picture whenever one is asked of it; ``pass_time`` lets it take more.
    """

    BUFFERS = 3

    def __init__(self, target) -> None:
        self._taken = 0
        self._queue = []

    def pass_time(self, pictures):
        for _ in range(pictures):
            if len(self._queue) < self.BUFFERS:
                self._queue.append(self._taken)
            self._taken += 1

    def isOpened(self):  # noqa: N802
        return True

    def get(self, name):
        return float({cv2.CAP_PROP_BUFFERSIZE: self.BUFFERS}.get(name, 30.0))

    def grab(self):
        self.pass_time(1)
        self._grabbed = self._queue.pop(0)
        return True

    def read(self):
        self.grab()
        return True, np.full((48, 64, 3), self._grabbed, np.uint8)


def test_a_camera_that_had_to_wait_shows_no_old_frames(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", QueueingCamera)
    camera = DeviceSource("0")
    camera._capture.pass_time(9)  # until somebody subscribes
    frames = camera.frames()
    shown = [int(next(frames).image[0, 0, 0]) for _ in range(2)]
    # After that of the opening come nine while nobody looks; the rest is of now.
    assert min(shown) >= 10
    assert shown == sorted(set(shown))


def test_a_link_to_a_device_is_that_device(tmp_path):
    by_name = tmp_path / "front_camera"
    by_name.symlink_to("/dev/null")  # a character device, as cameras are
    assert is_device(str(by_name))
    with pytest.raises(SourceError, match=r"'.*/front_camera': /dev/null gives no images, or"):
        open_source(str(by_name))
    assert capture_target(str(by_name)) == "/dev/null"
    by_id = tmp_path / "by-id"
    by_id.symlink_to("/dev/video97")
    assert capture_target(str(by_id)) == 97


def test_a_device_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    by_name = tmp_path / "front_camera"
    by_name.symlink_to("/dev/null")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SourceError, match="no permission for /dev/null, which the group video"):
        DeviceSource(str(by_name))
    assert capture_target("/dev/video3") == 3
    assert capture_target("12") == 12
