# SPDX-License-Identifier: Apache-2.0
"""Folders in Cityscapes' layout: Cityscapes itself, and generated streets.

::

    leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png            (.jpg is read too)
    gtFine/cityscapes_panoptic_SPLIT.json                  (cityscapesscripts createPanopticImgs)
    gtFine/cityscapes_panoptic_SPLIT/NAME_gtFine_panoptic.png
    disparity/SPLIT/CITY/NAME_disparity.png                uint16, (value - 1) / 256 px, 0 = hole
    depth/SPLIT/CITY/NAME_depth.png                        uint16, value / 256 m, 0 = hole
    camera/SPLIT/CITY/NAME_camera.json                     {"intrinsic": {"fx": pixels},
                                                            "extrinsic": {"baseline": metres}}

Each of panoptic, disparity, depth may be absent as a whole. Depth is preferred to disparity, which
alone needs the baseline.
Where panoptic labels are read, images that the JSON does not list are left out: drawing streets
lists a town's frames once all of them are whole.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import CITYSCAPES, LabelSet
from training.datasets.sample import (
    DatasetError,
    Sample,
    read_image,
    read_uint16,
    require_file,
    require_frames,
)

_NAME = "Cityscapes layout"
_STREETS_REMEDY = (
    "generated streets come from python -m training.streets.render, whose --resume completes them."
)
_IMAGE_REMEDY = (
    "Cityscapes (leftImg8bit_trainvaltest, disparity_trainvaltest, camera_trainvaltest) can be "
    f"downloaded after registration at https://www.cityscapes-dataset.com; {_STREETS_REMEDY}"
)
_PANOPTIC_REMEDY = (
    "Of Cityscapes, download gtFine_trainvaltest and run cityscapesscripts' csCreatePanopticImgs "
    f"on it; {_STREETS_REMEDY}"
)

logger = logging.getLogger("training")


class CityscapesLayout:
    """Samples from folders in Cityscapes' layout.

    Args:
        root: Folder with ``leftImg8bit``.
        split: ``train``, ``val`` or another folder of it.
        labels: Classes, matched by name with those of the panoptic JSON.
        load_panoptic: Whether to read panoptic labels; they must exist then.
        load_depth: Whether to read depth or disparity; one must exist then.

    Raises:
        DatasetError: If a folder or the index of panoptic labels is missing or damaged, or no
            image is left.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        *,
        labels: LabelSet = CITYSCAPES,
        load_panoptic: bool = True,
        load_depth: bool = True,
    ) -> None:
        self._root = require_file(Path(root), _NAME, _IMAGE_REMEDY)
        self._split = split
        self._labels = labels
        folder = require_file(self._root / "leftImg8bit" / split, _NAME, _IMAGE_REMEDY)
        images = sorted(
            path for path in folder.glob("*/*_leftImg8bit.*") if path.suffix in (".png", ".jpg")
        )
        self._images = require_frames(
            images, f"{folder}/*/*_leftImg8bit.png", _NAME, _IMAGE_REMEDY
        )
        self._depth_kind = None
        if load_depth:
            self._depth_kind = "depth" if (self._root / "depth" / split).exists() else "disparity"
            require_file(self._root / self._depth_kind / split, _NAME, _IMAGE_REMEDY)
        self._segments: dict[str, list[dict[str, int]]] | None = None
        self._category_of: dict[int, int] = {}
        if load_panoptic:
            self._read_panoptic_index()
            self._images = self._listed(folder)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""
        path = self._images[index]
        name = _frame_name(path)
        city = path.parent.name
        camera = self._read_camera(city, name)
        return Sample(
            image=read_image(path, _NAME),
            semantic=None,
            panoptic=None if self._segments is None else self._read_panoptic(name),
            depth=None if self._depth_kind is None else self._read_depth(city, name, camera),
            focal_length=None if camera is None else float(camera["intrinsic"]["fx"]),
            name=name,
        )

    def classes(self, index: int) -> frozenset[int]:
        """Return the classes of frame ``index``, without reading it."""
        if self._segments is None:
            return frozenset()
        segments = self._segments[_panoptic_file(_frame_name(self._images[index]))]
        categories = {segment["category_id"] for segment in segments}
        return frozenset(self._category_of[c] for c in categories if c in self._category_of)

    def _read_panoptic_index(self) -> None:
        path = self._root / "gtFine" / f"cityscapes_panoptic_{self._split}.json"
        require_file(path, _NAME, _PANOPTIC_REMEDY)
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            own_ids = {category.name: category.id for category in self._labels.categories}
            self._category_of = {
                int(category["id"]): own_ids[category["name"]]
                for category in index["categories"]
                if category["name"] in own_ids
            }
            self._segments = {
                annotation["file_name"]: [
                    {key: int(segment[key]) for key in ("id", "category_id", "iscrowd")}
                    for segment in annotation["segments_info"]
                ]
                for annotation in index["annotations"]
            }
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{_NAME}: {path} is damaged ({error!r}). {_PANOPTIC_REMEDY}"
            ) from error

        if not self._category_of:
            names = ", ".join(str(category["name"]) for category in index["categories"])
            raise DatasetError(
                f"{_NAME}: {path}: got the classes {names or 'none'}, expected some of those of "
                f"{self._labels.name} ({', '.join(own_ids)})."
            )

    def _listed(self, folder: Path) -> list[Path]:
        assert self._segments is not None
        listed = [
            path for path in self._images if _panoptic_file(_frame_name(path)) in self._segments
        ]
        left_out = (
            f"{len(self._images) - len(listed)} of {len(self._images)} images in {folder} are not "
            "in its index and are left out"
        )
        if not listed:
            raise DatasetError(f"{_NAME}: {left_out}. {_PANOPTIC_REMEDY}")
        if len(listed) < len(self._images):
            logger.warning("%s", left_out)
        return listed

    def _read_panoptic(self, name: str) -> npt.NDArray[np.int32]:
        assert self._segments is not None
        file_name = _panoptic_file(name)
        folder = self._root / "gtFine" / f"cityscapes_panoptic_{self._split}"
        path = require_file(folder / file_name, _NAME, _PANOPTIC_REMEDY)
        color = read_image(path, _NAME).astype(np.int32)
        ids = color @ np.array([1, 256, 65536], dtype=np.int32)

        divisor = self._labels.label_divisor
        counter: dict[int, int] = {}
        lookup: dict[int, int] = {}
        for segment in self._segments[file_name]:
            category_id = self._category_of.get(segment["category_id"])
            if category_id is None:
                continue
            instance_id = 0
            if category_id in self._labels.thing_ids and not segment["iscrowd"]:
                instance_id = counter[category_id] = counter.get(category_id, 0) + 1
            lookup[segment["id"]] = category_id * divisor + instance_id
        if not lookup:
            return np.full_like(ids, -1)
        known = np.array(sorted(lookup), dtype=np.int32)
        encoded = np.array([lookup[int(value)] for value in known], dtype=np.int32)
        place = np.searchsorted(known[1:], ids, side="right")
        return np.where(known[place] == ids, encoded[place], np.int32(-1))

    def _read_camera(self, city: str, name: str) -> dict[str, Any] | None:
        path = self._root / "camera" / self._split / city / f"{name}_camera.json"
        if not path.exists():
            if self._depth_kind == "disparity":
                require_file(path, _NAME, _IMAGE_REMEDY)
            return None
        try:
            camera: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            float(camera["intrinsic"]["fx"])
            if self._depth_kind == "disparity":
                float(camera["extrinsic"]["baseline"])
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{_NAME}: {path} is damaged ({error!r}). {_IMAGE_REMEDY}"
            ) from error
        return camera

    def _read_depth(
        self, city: str, name: str, camera: dict[str, Any] | None
    ) -> npt.NDArray[np.float32]:
        folder = self._root / str(self._depth_kind) / self._split / city
        path = require_file(folder / f"{name}_{self._depth_kind}.png", _NAME, _IMAGE_REMEDY)
        raw = read_uint16(path, _NAME).astype(np.float32)
        if self._depth_kind == "depth":
            metres: npt.NDArray[np.float32] = raw / np.float32(256)
            return metres
        assert camera is not None
        product = float(camera["intrinsic"]["fx"]) * float(camera["extrinsic"]["baseline"])
        # Raw 1 is a disparity of 0: infinitely far, no depth either.
        depth = np.zeros_like(raw)
        np.divide(product * 256, raw - 1, out=depth, where=raw > 1)
        return depth


def _frame_name(image: Path) -> str:
    return image.name.rsplit("_leftImg8bit", 1)[0]


def _panoptic_file(name: str) -> str:
    return f"{name}_gtFine_panoptic.png"
