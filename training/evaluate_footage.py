# SPDX-License-Identifier: Apache-2.0
"""Is what a model sees in real footage plausible? For frames that have no truth.

Usage: ``python -m training.evaluate_footage --checkpoint PATH VIDEO_OR_FOLDER``. A thing's height
in metres follows from its height in pixels and its depth, whatever the focal length, since depth
is proportional to it; people and cars have heights that one knows. So does the height of the
camera over the ground, where that is seen at a small pitch. Tracks tell how steady things are.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from depthlab_core.checkpoint import CheckpointError
from depthlab_core.ground import fit_ground
from depthlab_core.labels import CITYSCAPES, LabelSet
from depthlab_core.prediction import Prediction
from depthlab_core.predictor import DepthLab
from depthlab_core.segments import Segment
from depthlab_core.tracking import Tracker
from training.arguments import add_device, add_json, positive_int
from training.datasets.footage import read_footage
from training.datasets.sample import DatasetError
from training.results_table import Results, as_text, write_json

PLAUSIBLE_HEIGHT = {"person": (1.3, 2.1), "car": (1.2, 2.1)}
"""Metres; children, and people who sit or bend, are below."""

_SMALLEST_AREA = 200
# Less of the ground in one plane than this share is a hill, or no ground.
_LEAST_INLIERS = 0.5


class FootageEvaluation:
    """Figures over the frames of one camera, in their order.

    Args:
        plausible: Classes whose heights are measured, with what is plausible, metres.
        labels: Of the predictions.
    """

    def __init__(
        self,
        plausible: Mapping[str, tuple[float, float]] = PLAUSIBLE_HEIGHT,
        labels: LabelSet = CITYSCAPES,
    ) -> None:
        self._plausible = plausible
        self._labels = labels
        self._tracker = Tracker()
        self._frames = 0
        self._things: Counter[str] = Counter()
        self._heights: dict[str, list[float]] = defaultdict(list)
        self._depths: dict[int, dict[int, float]] = defaultdict(dict)
        self._camera_heights: list[float] = []
        self._classes: npt.NDArray[np.uint8] | None = None
        self._changed: list[float] = []

    def update(self, prediction: Prediction, stamp: float) -> None:
        """Count a frame.

        Args:
            prediction: Of the frame.
            stamp: Its time, seconds.
        """
        height, width = prediction.id_map.shape
        states = self._tracker.update(prediction.segments, prediction.id_map, stamp)
        for segment in prediction.segments:
            if not segment.is_thing:
                continue
            self._things[segment.category_name] += 1
            self._depths[states[segment.id].track_id][self._frames] = segment.depth_median
            is_known = math.isfinite(segment.depth_median) and segment.area >= _SMALLEST_AREA
            if is_known and _is_whole(segment, height, width):
                metres = segment.bbox[3] * segment.depth_median / prediction.focal_length
                self._heights[segment.category_name].append(metres)
        ground = fit_ground(
            prediction.depth, prediction.semantic_map, self._labels, fx=prediction.focal_length
        )
        if ground.inlier_ratio >= _LEAST_INLIERS:
            self._camera_heights.append(ground.height)
        if self._classes is not None and self._classes.shape == prediction.semantic_map.shape:
            self._changed.append(float(np.mean(self._classes != prediction.semantic_map)))
        self._classes = prediction.semantic_map
        self._frames += 1

    def result(self) -> Results:
        """Return all figures.

        ``found_CLASS`` counts things a frame, ``height_CLASS`` is a median in metres,
        ``plausible_CLASS`` a share. ``camera_height`` is the median height over the ground in
        metres, ``ground_found`` the share of frames that have a plane for it. ``depth_change`` is
        the median relative change of a thing's depth from a frame to the next, ``track_length``
        the median number of frames that a thing's track is seen (each thing counts once a frame),
        and ``class_change`` the median share of pixels whose class differs from the frame before.
        """
        results: Results = {"frames": self._frames}
        for name, (low, high) in self._plausible.items():
            results[f"found_{name}"] = self._things[name] / max(self._frames, 1)
            heights = np.array(self._heights.get(name, []))
            if len(heights):
                results[f"height_{name}"] = float(np.median(heights))
                results[f"plausible_{name}"] = float(np.mean((heights >= low) & (heights <= high)))
        results["ground_found"] = len(self._camera_heights) / max(self._frames, 1)
        if self._camera_heights:
            results["camera_height"] = float(np.median(self._camera_heights))
        changes = [
            abs(math.log(depths[frame + 1] / depth))
            for depths in self._depths.values()
            for frame, depth in depths.items()
            if depth > 0 and depths.get(frame + 1, math.nan) > 0
        ]
        if changes:
            results["depth_change"] = float(np.median(changes))
        if self._depths:
            lengths = [len(depths) for depths in self._depths.values()]
            results["tracks"] = len(lengths)
            results["track_length"] = float(np.median(np.repeat(lengths, lengths)))
        if self._changed:
            results["class_change"] = float(np.median(self._changed))
        return results


def _is_whole(segment: Segment, height: int, width: int) -> bool:
    """Return whether the image's edge cuts nothing off."""
    x, y, box_width, box_height = segment.bbox
    return x > 0 and y > 0 and x + box_width < width and y + box_height < height


def _predict(model: DepthLab, image: npt.NDArray[np.uint8], footage: Path) -> Prediction:
    """Predict.

    Raises:
        DatasetError: If the image is none that models take, naming the footage.
    """
    try:
        return model.predict(image)
    except ValueError as error:
        raise DatasetError(f"{footage}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate_footage", description=__doc__
    )
    parser.add_argument("footage", type=Path, help="video, or folder of images")
    parser.add_argument("--checkpoint", required=True, help="path, or name of a bundled model")
    parser.add_argument(
        "--limit",
        type=positive_int,
        help="at most this many frames, from the start (default: all)",
    )
    add_json(parser)
    add_device(parser)
    options = parser.parse_args(arguments)
    frames = islice(read_footage(options.footage), options.limit)
    try:
        first = next(frames)  # a wrong path shows before the model is loaded, which takes a while
        model = DepthLab.load(options.checkpoint, options.device)
        evaluation = FootageEvaluation(labels=model.labels)
        for image, stamp in tqdm(chain([first], frames), unit="frame", total=options.limit):
            evaluation.update(_predict(model, image, options.footage), stamp)
    except (CheckpointError, DatasetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results = evaluation.result()
    print(as_text(results))
    if options.json is not None:
        write_json(results, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
