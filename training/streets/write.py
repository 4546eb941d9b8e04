# SPDX-License-Identifier: Apache-2.0
"""Writes frames in the layout of Cityscapes, and depth in that of Cityscapes-DVPS.

``leftImg8bit/{split}/{town}/{name}_leftImg8bit.png`` and beside it, for each frame:
``gtFine/…_gtFine_labelIds.png``, ``…_labelTrainIds.png``, ``…_instanceIds.png``,
``gtFine/cityscapes_panoptic_{split}/…_gtFine_panoptic.png`` (ids as R + 256 G + 65536 B) with
``gtFine/cityscapes_panoptic_{split}.json``, ``disparity/…_disparity.png``,
``camera/…_camera.json``,
``depth/…_depth.png`` (16 bit, metres * 256, 0 = none).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.streets.appearance import Split
from training.streets.classes import (
    LABEL_DIVISOR,
    LABEL_IDS,
    SemanticClass,
    is_thing,
    label_id_table,
)
from training.streets.disparity import BASELINE, disparity_from_depth, encode_disparity
from training.streets.frame import StreetFrame, still_name

_LABEL_IDS = label_id_table()
_THING_LABELS = {
    label for semantic, label in LABEL_IDS.items() if semantic >= SemanticClass.PERSON
}


class IndexDamagedError(Exception):
    """The index of panoptic annotations cannot be read; the message names the file."""


@dataclass(frozen=True)
class PanopticEntry:
    """A frame's two entries in the index of panoptic annotations."""

    image: dict[str, Any]
    annotation: dict[str, Any]


class CityscapesWriter:
    """Writes frames below a folder.

    Args:
        root: The data set's folder.
        split: "train" or "val".
    """

    def __init__(self, root: Path, split: Split) -> None:
        self._root, self._split = root, split

    def _path(self, kind: str, name: str, ending: str) -> Path:
        town = name.split("_")[0]
        path = self._root / kind / self._split / town / f"{name}_{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, frame: StreetFrame) -> PanopticEntry:
        """Write one frame; returns its entry for :meth:`finish`.

        The name must be Cityscapes-like: ``town_sequence_frame``.
        """
        name = frame.name
        _save(self._path("leftImg8bit", name, "leftImg8bit.png"), frame.image[..., ::-1])
        labels = _LABEL_IDS[frame.semantic]
        _save(self._path("gtFine", name, "gtFine_labelIds.png"), labels)
        _save(self._path("gtFine", name, "gtFine_labelTrainIds.png"), frame.semantic)
        _save(self._path("gtFine", name, "gtFine_instanceIds.png"), instance_ids(frame))
        disparity = disparity_from_depth(frame.depth, focal_length=frame.focal_length)
        _save(self._path("disparity", name, "disparity.png"), encode_disparity(disparity))
        depth = np.round(np.clip(frame.depth, 0, 65535 / 256) * 256).astype(np.uint16)
        depth[frame.depth > 65535 / 256] = 0
        _save(self._path("depth", name, "depth.png"), depth)
        self._path("camera", name, "camera.json").write_text(json.dumps(_camera(frame), indent=1))
        return self._panoptic(frame)

    def _panoptic(self, frame: StreetFrame) -> PanopticEntry:
        ids = instance_ids(frame).astype(np.int64)
        ids[_LABEL_IDS[frame.semantic] == 4] = 0
        ids[frame.panoptic < 0] = 0
        folder = self._root / "gtFine" / f"cityscapes_panoptic_{self._split}"
        folder.mkdir(parents=True, exist_ok=True)
        file_name = f"{frame.name}_gtFine_panoptic.png"
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
        _save(folder / file_name, rgb[..., ::-1])
        segments = []
        for value in np.unique(ids):
            if value == 0:
                continue
            mask = (ids == value).astype(np.uint8)
            x, y, width, height = cv2.boundingRect(mask)
            category = value // LABEL_DIVISOR if value >= LABEL_DIVISOR else value
            is_crowd = value < LABEL_DIVISOR and category in _THING_LABELS
            segments.append(
                {
                    "id": int(value),
                    "category_id": int(category),
                    "area": int(mask.sum()),
                    "bbox": [int(x), int(y), int(width), int(height)],
                    "iscrowd": int(is_crowd),
                }
            )
        height, width = ids.shape
        # Cityscapes' own tool lists the image under this name, too.
        image_file = f"{frame.name}_gtFine_leftImg8bit.png"
        return PanopticEntry(
            {"id": frame.name, "width": width, "height": height, "file_name": image_file},
            {"image_id": frame.name, "file_name": file_name, "segments_info": segments},
        )

    @property
    def _index(self) -> Path:
        return self._root / "gtFine" / f"cityscapes_panoptic_{self._split}.json"

    def listed(self, seed: int) -> dict[int, tuple[int, int]]:
        """Return the single frames of a seed that the index lists: those that are whole.

        Returns:
            Width and height, pixels, by the frame's number.

        Raises:
            IndexDamagedError: If the index cannot be read.
        """
        begin = still_name(self._split, seed, 0).rpartition("_")[0]
        return {
            int(number): (image["width"], image["height"])
            for image in self._read_index()[0].values()
            for name, _, number in (image["id"].rpartition("_"),)
            if name == begin
        }

    def _read_index(self) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        """Return the index's images and annotations by the frame's name."""
        if not self._index.exists():
            return {}, {}
        try:
            index = json.loads(self._index.read_text())
            images = {image["id"]: image for image in index["images"]}
            return images, {entry["image_id"]: entry for entry in index["annotations"]}
        except (KeyError, TypeError, ValueError) as error:
            raise IndexDamagedError(
                f"{self._index} is damaged ({error!r}); delete it to draw its frames anew"
            ) from error

    def finish(self, entries: list[PanopticEntry]) -> None:
        """Write the index of all panoptic annotations; what it already lists is kept."""
        images, annotations = self._read_index()
        for entry in entries:
            images[entry.image["id"]] = entry.image
            annotations[entry.annotation["image_id"]] = entry.annotation
        index = {
            "images": [images[name] for name in sorted(images)],
            "annotations": [annotations[name] for name in sorted(annotations)],
            "categories": _categories(),
        }
        # A kill in between leaves the old index, never half of one.
        partial = self._index.with_suffix(".part")
        partial.write_text(json.dumps(index))
        partial.replace(self._index)


