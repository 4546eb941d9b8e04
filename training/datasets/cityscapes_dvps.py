# SPDX-License-Identifier: Apache-2.0
"""Cityscapes-DVPS: panoptic labels and depth for video (Qiao et al., ViP-DeepLab, CVPR 2021).

::

    video_sequence/SPLIT/NAME_leftImg8bit.png
    video_sequence/SPLIT/NAME_gtFine_instanceTrainIds.png  uint16 or int32, see below
    video_sequence/SPLIT/NAME_depth.png                    uint16, value / 256 m, 0 = hole

Labels are ``trainId * 1000 + instance``; 32 000 is void, crowds too. Instances of things count
from 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import CITYSCAPES, VOID
from training.datasets.sample import (
    DatasetError,
    Sample,
    read_image,
    read_labels,
    read_uint16,
    require_file,
    require_frames,
)

_NAME = "Cityscapes-DVPS"
_REMEDY = (
    "Download Cityscapes-DVPS as https://github.com/joe-siyuan-qiao/ViP-DeepLab describes; the "
    "root is the folder that holds video_sequence/."
)
_FOCAL_LENGTH_PER_WIDTH = 2262.52 / 2048
"""The data set has no calibration; Cityscapes' cameras differ from this by less than 1 %."""


class CityscapesDvps:
    """Cityscapes-DVPS as samples with panoptic labels and depth.

    Args:
        root: Folder with ``video_sequence``.
        split: ``train`` or ``val``.
        load_panoptic: Whether to read panoptic labels; they must exist then.
        load_depth: Whether to read depth; it must exist then.
    """

    def __init__(
        self, root: Path, split: str, *, load_panoptic: bool = True, load_depth: bool = True
    ) -> None:
        folder = require_file(Path(root) / "video_sequence" / split, _NAME, _REMEDY)
        images = sorted(folder.glob("*_leftImg8bit.png"))
        self._images = require_frames(images, f"{folder}/*_leftImg8bit.png", _NAME, _REMEDY)
        self._load_panoptic = load_panoptic
        self._load_depth = load_depth

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""
        path = self._images[index]
        stem = path.name.removesuffix("_leftImg8bit.png")
        image = read_image(path, _NAME)
        panoptic = depth = None
        if self._load_panoptic:
            panoptic = _read_panoptic(path.with_name(f"{stem}_gtFine_instanceTrainIds.png"))
        if self._load_depth:
            depth_path = require_file(path.with_name(f"{stem}_depth.png"), _NAME, _REMEDY)
            depth = read_uint16(depth_path, _NAME).astype(np.float32) / np.float32(256)
        return Sample(
            image=image,
            semantic=None,
            panoptic=panoptic,
            depth=depth,
            focal_length=_FOCAL_LENGTH_PER_WIDTH * image.shape[1],
            name=stem,
        )


def _read_panoptic(path: Path) -> npt.NDArray[np.int32]:
    values = read_labels(require_file(path, _NAME, _REMEDY), _NAME).astype(np.int32)
    category, instance = np.divmod(values, CITYSCAPES.label_divisor)
    is_thing = np.isin(category, CITYSCAPES.thing_ids)
    # Cityscapes' own files, and those that the first Cityscapes-VPS makes, have the bare trainId
    # of stuff and 255 as void: all of that would be road.
    bare = values[~is_thing & (category < len(CITYSCAPES)) & (instance != 0)]
    if bare.size:
        raise DatasetError(
            f"{_NAME}: {path}: got {bare[0]}, expected trainId * {CITYSCAPES.label_divisor} of "
            f"stuff, which has no instances. {_REMEDY}"
        )
    # 0 would be a crowd here.
    values[is_thing] += 1
    values[category >= len(CITYSCAPES)] = VOID
    return values
