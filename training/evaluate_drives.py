# SPDX-License-Identifier: Apache-2.0
"""Tracks, speeds and ground scale on generated drives, whose truth is exact.

Usage: ``python -m training.evaluate_drives [--checkpoint PATH]``. Without a checkpoint the true
maps stand in for predictions, so that the figures are those of the tracker and the plane alone;
``--miss`` and ``--depth-noise`` then spoil them in a known way.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from depthlab_core.checkpoint import CheckpointError
from depthlab_core.ground import fit_ground
from depthlab_core.ground_scale import GroundScaler
from depthlab_core.labels import CITYSCAPES, VOID
from depthlab_core.metrics.depth import DepthErrors
from depthlab_core.metrics.panoptic import match_segments
from depthlab_core.prediction import Prediction
from depthlab_core.predictor import DepthLab
from depthlab_core.preprocess import check_image
from depthlab_core.segments import Segment, compute_segments
from depthlab_core.tracking import Tracker
from training.arguments import (
    add_device,
    add_json,
    add_threads,
    fraction,
    image_size,
    positive_float,
    positive_int,
    whole_number,
)
from training.metrics.tracking import SpeedErrors, TrackingQuality
from training.results_table import Results, as_text, write_json
from training.streets.frame import StreetFrame
from training.streets.generator import StreetGenerator
from training.streets.gpu import RendererError

Predict = Callable[[StreetFrame], Prediction]


@dataclass(frozen=True)
class IdealPredictor:
    """The truth in the form of a prediction.

    Attributes:
        miss: Share of things that a frame does not show, at random.
        depth_noise: Standard deviation of the logarithm of each segment's depth.
        depth_scale: What all depth is too large by, for the ground to put right.
        rng: Source of all that.
    """

    miss: float
    depth_noise: float
    depth_scale: float
    rng: np.random.Generator

    def __call__(self, frame: StreetFrame) -> Prediction:
        """Return the spoilt truth of a frame."""
        panoptic = frame.panoptic.copy()
        depth = np.where(frame.depth > 0, frame.depth * self.depth_scale, np.nan)
        for value in np.unique(panoptic[panoptic >= 0]).tolist():
            mask = panoptic == value
            if value // CITYSCAPES.label_divisor in CITYSCAPES.thing_ids:
                depth[mask] *= np.exp(self.rng.normal(0, self.depth_noise))
                if self.rng.random() < self.miss:
                    panoptic[mask] = VOID
        depth = depth.astype(np.float32)
        semantic = np.where(panoptic == VOID, frame.semantic, panoptic // CITYSCAPES.label_divisor)
        semantic = semantic.astype(np.uint8)
        ones = np.ones_like(depth)
        segments, id_map = compute_segments(panoptic, depth, ones, ones, CITYSCAPES)
        return Prediction(
            panoptic_map=panoptic,
            semantic_map=semantic,
            id_map=id_map,
            depth=depth,
            segments=segments,
            focal_length=frame.focal_length,
            focal_length_assumed=False,
            timings={},
            ground=fit_ground(depth, semantic, CITYSCAPES, fx=frame.focal_length),
        )


class DriveEvaluation:
    """All figures over drives.

    Args:
        min_area: Smaller true things count neither for nor against, pixels.
    """

    def __init__(self, min_area: int = 60) -> None:
        self._min_area = min_area
        self._tracking, self._speed = TrackingQuality(), SpeedErrors()
        self._depth = {"before": DepthErrors(80.0), "after": DepthErrors(80.0)}
        self._height: list[tuple[float, float]] = []
        self._applied = self._frames = 0

    def drive(self, frames: Iterable[StreetFrame], predict: Predict) -> None:
        """Count a drive from its first frame to its last."""
        tracker, scaler = Tracker(), None
        pose_before: npt.NDArray[np.float64] | None = None
        time_before = 0.0
        for frame in frames:
            scaler = scaler or GroundScaler(frame.camera_height)
            raw = predict(frame)
            assert raw.ground is not None
            prediction = raw.scaled_to(scaler.update(raw.ground))
            self._scale(raw, prediction, frame)
            states = tracker.update(prediction.segments, prediction.id_map, frame.time)

            truth = self._large_things(frame.panoptic)
            matches = match_segments(prediction.panoptic_map, truth, CITYSCAPES)
            segment_of = {s.panoptic_id: s for s in prediction.segments if s.is_thing}
            found = {t: segment_of[p] for p, t, _ in matches.matched if p in segment_of}
            false = [segment_of[p] for p in matches.false_positives if p in segment_of]
            self._tracking.update(
                {t: states[s.id].track_id for t, s in found.items()},
                [t for t in np.unique(truth).tolist() if _is_thing(t)],
                [states[s.id].track_id for s in [*found.values(), *false]],
            )
            if pose_before is not None:
                elapsed = frame.time - time_before
                for true_id, segment in found.items():
                    true_depth = _true_depth(frame, true_id)
                    self._speed.update(
                        states[segment.id].closing_speed,
                        states[segment.id].time_to_contact,
                        true_speed=_closing_speed(
                            frame, true_id, segment, true_depth, pose_before, elapsed
                        ),
                        true_depth=true_depth,
                    )
            pose_before, time_before = frame.world_from_camera, frame.time
        self._tracking.end_sequence()

    def result(self) -> Results:
        """Return all figures; depth errors before and after the ground's scale was applied."""
        ratio = np.array([fitted / true for fitted, true in self._height])
        results = {**self._tracking.result(), **self._speed.result()}
        for name, errors in self._depth.items():
            for figure, value in errors.result().items():
                if figure in ("abs_rel", "delta1", "median_ratio"):
                    results[f"{figure}_{name}"] = value
        results["ground_applied"] = self._applied / max(self._frames, 1)
        if len(ratio):
            results["height_ratio_median"] = float(np.median(ratio))
            results["height_ratio_spread"] = float(np.std(np.log(ratio)))
        return results

    def _scale(self, raw: Prediction, scaled: Prediction, frame: StreetFrame) -> None:
        assert scaled.ground is not None
        self._frames += 1
        self._applied += scaled.ground.applied
        if np.isfinite(scaled.ground.height):
            self._height.append((scaled.ground.height, frame.camera_height))
        self._depth["before"].update(raw.depth, frame.depth)
        self._depth["after"].update(scaled.depth, frame.depth)

    def _large_things(self, panoptic: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        values, areas = np.unique(panoptic, return_counts=True)
        small = [
            value
            for value, area in zip(values.tolist(), areas.tolist(), strict=True)
            if _is_thing(value) and area < self._min_area
        ]
        return np.where(np.isin(panoptic, small), np.int32(VOID), panoptic)


def _is_thing(panoptic_id: int) -> bool:
    category = panoptic_id // CITYSCAPES.label_divisor
    return category in CITYSCAPES.thing_ids and panoptic_id % CITYSCAPES.label_divisor > 0


def _true_depth(frame: StreetFrame, true_id: int) -> float:
    """Return a thing's median depth, metres: of the pixels that have one; NaN if none has."""
    depth = frame.depth[(frame.panoptic == true_id) & (frame.depth > 0)]
    return float(np.median(depth)) if len(depth) else math.nan


def _closing_speed(
    frame: StreetFrame,
    true_id: int,
    segment: Segment,
    depth: float,
    pose_before: npt.NDArray[np.float64],
    elapsed: float,
) -> float:
    """Return the true rate at which a thing's depth falls, m/s: it moves, the camera turns too."""
    pose = frame.world_from_camera
    u, v = segment.centroid
    ray = np.linalg.inv(frame.intrinsics) @ np.array([u, v, 1.0])
    offset = pose[:3, :3] @ (ray * depth)
    camera_velocity = (pose[:3, 3] - pose_before[:3, 3]) / elapsed
    turn = (pose[:3, 2] - pose_before[:3, 2]) / elapsed
    velocity = np.array(frame.velocities.get(true_id, (0.0, 0.0, 0.0)))
    return -float(pose[:3, 2] @ (velocity - camera_velocity) + turn @ offset)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate_drives", description=__doc__
    )
    parser.add_argument(
        "--checkpoint",
        help="path, or name of a bundled model (default: the truth in place of a model)",
    )
    parser.add_argument(
        "--split",
        choices=("train", "val"),
        default="val",
        help="whose towns to drive in (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=whole_number, default=0, help="of towns and drives (default: %(default)s)"
    )
    parser.add_argument(
        "--drives", type=positive_int, default=4, help="how many (default: %(default)s)"
    )
    parser.add_argument(
        "--length", type=positive_int, default=30, help="frames of each (default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=positive_float,
        default=10.0,
        help="frames per second (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=image_size,
        default=(640, 320),
        metavar="WIDTHxHEIGHT",
        help="of the frames, pixels (default: 640x320)",
    )
    parser.add_argument(
        "--miss",
        type=fraction,
        default=0.0,
        metavar="SHARE",
        help="share of the true things that a frame does not show (default: %(default)s)",
    )
    parser.add_argument(
        "--depth-noise",
        type=fraction,
        default=0.0,
        metavar="SIGMA",
        help="relative noise on the true depth of each thing (default: %(default)s)",
    )
    parser.add_argument(
        "--depth-scale",
        type=positive_float,
        default=1.0,
        metavar="FACTOR",
        help="what true depth is multiplied by (default: %(default)s)",
    )
    add_json(parser)
    add_device(parser)
    add_threads(parser)
    options = parser.parse_args(arguments)
    for name in ("miss", "depth_noise", "depth_scale"):
        if options.checkpoint is not None and getattr(options, name) != parser.get_default(name):
            flag = name.replace("_", "-")
            parser.error(f"--{flag}: got --checkpoint, expected none: the truth alone is spoilt")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        predict = _predictor(options)
        streets = StreetGenerator(
            options.split, seed=options.seed, width=options.size[0], height=options.size[1]
        )
    except (CheckpointError, RendererError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    evaluation = DriveEvaluation()
    for number in range(options.drives):
        frames = streets.sequence(number, options.length, rate=options.rate)
        evaluation.drive(tqdm(frames, f"drive {number}", options.length, unit="frame"), predict)
    results = evaluation.result()
    print(as_text(results))
    if options.json is not None:
        write_json(results, options.json)
    return 0


def _predictor(options: argparse.Namespace) -> Predict:
    if options.checkpoint is None:
        return IdealPredictor(
            options.miss,
            options.depth_noise,
            options.depth_scale,
            np.random.default_rng(options.seed),
        )
    model = DepthLab.load(options.checkpoint, options.device)
    if model.labels != CITYSCAPES:
        raise ValueError(f"labels: got {model.labels.name!r}, expected those of the streets")
    # Now, since a street takes long to draw.
    check_image(np.zeros((options.size[1], options.size[0], 3), np.uint8))
    return lambda frame: model.predict(frame.image, frame.focal_length)


if __name__ == "__main__":
    sys.exit(main())
