# SPDX-License-Identifier: Apache-2.0
"""Pairs images with calibrations by stamp, by ``message_filters`` where ROS has it.

``docs/adr/0016-message-filters-and-cv-bridge.md`` says why by its ``Cache``, not a synchroniser.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from builtin_interfaces.msg import Time as StampMsg
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo

from depthlab_ros.camera_model import CameraModel
from depthlab_ros.conversions import camera_model_from_msg, stamp_from_ns

try:
    from message_filters import Cache, SimpleFilter
except ImportError:
    HAS_MESSAGE_FILTERS = False
else:
    HAS_MESSAGE_FILTERS = True


class StampCache(Protocol):
    """The last few messages, in the order in which they came."""

    def add(self, msg: CameraInfo) -> None:
        """Keep a message; the one that came first makes room."""

    def at(self, stamp: StampMsg) -> CameraInfo | None:
        """Return the newest message of exactly that stamp."""


class FiltersCache:
    """A ``StampCache`` by ``message_filters.Cache``."""

    def __init__(self, size: int) -> None:
        self._input = SimpleFilter()
        self._cache = Cache(self._input, cache_size=size)

    def add(self, msg: CameraInfo) -> None:
        """Keep a message, unless its stamp is negative."""
        # rclpy's Time cannot be, and what it raises in a callback would end the node.
        if msg.header.stamp.sec >= 0:
            self._input.signalMessage(msg)

    def at(self, stamp: StampMsg) -> CameraInfo | None:
        """Return the newest message of exactly that stamp."""
        if stamp.sec < 0:
            return None
        time = Time.from_msg(stamp)
        same = self._cache.getInterval(time, time)
        return same[-1] if same else None


class PlainCache:
    """A ``StampCache`` where ``message_filters`` is not installed."""

    def __init__(self, size: int) -> None:
        self._msgs: deque[CameraInfo] = deque(maxlen=size)

    def add(self, msg: CameraInfo) -> None:
        """Keep a message."""
        self._msgs.append(msg)

    def at(self, stamp: StampMsg) -> CameraInfo | None:
        """Return the newest message of exactly that stamp."""
        return next((msg for msg in reversed(self._msgs) if msg.header.stamp == stamp), None)


class CalibrationBuffer:
    """The calibrations of the last moments; safe to use from several threads.

    Most cameras publish the same calibration again and again, and some only once, so when the one
    of an image's own stamp is not there (yet), the one that came last stands in.

    Args:
        size: How many are kept.
        make_cache: Makes an empty cache of a size.
    """

    def __init__(
        self, size: int = 30, make_cache: Callable[[int], StampCache] | None = None
    ) -> None:
        self._size = size
        self._make_cache = make_cache or (FiltersCache if HAS_MESSAGE_FILTERS else PlainCache)
        self._lock = threading.Lock()
        self._cache = self._make_cache(size)
        self._last: CameraInfo | None = None

    def add(self, msg: CameraInfo) -> None:
        """Remember a calibration for images of its stamp."""
        with self._lock:
            self._cache.add(msg)
            self._last = msg

    def forget_all_but_last(self) -> None:
        """Forget those of a time that is over; the last one goes on standing in."""
        with self._lock:
            self._cache = self._make_cache(self._size)
            if self._last is not None:
                self._cache.add(self._last)

    def find(self, stamp_ns: int) -> CameraModel | None:
        """Return the calibration of a stamp (nanoseconds), else the last one, else ``None``."""
        with self._lock:
            msg = self._cache.at(stamp_from_ns(stamp_ns)) or self._last
        return None if msg is None else camera_model_from_msg(msg)
