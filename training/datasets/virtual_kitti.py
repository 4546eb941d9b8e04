# SPDX-License-Identifier: Apache-2.0
"""Virtual KITTI 2, rendered streets with exact labels (Cabon et al., 2020).

::

    Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg
    Scene01/clone/frames/depth/Camera_0/depth_00000.png                uint16, centimetres
    Scene01/clone/frames/classSegmentation/Camera_0/classgt_00000.png  RGB, a colour per class
    Scene01/clone/frames/instanceSegmentation/Camera_0/instancegt_00000.png  8-bit, trackID + 1
    Scene01/clone/intrinsic.txt                       frame cameraID fx fy cx cy, with a header

Its drives come in variations (clone, fog, 15-deg-left, ...), all of which are read. It publishes
no split: Scene02 is ``val``, the others are ``train``.
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

_NAME = "Virtual KITTI 2"
_REMEDY = (
    "Download vkitti_2.0.3 rgb, depth, classSegmentation, instanceSegmentation and textgt from "
    "https://europe.naverlabs.com/proxy-virtual-worlds-vkitti-2/ and unpack all into the same "
    "folder; the entries depth and panoptic of a dataset switch kinds of labels off."
)
_VALIDATION_SCENE = "Scene02"
_SKY_DEPTH = 65535
"""Centimetres at which the renderer cuts off: nothing was hit."""

CATEGORY_OF_COLOR = {
    (210, 0, 200): 9,  # Terrain
    (90, 200, 255): 10,  # Sky
    (0, 199, 0): 8,  # Tree
    (90, 240, 0): 8,  # Vegetation
    (140, 140, 140): 2,  # Building
    (100, 60, 100): 0,  # Road
    (255, 255, 0): 7,  # TrafficSign
    (200, 200, 0): 6,  # TrafficLight
    (255, 130, 0): 5,  # Pole
    (160, 60, 60): 14,  # Truck
    (255, 127, 80): 13,  # Car
    (0, 139, 139): 13,  # Van
}
"""Category ids of its classes' colours; GuardRail and Misc have no counterpart and are void."""


class VirtualKitti:
    """Virtual KITTI 2 as samples with panoptic labels and depth.

    Args:
        root: Folder with ``Scene01`` and so on.
        split: ``val`` (Scene02) or ``train`` (the other scenes).
        load_panoptic: Whether to read classes and instances; they must exist then.
        load_depth: Whether to read depth; it must exist then.
    """

    def __init__(
        self, root: Path, split: str, *, load_panoptic: bool = True, load_depth: bool = True
    ) -> None:
        if split not in ("train", "val"):
            raise DatasetError(f"{_NAME}: got split {split!r}, expected train or val.")
        root = require_file(Path(root), _NAME, _REMEDY)
        pattern = "Scene*/*/frames/rgb/Camera_*/rgb_*.jpg"
        images = [
            path
            for path in sorted(root.glob(pattern))
            if (path.relative_to(root).parts[0] == _VALIDATION_SCENE) == (split == "val")
        ]
        if split == "val":
            pattern = pattern.replace("Scene*", _VALIDATION_SCENE)
        self._images = require_frames(images, f"{root}/{pattern}", _NAME, _REMEDY)
        self._load_panoptic = load_panoptic
        self._load_depth = load_depth
        self._intrinsics: dict[Path, dict[tuple[int, int], float]] = {}

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""
        path = self._images[index]
        frame = path.stem.removeprefix("rgb_")
        camera, drive = path.parent.name, path.parents[3]
        frames = drive / "frames"
        panoptic = depth = None
        if self._load_panoptic:
            classes = frames / "classSegmentation" / camera / f"classgt_{frame}.png"
            instances = frames / "instanceSegmentation" / camera / f"instancegt_{frame}.png"
            panoptic = _read_panoptic(classes, instances)
        if self._load_depth:
            depth_path = frames / "depth" / camera / f"depth_{frame}.png"
            raw = read_uint16(require_file(depth_path, _NAME, _REMEDY), _NAME)
            depth = np.where(raw < _SKY_DEPTH, raw / np.float32(100), 0).astype(np.float32)
        name = f"{drive.parent.name}_{drive.name}_{camera}_{frame}"
        if drive not in self._intrinsics:
            self._intrinsics[drive] = _read_intrinsics(drive / "intrinsic.txt")
        intrinsics = self._intrinsics[drive]
        key = (int(frame), int(camera.removeprefix("Camera_")))
        if key not in intrinsics:
            raise DatasetError(
                f"{_NAME}: {drive / 'intrinsic.txt'} has no line for frame {key[0]} of camera "
                f"{key[1]}. {_REMEDY}"
            )
        return Sample(
            image=read_image(path, _NAME),
            semantic=None,
            panoptic=panoptic,
            depth=depth,
            focal_length=intrinsics[key],
            name=name,
        )


def _read_panoptic(classes: Path, instances: Path) -> npt.NDArray[np.int32]:
    color = read_image(require_file(classes, _NAME, _REMEDY), _NAME).astype(np.int32)
    track = read_labels(require_file(instances, _NAME, _REMEDY), _NAME).astype(np.int32)
    code = color @ np.array([65536, 256, 1], dtype=np.int32)
    if track.shape != code.shape:
        raise DatasetError(
            f"{_NAME}: {instances}: got {track.shape}, expected {code.shape} as its classes have"
        )
    panoptic = np.full(code.shape, VOID, dtype=np.int32)
    for (red, green, blue), category_id in CATEGORY_OF_COLOR.items():
        mask = code == (red << 16) + (green << 8) + blue
        is_thing = category_id in CITYSCAPES.thing_ids
        instance = track[mask] if is_thing else 0
        panoptic[mask] = category_id * CITYSCAPES.label_divisor + instance
    return panoptic


def _read_intrinsics(path: Path) -> dict[tuple[int, int], float]:
    """Return the focal length by frame and camera."""
    text = require_file(path, _NAME, _REMEDY).read_text(encoding="utf-8")
    try:
        rows = [line.split() for line in text.splitlines()[1:] if line.strip()]
        return {(int(row[0]), int(row[1])): float(row[2]) for row in rows}
    except (IndexError, ValueError) as error:
        raise DatasetError(f"{_NAME}: {path} is damaged ({error!r}). {_REMEDY}") from error
