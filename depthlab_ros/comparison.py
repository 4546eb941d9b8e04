# SPDX-License-Identifier: Apache-2.0
"""Predictions beside the truth that was played with their images: kept, measured, put in words."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from depthlab_msgs.msg import SegmentArray
from numpy.typing import NDArray

from depthlab_core.labels import CITYSCAPES, VOID, LabelSet
from depthlab_core.metrics.depth import SegmentDepthErrors
from depthlab_core.metrics.panoptic import PanopticQuality
from depthlab_ros.truth import UNLABELLED


class ComparisonError(Exception):
    """Why a prediction cannot be compared with the truth; one line for the user."""


@dataclass(frozen=True)
class ComparedFrame:
    """A frame, what was predicted and what is true; all maps have its height and width.

    Attributes:
        stamp_ns: Of the image.
        image: RGB, uint8 ``(H, W, 3)``.
        annotated: As published, RGB, uint8 ``(H, W, 3)``.
        panoptic: Predicted, int32 ``category_id * label_divisor + instance_id``, ``VOID`` = none.
        depth: Predicted, float32 metres, NaN = unknown.
        true_panoptic: As ``panoptic``; ``VOID`` where there is no label; instance 0 of a thing
            is a crowd.
        true_depth: As ``depth``.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    annotated: NDArray[np.uint8]
    panoptic: NDArray[np.int32]
    depth: NDArray[np.float32]
    true_panoptic: NDArray[np.int32]
    true_depth: NDArray[np.float32]


class Comparison:
    """Keeps what belongs to one frame together until all of it is there, then in a file.

    Measuring waits until the run is over, for it would take time from the model.

    Args:
        file: Open for writing and reading; all of it is used.
        labels: Classes of truth and prediction.
    """

    MAPS = ("image", "annotated", "ids", "depth", "true_panoptic", "true_depth")

    def __init__(self, file: BinaryIO, labels: LabelSet = CITYSCAPES) -> None:
        self._labels = labels
        self._file = file
        self._parts: dict[int, dict[str, NDArray[Any]]] = {}
        self._segments: dict[int, SegmentArray] = {}
        self._complete: list[int] = []

    def __len__(self) -> int:
        """Return the number of frames of which everything is there."""
        return len(self._complete)

    def on_segments(self, msg: SegmentArray, stamp_ns: int) -> None:
        """Take the segments of a frame."""
        self._segments[stamp_ns] = msg
        self._store(stamp_ns)

    def on_map(self, name: str, pixels: NDArray[Any], stamp_ns: int) -> None:
        """Take one of ``MAPS`` of a frame."""
        self._parts.setdefault(stamp_ns, {})[name] = pixels
        self._store(stamp_ns)

    def _store(self, stamp_ns: int) -> None:
        parts = self._parts.get(stamp_ns, {})
        if len(parts) < len(self.MAPS) or stamp_ns not in self._segments:
            return
        for name in self.MAPS:
            np.save(self._file, parts[name], allow_pickle=False)
        self._complete.append(stamp_ns)
        # Topics keep their order: what of older frames is not there by now was not made.
        self._parts = {stamp: kept for stamp, kept in self._parts.items() if stamp > stamp_ns}

    def frames(self) -> Iterator[ComparedFrame]:
        """Yield the complete frames.

        Raises:
            ComparisonError: If the model's classes are not those of the truth.
        """
        self._file.seek(0)
        for stamp_ns in self._complete:
            maps = {name: np.load(self._file, allow_pickle=False) for name in self.MAPS}
            true_panoptic = maps["true_panoptic"].astype(np.int32)
            true_panoptic[true_panoptic == UNLABELLED] = VOID
            yield ComparedFrame(
                stamp_ns,
                maps["image"],
                maps["annotated"],
                panoptic_of(maps["ids"], self._segments[stamp_ns], self._labels),
                maps["depth"],
                true_panoptic,
                maps["true_depth"],
            )


def panoptic_of(ids: NDArray[np.uint16], msg: SegmentArray, labels: LabelSet) -> NDArray[np.int32]:
    """Return the panoptic map of a published id image and its segments, int32 ``(H, W)``.

    Raises:
        ComparisonError: If a segment's class is not in ``labels``.
    """
    table = np.full(int(np.max(ids, initial=0)) + 1, VOID, np.int32)
    names = [category.name for category in labels.categories]
    things: Counter[int] = Counter()
    for segment in msg.segments:
        if names[segment.class_id : segment.class_id + 1] != [segment.class_name]:
            raise ComparisonError(
                f"got class {segment.class_id} '{segment.class_name}', "
                f"expected those of {labels.name}, which the truth has"
            )
        things[segment.class_id] += segment.is_thing
        if segment.id < len(table):
            instance = things[segment.class_id]
            table[segment.id] = segment.class_id * labels.label_divisor + instance
    return table[ids]


@dataclass
class Accuracy:
    """Panoptic quality and depth of segments over frames.

    Attributes:
        labels: Classes.
        frames: How many were measured.
    """

    labels: LabelSet = CITYSCAPES
    frames: int = 0
    _quality: PanopticQuality = field(init=False)
    _depth: SegmentDepthErrors = field(init=False)

    def __post_init__(self) -> None:
        self._quality = PanopticQuality(self.labels)
        self._depth = SegmentDepthErrors(self.labels)

    def update(self, frame: ComparedFrame) -> None:
        """Measure a frame."""
        truth, true_depth = frame.true_panoptic, np.nan_to_num(frame.true_depth, nan=0.0)
        matches = self._quality.update(frame.panoptic, truth)
        self._depth.update(matches.matched, frame.panoptic, truth, frame.depth, true_depth)
        self.frames += 1

    def result(self) -> dict[str, float]:
        """Return ``frames`` and the figures of ``PanopticQuality`` and ``SegmentDepthErrors``."""
        return {"frames": self.frames, **self._quality.result(), **self._depth.result()}


def accuracy_to_json(result: dict[str, float]) -> str:
    """Return the figures of ``Accuracy.result`` for a file, null where there is nothing to count.

    That is so of things where neither truth nor prediction has any.
    """
    values = {name: None if math.isnan(v) else round(v, 4) for name, v in result.items()}
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def format_accuracy(result: dict[str, float], labels: LabelSet = CITYSCAPES) -> str:
    """Return the figures of ``Accuracy.result`` as a table of at most 80 columns."""
    lines = [
        f"against the truth of {result['frames']:.0f} frames",
        f"  {'':<14}{'PQ':>7}{'depth error':>14}",
    ]
    rows = [("all", "pq", "segment_depth"), ("things", "pq_things", ""), ("stuff", "pq_stuff", "")]
    rows += [(c.name, f"pq/{c.name}", f"segment_depth/{c.name}") for c in labels.categories]
    for name, quality, error in rows:
        if not math.isnan(result.get(quality, math.nan)):
            share = f"{100 * result[error]:.1f} %" if error in result else ""
            lines.append(f"  {name:<14}{100 * result[quality]:>7.1f}{share:>14}".rstrip())
    lines.append("depth error: median over found segments of |depth - truth| / truth")
    return "\n".join(lines)
