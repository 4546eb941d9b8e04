# SPDX-License-Identifier: Apache-2.0
"""One labelled frame, the only thing that datasets and the rest of training share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from depthlab_core.labels import CITYSCAPES, LabelSet


class DatasetError(Exception):
    """A dataset is missing, incomplete or malformed; the message names the file and a remedy."""


@dataclass(frozen=True)
class Sample:
    """A frame with all or part of the labels.

    Attributes:
        image: RGB, uint8 ``(H, W, 3)``.
        semantic: Category ids or ids of label groups, uint8 ``(H, W)``, 255 = unlabelled; None =
            this dataset has no semantic labels of its own (the panoptic map may still give them).
        panoptic: ``category_id * 1000 + instance_id``, int32 ``(H, W)``, -1 = unlabelled;
            instance 0 is stuff or a crowd of things. None = instances unknown.
        depth: Metres along Z, float32 ``(H, W)``, 0 = no measurement; None = unknown.
        focal_length: Horizontal focal length in pixels of ``image``; None = unknown.
        name: For messages and file names.
        instance_weight: How much the instance labels count; below 1 where they are only guesses.
        has_sparse_depth: Whether depth is that of single points, as LiDAR gives, with gaps between
            them that say nothing of the points beside.
    """

    image: npt.NDArray[np.uint8]
    semantic: npt.NDArray[np.uint8] | None
    panoptic: npt.NDArray[np.int32] | None
    depth: npt.NDArray[np.float32] | None
    focal_length: float | None
    name: str
    instance_weight: float = 1.0
    has_sparse_depth: bool = False


class SampleDataset(Protocol):
    """A map-style dataset."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""


def require_usable(sample: Sample) -> None:
    """See that labels have the image's size, and that the focal length is a length.

    Raises:
        DatasetError: If not, naming the frame.
    """
    size = sample.image.shape[:2]
    for kind in ("semantic", "panoptic", "depth"):
        labels = getattr(sample, kind)
        if labels is not None and labels.shape != size:
            raise DatasetError(
                f"{sample.name}: {kind}: got {labels.shape}, expected {size} as its image has"
            )
    if sample.focal_length is not None and not 0 < sample.focal_length < math.inf:
        raise DatasetError(
            f"{sample.name}: focal length: got {sample.focal_length}, expected a positive number "
            "of pixels"
        )


def require_comparable(sample: Sample, labels: LabelSet) -> None:
    """See that a frame's labels are of its size and of a model's classes.

    Args:
        sample: The frame.
        labels: Classes of the model.

    Raises:
        DatasetError: If they are not.
    """
    require_usable(sample)
    if (sample.semantic is not None or sample.panoptic is not None) and labels != CITYSCAPES:
        raise DatasetError(
            f"{sample.name}: labels of the model: got {labels.name!r}, expected "
            f"{CITYSCAPES.name!r}, which the truth has"
        )


def require_file(path: Path, dataset: str, remedy: str) -> Path:
    """Return ``path`` if it exists.

    Raises:
        DatasetError: If it does not, naming file and remedy.
    """
    if not path.exists():
        raise DatasetError(f"{dataset}: {path} does not exist. {remedy}")
    return path


def require_frames(
    frames: Sequence[Path], pattern: str, dataset: str, remedy: str
) -> Sequence[Path]:
    """Return ``frames`` if there is at least one.

    Raises:
        DatasetError: If there is none, naming what was looked for.
    """
    if not frames:
        raise DatasetError(f"{dataset}: no file matches {pattern}. {remedy}")
    return frames


def read_image(path: Path, dataset: str) -> npt.NDArray[np.uint8]:
    """Read a colour image as RGB, uint8 ``(H, W, 3)``.

    Raises:
        DatasetError: If the file is no image, or half of one.
    """
    content = path.read_bytes() if path.exists() else b""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None or _is_cut_off(content):
        raise DatasetError(f"{dataset}: {path} cannot be read as an image; fetch it again.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _is_cut_off(content: bytes) -> bool:
    """Say whether a JPEG lacks its end, which decoders fill with grey without a complaint."""
    # Compressed data never holds the end marker; some cameras write a little after it.
    return content.startswith(b"\xff\xd8") and b"\xff\xd9" not in content[-1024:]


def read_raw(path: Path, dataset: str) -> npt.NDArray[Any]:
    """Read an image file's values as they are, such as labels.

    Raises:
        DatasetError: If the file is no image.
    """
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise DatasetError(f"{dataset}: {path} cannot be read as an image; fetch it again.")
    return values


def read_uint16(path: Path, dataset: str) -> npt.NDArray[np.uint16]:
    """Read an image of one channel of 16 bits, such as disparity, ``(H, W)``.

    Raises:
        DatasetError: If the file is no image, or one of another kind, whose values would mean
            something else.
    """
    values = read_raw(path, dataset)
    if values.dtype != np.uint16 or values.ndim != 2:
        raise DatasetError(
            f"{dataset}: {path} is {values.dtype} {values.shape}, expected uint16 of one channel; "
            "fetch it again."
        )
    return values


def read_labels(path: Path, dataset: str) -> npt.NDArray[Any]:
    """Read label values, also of 32 bits or with a palette, which OpenCV turns into colours.

    Returns:
        Integers, ``(H, W)``.

    Raises:
        DatasetError: If the file is no image, a damaged one, or has several channels.
    """
    try:
        # Decoding does not look at a PNG's checksums and makes labels of what is damaged.
        with Image.open(path) as image:
            image.verify()
        with Image.open(path) as image:
            values = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"{dataset}: {path} cannot be read as an image; fetch it again."
        ) from error
    if values.ndim != 2:
        raise DatasetError(f"{dataset}: {path} has shape {values.shape}, expected one channel.")
    return values
