# SPDX-License-Identifier: Apache-2.0
"""Real footage without labels: a video, or a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.datasets.sample import DatasetError, Sample, read_image, require_file

_NAME = "footage"
_FOLDER_RATE = 10.0
_ENDINGS = (".jpg", ".jpeg", ".png")


class Footage:
    """Every so many frames of footage, without labels; read at once and kept in memory.

    Args:
        path: A video, or a folder of images.
        every: 1 takes every frame, 5 every fifth.

    Raises:
        DatasetError: If there is no frame to be read.
    """

    def __init__(self, path: Path, every: int = 1) -> None:
        self._name = path.name
        self._every = every
        self._images = [
            image for number, (image, _) in enumerate(read_footage(path)) if number % every == 0
        ]

    def __len__(self) -> int:
        """Return the number of frames taken."""
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Return frame ``index`` of those taken."""
        name = f"{self._name}_{index * self._every:06d}"
        return Sample(self._images[index], None, None, None, None, name)


def read_footage(path: Path) -> Iterator[tuple[npt.NDArray[np.uint8], float]]:
    """Yield the frames of a video, or of a folder's images in the order of their names.

    Yields:
        RGB, uint8 ``(H, W, 3)``, and the time in seconds; a folder's frames are 0.1 s apart.

    Raises:
        DatasetError: If there is no frame to be read.
    """
    remedy = "Name a video or a folder of images."
    require_file(path, _NAME, remedy)
    images: Iterator[npt.NDArray[np.uint8]]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _ENDINGS)
        images, rate = (read_image(file, _NAME) for file in files), _FOLDER_RATE
    else:
        capture = cv2.VideoCapture(str(path))
        images, rate = _frames_of(capture), capture.get(cv2.CAP_PROP_FPS) or _FOLDER_RATE
    number = -1
    for number, image in enumerate(images):
        yield image, number / rate
    if number < 0:
        raise DatasetError(f"{_NAME}: {path} holds no frame that can be read. {remedy}")


def _frames_of(capture: cv2.VideoCapture) -> Iterator[npt.NDArray[np.uint8]]:
    while True:
        image: npt.NDArray[Any] | None = capture.read()[1]
        if image is None:
            return
        yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
