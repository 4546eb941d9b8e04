# SPDX-License-Identifier: Apache-2.0
"""Images are paired with calibrations by stamp, with and without ``message_filters``."""

from __future__ import annotations

import threading

import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from depthlab_ros.calibration_buffer import (
    HAS_MESSAGE_FILTERS,
    CalibrationBuffer,
    FiltersCache,
    PlainCache,
)
from depthlab_ros.conversions import stamp_from_ns

FILTERS = pytest.param(
    FiltersCache,
    marks=pytest.mark.skipif(
        not HAS_MESSAGE_FILTERS, reason="ROS's message_filters is not installed"
    ),
)
pytestmark = pytest.mark.parametrize("cache", [PlainCache, FILTERS])


def info(stamp_ns: int, focal_length: float) -> CameraInfo:
    k = [focal_length, 0.0, 3.5, 0.0, focal_length, 3.5, 0.0, 0.0, 1.0]
    return CameraInfo(header=Header(stamp=stamp_from_ns(stamp_ns)), width=8, height=8, k=k)


def focal_length(buffer: CalibrationBuffer, stamp_ns: int) -> float:
    return buffer.find(stamp_ns).focal_length


def test_same_stamp_comes_before_the_last_one(cache):
    buffer = CalibrationBuffer(size=2, make_cache=cache)
    assert buffer.find(1) is None
    buffer.add(info(1, 10.0))
    buffer.add(info(2, 20.0))
    assert focal_length(buffer, 1) == 10.0
    assert focal_length(buffer, 5) == 20.0
    buffer.add(info(3, 30.0))
    assert focal_length(buffer, 1) == 30.0  # its own had to make room


def test_last_word_on_a_stamp_holds(cache):
    buffer = CalibrationBuffer(make_cache=cache)
    for value in (10.0, 20.0):
        buffer.add(info(7, value))
    assert focal_length(buffer, 7) == 20.0


def test_one_that_was_published_once_stands_in_for_ever(cache):
    buffer = CalibrationBuffer(make_cache=cache)
    buffer.add(info(1, 10.0))
    assert all(focal_length(buffer, stamp) == 10.0 for stamp in range(10**9, 10**12, 10**10))


def test_a_negative_stamp_is_no_error(cache):
    buffer = CalibrationBuffer(make_cache=cache)
    buffer.add(info(1, 10.0))
    buffer.add(info(-7, 20.0))
    assert [focal_length(buffer, stamp) for stamp in (1, -7, -8)] == [10.0, 20.0, 20.0]


def test_late_one_is_found_by_the_image_that_waits(cache):
    buffer = CalibrationBuffer(make_cache=cache)
    buffer.add(info(1, 10.0))
    assert focal_length(buffer, 2) == 10.0
    buffer.add(info(2, 20.0))
    assert focal_length(buffer, 2) == 20.0


def test_recording_that_began_again_pairs_on(cache):
    # A synchroniser drops the oldest stamps first, and with them all that comes after a jump back.
    buffer = CalibrationBuffer(size=3, make_cache=cache)
    for stamp in (100, 101, 102, 1, 2, 3, 4):
        if stamp == 1:
            buffer.forget_all_but_last()
            assert focal_length(buffer, 100) == 102.0
        buffer.add(info(stamp, float(stamp)))
        assert focal_length(buffer, stamp) == float(stamp)
    assert [focal_length(buffer, stamp) for stamp in (2, 3, 4)] == [2.0, 3.0, 4.0]
    assert focal_length(buffer, 102) == 4.0


def test_threads_see_no_torn_pairs(cache):
    buffer = CalibrationBuffer(size=2, make_cache=cache)
    buffer.add(info(1, 1.0))
    ended = threading.Event()

    def fill() -> None:
        for stamp in range(2, 2000):
            buffer.add(info(stamp, float(stamp)))
        ended.set()

    thread = threading.Thread(target=fill)
    thread.start()
    last = 1.0
    while not ended.is_set():
        seen = focal_length(buffer, int(last))
        assert seen >= last
        last = focal_length(buffer, 10**12)
    thread.join()
    assert focal_length(buffer, 1999) == 1999.0
