# SPDX-License-Identifier: Apache-2.0
"""What OpenCV captures: video files and cameras of this machine."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depthlab_ros.frame_source import DEFAULT_RATE, SourceError, SourceFrame

# Containers without a usable frame rate report 0, or the time base, which is a thousand and more.
HIGHEST_PLAUSIBLE_RATE = 500.0
# As many frames as V4L2 holds ready, where a camera does not say.
USUAL_BUFFERS = 4


class VideoSource:
    """A video file."""

    is_live = False
    has_truth = False

    def __init__(self, path: Path) -> None:
        # FFmpeg takes what stands before a colon, as in 12:30.mp4, for a protocol.
        self._path = str(path.absolute())
        capture = _open_capture(self._path, f"'{path}' as a video, image folder or bag")
        self.rate = _plausible_rate(capture)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count = count if count > 0 else None
        capture.release()

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the frames at their own times, which phones and screen recorders space unevenly.

        Where the file has none, such as a bare H.264 stream, frames come at ``rate``.
        """
        capture = cv2.VideoCapture(self._path)
        first = seconds = 0.0
        is_first = True
        try:
            while True:
                ok, bgr = capture.read()
                if not ok:
                    return
                own = float(capture.get(cv2.CAP_PROP_POS_MSEC)) * 1e-3
                if is_first:
                    first, is_first = own, False
                elif own - first > seconds:
                    seconds = own - first
                else:
                    seconds += 1.0 / self.rate
                yield SourceFrame(to_rgb(bgr), seconds)
        finally:
            capture.release()


class DeviceSource:
    """A camera of this machine, through Video4Linux or what else OpenCV has."""

    is_live = True
    has_truth = False
    frame_count = None

    def __init__(self, device: str) -> None:
        self._name = f"the camera device '{device}'"
        try:
            self._capture = _open_capture(capture_target(device), self._name)
        except SourceError as error:
            raise SourceError(f"{error}: {_obstacle(device)}") from None
        self.rate = _plausible_rate(self._capture)

    def frames(self) -> Iterator[SourceFrame]:
        """Yield frames as the camera delivers them, from now on, until it stops.

        Raises:
            SourceError: If the camera stops delivering.
        """
        self._let_go_of_old_frames()
        start: float | None = None
        while True:
            ok, bgr = self._capture.read()
            if not ok:
                raise SourceError(f"{self._name} stopped delivering frames")
            now = time.monotonic()
            start = now if start is None else start
            yield SourceFrame(to_rgb(bgr), time=now - start)

    def _let_go_of_old_frames(self) -> None:
        """Empty the camera's buffers, which were filled when it was opened, and not since."""
        buffers = int(self._capture.get(cv2.CAP_PROP_BUFFERSIZE))
        for _ in range(buffers if buffers > 0 else USUAL_BUFFERS):
            self._capture.grab()


def keep_decoders_quiet() -> None:
    """Have FFmpeg and OpenCV print nothing, unless the user has set how much; before any source.

    One line of our own says what cannot be read, where they would add pages.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV reads its variable while it is imported, which was before.
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def is_device(source: str) -> bool:
    """Return whether ``source`` names a camera device, which only one process can open.

    A number does, unless there is a file or folder of that name, such as 2024.
    """
    if re.fullmatch(r"/dev/video\d+", source):
        return True
    if source.isdecimal() and not os.path.exists(source):
        return True
    try:
        # udev's names, such as /dev/v4l/by-id/..., are links to /dev/videoN.
        return stat.S_ISCHR(os.stat(os.path.expanduser(source)).st_mode)
    except (OSError, ValueError):  # nothing is there, or can have such a name
        return False


def capture_target(device: str) -> int | str:
    """Return the number of a camera device, else, where its name has none, the path behind it."""
    if device.isdecimal():
        return int(device)
    path = os.path.realpath(os.path.expanduser(device))
    number = re.fullmatch(r"/dev/video(\d+)", path)
    return int(number.group(1)) if number else path


def to_rgb(bgr: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an image as OpenCV has it, BGR, in RGB."""
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _obstacle(device: str) -> str:
    """Return what most likely keeps a camera device from being read."""
    target = capture_target(device)
    path = f"/dev/video{target}" if isinstance(target, int) else target
    if not os.path.exists(path):
        return f"{path} does not exist"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"no permission for {path}, which the group video has on most systems"
    return f"{path} gives no images, or another program uses it"


def _open_capture(target: str | int, what: str) -> cv2.VideoCapture:
    """Open a capture and prove that it delivers by reading its first frame."""
    capture = cv2.VideoCapture(target)
    if not capture.isOpened() or not capture.read()[0]:
        capture.release()
        raise SourceError(f"cannot read {what}")
    return capture


def _plausible_rate(capture: cv2.VideoCapture) -> float:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0.0 < rate <= HIGHEST_PLAUSIBLE_RATE else DEFAULT_RATE