def _categories() -> list[dict[str, Any]]:
    return [
        {
            "id": label,
            "name": semantic.name.lower().replace("_", " "),
            "isthing": int(semantic >= SemanticClass.PERSON),
        }
        for semantic, label in LABEL_IDS.items()
    ]


def instance_ids(frame: StreetFrame) -> npt.NDArray[np.uint16]:
    """Return Cityscapes' instanceIds ``(H, W)``: labelId, or labelId * 1000 + instance."""
    labels = _LABEL_IDS[frame.semantic].astype(np.uint16)
    instance = np.where(frame.panoptic > 0, frame.panoptic % LABEL_DIVISOR, 0)
    numbered = is_thing(frame.semantic) & (instance > 0)
    return np.where(numbered, labels * LABEL_DIVISOR + instance, labels).astype(np.uint16)


def _camera(frame: StreetFrame) -> dict[str, Any]:
    """Return Cityscapes' camera.json, with the exact pose and velocities added."""
    matrix = frame.intrinsics
    return {
        "extrinsic": {
            "baseline": BASELINE,
            "world_from_camera": frame.world_from_camera.tolist(),
        },
        "intrinsic": {
            "fx": float(matrix[0, 0]),
            "fy": float(matrix[1, 1]),
            "u0": float(matrix[0, 2]),
            "v0": float(matrix[1, 2]),
        },
        "time": frame.time,
        "velocities": {str(key): value for key, value in frame.velocities.items()},
    }


def _save(path: Path, pixels: npt.NDArray[Any]) -> None:
    if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3]):
        message = f"cannot write {path}"
        raise OSError(message)
