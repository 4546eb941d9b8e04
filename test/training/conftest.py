# SPDX-License-Identifier: Apache-2.0
"""Small datasets on disk, written from generated streets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depthlab_core.labels import CITYSCAPES
from training.datasets.drawn_streets import DrawnStreets
from training.datasets.sample import Sample

BASELINE = 0.22


def write_cityscapes_layout(root: Path, samples: list[Sample], split: str = "train") -> None:
    """Write samples as Cityscapes would have them: labelIds, disparity, camera."""
    label_ids = {category.id: 7 + category.id for category in CITYSCAPES.categories}
    annotations = []
    for number, sample in enumerate(samples):
        name = f"town_{number:06d}_000019"

        def path(folder: str, ending: str, name: str = name) -> str:
            target = root / folder / split / "town" / f"{name}_{ending}"
            target.parent.mkdir(parents=True, exist_ok=True)
            return str(target)

        cv2.imwrite(path("leftImg8bit", "leftImg8bit.png"), sample.image[..., ::-1])
        disparity = np.zeros_like(sample.depth)
        known = sample.depth > 0
        disparity[known] = sample.focal_length * BASELINE / sample.depth[known]
        raw = np.where(known, np.round(disparity * 256) + 1, 0).astype(np.uint16)
        cv2.imwrite(path("disparity", "disparity.png"), raw)
        camera = {"intrinsic": {"fx": sample.focal_length}, "extrinsic": {"baseline": BASELINE}}
        Path(path("camera", "camera.json")).write_text(json.dumps(camera))

        segments = []
        ids = np.zeros(sample.panoptic.shape, dtype=np.int32)
        for panoptic_id in map(int, np.unique(sample.panoptic[sample.panoptic >= 0])):
            category_id, instance_id = divmod(panoptic_id, 1000)
            label_id = label_ids[category_id]
            segment_id = label_id * 1000 + instance_id if instance_id else label_id
            ids[sample.panoptic == panoptic_id] = segment_id
            is_crowd = category_id in CITYSCAPES.thing_ids and not instance_id
            segments.append({"id": segment_id, "category_id": label_id, "iscrowd": int(is_crowd)})
        color = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        folder = root / "gtFine" / f"cityscapes_panoptic_{split}"
        folder.mkdir(parents=True, exist_ok=True)
        file_name = f"{name}_gtFine_panoptic.png"
        cv2.imwrite(str(folder / file_name), color[..., ::-1])
        annotations.append({"file_name": file_name, "segments_info": segments})
    categories = [{"id": label_ids[c.id], "name": c.name} for c in CITYSCAPES.categories]
    index = {"categories": categories, "annotations": annotations}
    (root / "gtFine" / f"cityscapes_panoptic_{split}.json").write_text(json.dumps(index))


@pytest.fixture(scope="session")
def street_samples() -> list[Sample]:
    dataset = DrawnStreets("train", 2, size=(64, 96), seed=3)
    return [dataset[index] for index in range(len(dataset))]


@pytest.fixture
def cityscapes_root(tmp_path: Path, street_samples: list[Sample]) -> Path:
    root = tmp_path / "cityscapes"
    write_cityscapes_layout(root, street_samples)
    return root


@pytest.fixture
def camvid_root(tmp_path: Path) -> Path:
    root = tmp_path / "camvid"
    (root / "train").mkdir(parents=True)
    label = np.full((60, 80), 3, np.uint8)
    label[:20] = 0
    label[30:40, 10:30] = 8
    label[25:45, 50:58] = 9
    label[0:2] = 11
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    cv2.imwrite(str(root / "train" / "frame.jpg"), image)
    cv2.imwrite(str(root / "train" / "frame_label.png"), label)
    return root


@pytest.fixture
def small_config() -> Callable[..., dict[str, Any]]:
    """Return what makes the configuration of a run of a few small steps."""
    return _small_config


def _small_config(output: Path, **loop: Any) -> dict[str, Any]:
    return {
        "output": str(output),
        "model": {"name": "lite0"},
        "datasets": {
            "streets": {
                "kind": "streets",
                "frames": 3,
                "size": [64, 128],
                "keep_in_memory": True,
            }
        },
        "augment": {"crop": [64, 96], "scale": [0.9, 1.1]},
        "targets": {"sigma": 2},
        "loss": {"depth_loss": "silog_relative", "depth_gradient": 0.2},
        "optimizer": {"name": "adamw", "lr": 0.001, "warmup_iterations": 2, "clip_norm": 10.0},
        "loop": {
            "iterations": 4,
            "batch_size": 2,
            "workers": 0,
            "threads": 1,
            "ema_decay": 0.5,
            "log_every": 1,
            "report_frames": 0,
            **loop,
        },
    }
