# SPDX-License-Identifier: Apache-2.0
"""Where the camera player takes its frames from, whatever it is; image folders are read here.

Videos and cameras are in ``captures``, bags in ``bag_source``.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depthlab_ros.captures import DeviceSource, VideoSource, is_device, to_rgb
from depthlab_ros.frame_source import (
    DEFAULT_RATE,
    FrameSource,
    Leniency,
    SourceError,
    SourceFrame,
    Warn,
)

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_log = logging.getLogger(__name__)
BUNDLED = {"drive": Path(__file__).parent / "sample_drive"}
"""Recordings that come with the package, by name."""


class FolderSource:
    """The images of a folder, in natural order of their names (2 before 10).

    Args:
        folder: Where they lie.
        warn: Told of each image that is left out, in one line.

    Raises:
        SourceError: If there is none.
    """

    is_live = False
    has_truth = False
    rate = DEFAULT_RATE

    def __init__(self, folder: Path, warn: Warn) -> None:
        self._warn = warn
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
        """Yield the images, but for those that cannot be read, such as one that is cut short.

        Raises:
            SourceError: If none can be read.
        """
        leniency = Leniency(self._warn)
        for index, path in enumerate(self._paths):
            bgr = _read_image(path)
            if bgr is None:
                leniency.on_problem(f"cannot read the image '{path}', damaged or cut short")
            else:
                leniency.on_image()
                yield SourceFrame(to_rgb(bgr), time=index / self.rate)
        leniency.on_end()


def open_source(
    source: str,
    *,
    bag_topic: str = "",
    warn: Warn = _log.warning,
) -> FrameSource:
    """Open whatever ``source`` names.

    Args:
        source: Path of a video, an image folder or a rosbag2 (folder, ``.mcap`` or ``.db3``), a
            camera device: ``/dev/video0``, its number or a link to it, or the name of a
            ``BUNDLED`` recording.
        bag_topic: Image topic of a bag; empty = the first one in it that is not depth.
        warn: Told, while the source is played, of each image that is left out, in one line.

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

        return BagSource(path, bag_topic, warn)
    if path.is_dir():
        return FolderSource(path, warn)
    if path.suffix == ".zstd":
        raise SourceError(
            f"got '{source}', which is compressed, expected the folder of its bag, with "
            "metadata.yaml"
        )
    if path.suffix == ".bag":
        convert = ["rosbags-convert", "--src", f"{path}", "--dst", f"{path.with_suffix('')}"]
        command = shlex.join([*convert, "--dst-typestore", "ros2_jazzy"])
        raise SourceError(f"got '{source}', a bag of ROS 1, expected a rosbag2: {command}")
    return VideoSource(path)


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key in which runs of digits count as numbers."""
    parts = re.findall(r"\d+|\D+", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _read_image(path: Path) -> NDArray[Any] | None:
    """Return an image as BGR, ``None`` if it cannot be read as a whole."""
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError:
        return None
    # Not imread, which fills what is missing of a JPEG with grey.
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
