# SPDX-License-Identifier: Apache-2.0
"""Where the camera player takes its frames from: video file, image folder or camera device.

Bags are in ``bag_source``; ``player`` opens any of them by ``open_source``.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from depthlab_ros.camera_model import CameraModel
from depthlab_ros.truth import Truth

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
DEFAULT_RATE = 10.0
# Containers without a usable frame rate report 0, or the time base, which is a thousand and more.
HIGHEST_PLAUSIBLE_RATE = 500.0
BUNDLED = {"drive": Path(__file__).parent / "sample_drive"}
"""Recordings that come with the package, by name."""


class SourceError(Exception):
    """A source that is missing, unreadable or without images; one line for the user."""


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a source.

    Attributes:
        image: RGB, uint8 ``(H, W, 3)``.
        time: Seconds since the first frame of this pass.
        stamp_ns: Recorded header stamp in nanoseconds, ``None`` if the source has none.
        frame_id: Recorded header frame, ``None`` if the source has none.
        camera: Recorded calibration, ``None`` if the source has none.
        truth: Ground truth of the image, ``None`` if the source has none.
    """

    image: NDArray[np.uint8]
    time: float
    stamp_ns: int | None = None
    frame_id: str | None = None
    camera: CameraModel | None = None
    truth: Truth | None = None


class FrameSource(Protocol):
    """Something that can be played."""

    @property
    def rate(self) -> float:
        """Frames per second of its own."""

    @property
    def is_live(self) -> bool:
        """Whether frames come when they come, so that playing must not wait between them."""

    @property
    def frame_count(self) -> int | None:
        """Frames of one pass, as far as the source says; ``None`` = unknown."""

    @property
    def has_truth(self) -> bool:
        """Whether the frames come with ground truth."""

    def frames(self) -> Iterator[SourceFrame]:
        """Yield every frame once, from the first on; a new call starts again."""


class VideoSource:
    """A video file."""

    is_live = False
    has_truth = False

    def __init__(self, path: Path) -> None:
        self._path = path
        capture, _ = _open_capture(str(path), f"'{path}' as a video, image folder or bag")
        self.rate = _plausible_rate(capture)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count = count if count > 0 else None
        capture.release()

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the frames at their own times, which phones and screen recorders space unevenly.

        Where the file has none, such as a bare H.264 stream, frames come at ``rate``.
        """
        capture = cv2.VideoCapture(str(self._path))
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
                yield SourceFrame(_to_rgb(bgr), seconds)
        finally:
            capture.release()


class FolderSource:
    """The images of a folder, in natural order of their names (2 before 10)."""

    is_live = False
    has_truth = False
    rate = DEFAULT_RATE

    def __init__(self, folder: Path) -> None:
        # Hidden files, such as macOS's ._1.jpg beside 1.jpg, are no images, whatever their names.
        paths = (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
        self._paths = sorted(paths, key=lambda path: _natural_order(path.name))
        if not self._paths:
            raise SourceError(
                f"got '{folder}' without images, expected {', '.join(sorted(IMAGE_SUFFIXES))}, "
                "or a bag with metadata.yaml"
            )

        self.frame_count = len(self._paths)

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the images.

        Raises:
            SourceError: At an image that cannot be read.
        """
        for index, path in enumerate(self._paths):
            bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if bgr is None:
                raise SourceError(f"cannot read the image '{path}'")
            yield SourceFrame(_to_rgb(bgr), time=index / self.rate)


class DeviceSource:
    """A camera of this machine, through Video4Linux or what else OpenCV has."""

    is_live = True
    has_truth = False
    frame_count = None

    def __init__(self, device: str) -> None:
        self._name = f"the camera device '{device}'"
        try:
            self._capture, self._first = _open_capture(capture_target(device), self._name)
        except SourceError as error:
            raise SourceError(f"{error}: {_obstacle(device)}") from None
        self.rate = _plausible_rate(self._capture)

    def frames(self) -> Iterator[SourceFrame]:
        """Yield frames as the camera delivers them, until it stops.

        Raises:
            SourceError: If the camera stops delivering.
        """
        start = time.monotonic()
        yield SourceFrame(_to_rgb(self._first), time=0.0)
        while True:
            ok, bgr = self._capture.read()
            if not ok:
                raise SourceError(f"{self._name} stopped delivering frames")
            yield SourceFrame(_to_rgb(bgr), time=time.monotonic() - start)


def keep_decoders_quiet() -> None:
    """Have FFmpeg and OpenCV print nothing, unless the user has set how much; before any source.

    One line of our own says what cannot be read, where they would add pages.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV reads its variable while it is imported, which was before.
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def is_device(source: str) -> bool:
    """Return whether ``source`` names a camera device, which only one process can open."""
    if re.fullmatch(r"\d+|/dev/video\d+", source):
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


def open_source(source: str, *, bag_topic: str = "") -> FrameSource:
    """Open whatever ``source`` names.

    Args:
        source: Path of a video, an image folder or a rosbag2 (folder, ``.mcap`` or ``.db3``), a
            camera device: ``/dev/video0``, its number or a link to it, or the name of a
            ``BUNDLED`` recording.
        bag_topic: Image topic of a bag; empty = the first one in it that is not depth.

    Raises:
        SourceError: If it does not exist or holds no readable image.
    """
    if not source:
        raise SourceError(
            "got no source, expected a video, image folder, rosbag2, camera device or "
            f"{', '.join(BUNDLED)}"
        )
    if is_device(source):
        return DeviceSource(source)
    # By os.path: pathlib raises for a user or a name that cannot be, and where it may not look.
    path = Path(os.path.expanduser(source))
    if not os.path.exists(path):
        if source not in BUNDLED:
            raise SourceError(f"got '{source}', which does not exist")
        path = BUNDLED[source]
    if not os.access(path, os.R_OK):
        raise SourceError(f"got '{source}', which may not be read")
    if path.suffix in (".mcap", ".db3") or os.path.isfile(path / "metadata.yaml"):
        # Only here, so that playing a video needs no bag library.
        from depthlab_ros.bag_source import BagSource

        return BagSource(path, bag_topic)
    if path.is_dir():
        return FolderSource(path)
    return VideoSource(path)


def _obstacle(device: str) -> str:
    """Return what most likely keeps a camera device from being read."""
    target = capture_target(device)
    path = f"/dev/video{target}" if isinstance(target, int) else target
    if not os.path.exists(path):
        return f"{path} does not exist"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"no permission for {path}, which the group video has on most systems"
    return f"{path} gives no images, or another program uses it"


def _open_capture(target: str | int, what: str) -> tuple[cv2.VideoCapture, NDArray[Any]]:
    """Open a capture and prove that it delivers by reading its first frame."""
    capture = cv2.VideoCapture(target)
    ok, frame = capture.read() if capture.isOpened() else (False, None)
    if not ok or frame is None:
        capture.release()
        raise SourceError(f"cannot read {what}")
    return capture, frame


def _plausible_rate(capture: cv2.VideoCapture) -> float:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0.0 < rate <= HIGHEST_PLAUSIBLE_RATE else DEFAULT_RATE


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key in which runs of digits count as numbers."""
    parts = re.findall(r"\d+|\D+", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _to_rgb(bgr: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
