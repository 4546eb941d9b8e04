# SPDX-License-Identifier: Apache-2.0
"""KITTI's 200 training frames of 2015: stereo and semantics (Menze 2015, Alhaija 2018).

::

    training/image_2/000000_10.png
    training/disp_occ_0/000000_10.png         uint16, value / 256 px, 0 = hole   (data_scene_flow)
    training/calib_cam_to_cam/000000.txt      P_rect_02, P_rect_03         (data_scene_flow_calib)
    training/instance/000000_10.png           uint16, labelId * 256 + instance    (data_semantics)

Disparity or labels may be absent as a whole. KITTI publishes no split: every fifth
frame is ``val``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import CITYSCAPES, VOID
from training.datasets.kitti_calibration import read_calibration, stereo_of_color_cameras
from training.datasets.sample import (
    DatasetError,
    Sample,
    read_image,
    read_uint16,
    require_file,
    require_frames,
)
from training.streets.classes import LABEL_IDS

_NAME = "KITTI 2015"
_REMEDY = (
    "Download data_scene_flow.zip and data_scene_flow_calib.zip (disparity) and "
    "data_semantics.zip (labels) from https://www.cvlibs.net/datasets/kitti/ and unpack all into "
    "the same folder; the entries depth and panoptic of a dataset switch kinds of labels off."
)
_FOLD = 5
_CATEGORY_OF_LABEL_ID = np.full(256, VOID, dtype=np.int32)
_CATEGORY_OF_LABEL_ID[list(LABEL_IDS.values())] = [int(train_id) for train_id in LABEL_IDS]


class Kitti2015:
    """KITTI 2015 as samples with panoptic labels and depth of stereo ground truth.

    Args:
        root: Folder with ``training``.
        split: ``val`` (every fifth frame), ``train`` (the others) or ``training`` (all).
        load_panoptic: Whether to read instances; they must exist then.
        load_depth: Whether to read disparity and calibration; they must exist then.
    """

    def __init__(
        self, root: Path, split: str, *, load_panoptic: bool = True, load_depth: bool = True
    ) -> None:
        if split not in ("train", "val", "training"):
            raise DatasetError(f"{_NAME}: got split {split!r}, expected train, val or training.")
        self._root = require_file(Path(root) / "training", _NAME, _REMEDY)
        folder = require_file(self._root / "image_2", _NAME, _REMEDY)
        # Frame 11 is the next moment, for scene flow; only frame 10 has labels.
        every = require_frames(
            sorted(folder.glob("*_10.png")), f"{folder}/*_10.png", _NAME, _REMEDY
        )
        self._images = [
            path
            for number, path in enumerate(every)
            if split == "training" or (number % _FOLD == 0) == (split == "val")
        ]
        needed = [("instance", load_panoptic), ("disp_occ_0", load_depth)]
        for name, is_needed in (*needed, ("calib_cam_to_cam", load_depth)):
            if is_needed:
                require_file(self._root / name, _NAME, _REMEDY)
        self._load_panoptic = load_panoptic
        self._load_depth = load_depth

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""
        path = self._images[index]
        depth, focal_length = None, None
        calibration = self._root / "calib_cam_to_cam" / f"{path.stem[:6]}.txt"
        if self._load_depth or calibration.exists():
            entries = read_calibration(calibration, _NAME, _REMEDY)
            focal_length, baseline = stereo_of_color_cameras(entries, calibration, _NAME)
            if self._load_depth:
                depth = self._read_depth(path.name, focal_length * baseline)
        return Sample(
            image=read_image(path, _NAME),
            semantic=None,
            panoptic=self._read_panoptic(path.name) if self._load_panoptic else None,
            depth=depth,
            focal_length=focal_length,
            name=path.stem,
            # Dense on cars, whose models it comes from, LiDAR's points elsewhere.
            has_sparse_depth=True,
        )

    def _read_depth(self, name: str, focal_times_baseline: float) -> npt.NDArray[np.float32]:
        raw = read_uint16(require_file(self._root / "disp_occ_0" / name, _NAME, _REMEDY), _NAME)
        disparity: npt.NDArray[np.float32] = raw.astype(np.float32) / np.float32(256)
        depth = np.zeros_like(disparity)
        np.divide(np.float32(focal_times_baseline), disparity, out=depth, where=disparity > 0)
        return depth

    def _read_panoptic(self, name: str) -> npt.NDArray[np.int32]:
        raw = read_uint16(require_file(self._root / "instance" / name, _NAME, _REMEDY), _NAME)
        category: npt.NDArray[np.int32] = _CATEGORY_OF_LABEL_ID[raw // 256]
        # Things of instance 0 are groups that nobody told apart: crowds here too.
        instance = np.where(np.isin(category, CITYSCAPES.thing_ids), raw % 256, 0)
        panoptic = (category * CITYSCAPES.label_divisor + instance).astype(np.int32)
        panoptic[category == VOID] = VOID
        return panoptic
