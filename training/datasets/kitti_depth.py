# SPDX-License-Identifier: Apache-2.0
"""KITTI's depth benchmark: raw drives with accumulated LiDAR depth (Uhrig et al., 3DV 2017).

::

    SPLIT/DRIVE/proj_depth/groundtruth/image_02/0000000005.png   uint16, value / 256 m, 0 = hole
    DATE/DRIVE/image_02/data/0000000005.png                      (.jpg is read too)
    DATE/calib_cam_to_cam.txt

``SPLIT`` is ``train`` or ``val`` of data_depth_annotated, the rest are the raw drives; a DRIVE is
``2011_09_26_drive_0001_sync``, its DATE the first ten letters. Both colour cameras are read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.datasets.kitti_calibration import focal_length_of, read_calibration
from training.datasets.sample import (
    Sample,
    read_image,
    read_uint16,
    require_file,
    require_frames,
)

_NAME = "KITTI depth"
_REMEDY = (
    "Download data_depth_annotated.zip (https://www.cvlibs.net/datasets/kitti/eval_depth.php) and "
    "the raw drives with their calibration (raw_data_downloader.sh on the same site) and unpack "
    "all into the same folder."
)


class KittiDepth:
    """KITTI's annotated depth as samples without other labels.

    Args:
        root: Folder with ``train``, ``val`` and the dates of the raw drives.
        split: ``train`` or ``val``.
    """

    def __init__(self, root: Path, split: str) -> None:
        self._root = Path(root)
        folder = require_file(self._root / split, _NAME, _REMEDY)
        pattern = "*/proj_depth/groundtruth/image_0[23]/*.png"
        self._depths = require_frames(
            sorted(folder.glob(pattern)), f"{folder}/{pattern}", _NAME, _REMEDY
        )

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._depths)

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""
        path = self._depths[index]
        camera, drive = path.parent.name, path.parents[3].name
        date = self._root / drive[:10]
        image_path = date / drive / camera / "data" / path.name
        if not image_path.with_suffix(".jpg").exists():
            require_file(image_path, _NAME, _REMEDY)
        else:
            image_path = image_path.with_suffix(".jpg")
        calibration = date / "calib_cam_to_cam.txt"
        entries = read_calibration(calibration, _NAME, _REMEDY)
        return Sample(
            image=read_image(image_path, _NAME),
            semantic=None,
            panoptic=None,
            depth=read_uint16(path, _NAME).astype(np.float32) / np.float32(256),
            focal_length=focal_length_of(entries, camera[-2:], calibration, _NAME),
            name=f"{drive}_{camera}_{path.stem}",
            has_sparse_depth=True,
        )
