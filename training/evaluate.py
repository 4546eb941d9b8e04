# SPDX-License-Identifier: Apache-2.0
"""Evaluation of a checkpoint on a labelled dataset.

Usage: ``python -m training.evaluate --checkpoint PATH --dataset camvid --root FOLDER``.
Predictions are those of ``DepthLab.predict``, at the resolution of the labels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from depthlab_core.checkpoint import CheckpointError
from depthlab_core.labels import LabelSet
from depthlab_core.metrics.depth import DepthErrors, SegmentDepthErrors
from depthlab_core.metrics.panoptic import DepthAwarePanopticQuality, Matches, PanopticQuality
from depthlab_core.prediction import Prediction
from depthlab_core.predictor import DepthLab
from training.arguments import (
    add_device,
    add_json,
    add_threads,
    image_size,
    output_folder,
    positive_float,
    positive_int,
    whole_number,
)
from training.config import ConfigError, DatasetConfig
from training.datasets.build import build_dataset
from training.datasets.camvid import CAMVID_OF_CATEGORY, CAMVID_OF_TARGET, CLASS_NAMES
from training.datasets.sample import DatasetError, Sample, SampleDataset, require_comparable
from training.metrics.average_precision import AveragePrecision
from training.metrics.semantic import SemanticIou
from training.metrics.thing_height import ThingHeights
from training.report import FrameFigures, write_report
from training.results_table import Results, as_text, write_json


class Evaluation:
    """All metrics that a dataset's labels allow.

    Args:
        labels: Classes of the model.
        max_depth: Depth beyond this many metres is not counted.
    """

    def __init__(self, labels: LabelSet, max_depth: float = 80.0) -> None:
        self._labels = labels
        self._panoptic = PanopticQuality(labels)
        self._precision = AveragePrecision(labels)
        self._depth_aware = DepthAwarePanopticQuality(labels)
        self._heights = ThingHeights(labels)
        self._semantic = SemanticIou([category.name for category in labels.categories])
        self._coarse = SemanticIou(CLASS_NAMES)
        self._depth = DepthErrors(max_depth)
        self._segment_depth = SegmentDepthErrors(labels)
        self._kinds: set[str] = set()

    def update(self, prediction: Prediction, sample: Sample) -> Results:
        """Count a frame.

        Returns:
            Figures of this frame, to rank frames by: ``pq`` over its segments of all classes,
            ``accuracy`` of coarse labels, ``abs_rel``; without those that nothing in it tells.
        """
        figures: Results = {}
        if sample.semantic is not None:
            accuracy = self._update_coarse(prediction, sample.semantic)
            if accuracy is not None:
                figures["accuracy"] = accuracy
        elif sample.panoptic is not None:
            self._kinds.add("panoptic")
            truth = sample.panoptic
            self._semantic.update(prediction.semantic_map, truth // self._labels.label_divisor)
            scores = {segment.panoptic_id: segment.score for segment in prediction.segments}
            self._precision.update(prediction.panoptic_map, truth, scores)
            matches = self._panoptic.update(prediction.panoptic_map, truth)
            quality = _quality(matches)
            if quality is not None:
                figures["pq"] = quality
            self._heights.update(matches.matched, prediction.panoptic_map, truth)
            if sample.depth is not None:
                self._kinds.add("depth_aware")
                self._depth_aware.update(
                    prediction.panoptic_map, truth, prediction.depth, sample.depth
                )
                self._segment_depth.update(
                    matches.matched, prediction.panoptic_map, truth, prediction.depth, sample.depth
                )
        if sample.depth is not None:
            self._kinds.add("depth")
            errors = self._depth.update(prediction.depth, sample.depth)
            if errors is not None:
                figures["abs_rel"] = errors["abs_rel"]
        return figures

    def _update_coarse(self, prediction: Prediction, truth: npt.NDArray[np.uint8]) -> float | None:
        self._kinds.add("coarse")
        predicted, label = CAMVID_OF_CATEGORY[prediction.semantic_map], CAMVID_OF_TARGET[truth]
        self._coarse.update(predicted, label)
        known = label < len(CLASS_NAMES)
        return float((predicted == label)[known].mean()) if known.any() else None

    def result(self) -> Results:
        """Return all figures; PQ, IoU and deltas as fractions, depth in metres."""
        results: Results = {}
        if "panoptic" in self._kinds:
            results |= self._panoptic.result() | self._precision.result()
            results |= self._semantic.result() | self._heights.result()
        if "coarse" in self._kinds:
            results |= self._coarse.result()
        if "depth" in self._kinds:
            results |= self._depth.result()
        if "depth_aware" in self._kinds:
            results |= self._depth_aware.result() | self._segment_depth.result()
        return results


def _quality(matches: Matches) -> float | None:
    errors = len(matches.false_positives) + len(matches.false_negatives)
    size = len(matches.matched) + errors / 2
    return sum(iou for _, _, iou in matches.matched) / size if size else None


def evaluate(
    model: DepthLab,
    dataset: SampleDataset,
    *,
    limit: int | None = None,
    names: str = "*",
    max_depth: float = 80.0,
    camera_height: float | None = None,
    show_progress: bool = False,
) -> tuple[Results, list[FrameFigures]]:
    """Predict and measure.

    Args:
        model: The model.
        dataset: Labelled frames.
        limit: At most this many frames, evenly spread; None: all.
        names: Of these, only those whose name matches this pattern of a shell.
        max_depth: Depth beyond this many metres is not counted.
        camera_height: Of all frames, metres: depth is scaled by the ground. None: it is not.
        show_progress: Whether to draw a progress bar.

    Returns:
        The figures over all frames, and those by frame.

    Raises:
        DatasetError: If a frame cannot be read, predicted or compared.
    """
    evaluation = Evaluation(model.labels, max_depth)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    frames = []
    for index in map(int, tqdm(indices, disable=not show_progress, unit="frame")):
        sample = dataset[index]
        if not fnmatch(sample.name, names):
            continue
        require_comparable(sample, model.labels)
        try:
            prediction = model.predict(sample.image, sample.focal_length, camera_height)
        except ValueError as error:
            raise DatasetError(f"{sample.name}: {error}") from error
        figures = evaluation.update(prediction, sample)
        frames.append(FrameFigures(index, sample.name, figures))
    return evaluation.result(), frames


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="path, or name of a bundled model")
    # Footage has nothing to compare with: training.evaluate_footage is for that.
    kinds = [kind for kind in get_args(get_type_hints(DatasetConfig)["kind"]) if kind != "footage"]
    parser.add_argument(
        "--dataset",
        choices=kinds,
        required=True,
        metavar="KIND",
        help="kind of dataset: %(choices)s",
    )
    parser.add_argument(
        "--root", metavar="FOLDER", help="of the dataset (default: $DEPTHLAB_DATA/KIND)"
    )
    parser.add_argument("--split", default="val", help="part of it (default: %(default)s)")
    parser.add_argument(
        "--without",
        choices=("panoptic", "depth"),
        action="append",
        default=[],
        help="kind of labels to do without, such as one whose files are missing (default: none)",
    )
    parser.add_argument(
        "--limit", type=positive_int, help="at most this many frames, evenly spread (default: all)"
    )
    parser.add_argument(
        "--names",
        default="*",
        metavar="PATTERN",
        help="of these, only frames with such a name, such as 'b*' (default: all)",
    )
    parser.add_argument(
        "--frames",
        type=positive_int,
        default=50,
        help="for streets: how many to draw (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=image_size,
        default=(512, 256),
        metavar="WIDTHxHEIGHT",
        help="for streets: of the frames, pixels (default: 512x256)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number,
        default=0,
        help="for streets: of the towns (default: %(default)s)",
    )
    parser.add_argument(
        "--max-depth",
        type=positive_float,
        default=80.0,
        metavar="METRES",
        help="true depth beyond it is not counted (default: %(default)s)",
    )
    parser.add_argument(
        "--camera-height",
        type=positive_float,
        metavar="METRES",
        help="of all frames over the ground: scale depth by it (default: do not)",
    )
    add_json(parser)
    parser.add_argument(
        "--report",
        type=output_folder,
        metavar="FOLDER",
        help="also write an HTML page into this folder",
    )
    add_device(parser)
    add_threads(parser)
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        config = DatasetConfig(
            kind=options.dataset,
            root=options.root,
            split=options.split,
            panoptic="panoptic" not in options.without,
            depth="depth" not in options.without,
            frames=options.frames,
            size=options.size[::-1],
            seed=options.seed,
        )
        dataset = build_dataset(options.dataset, config)
        model = DepthLab.load(options.checkpoint, options.device)
    except (CheckpointError, ConfigError, DatasetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        results, frames = evaluate(
            model,
            dataset,
            limit=options.limit,
            names=options.names,
            max_depth=options.max_depth,
            camera_height=options.camera_height,
            show_progress=True,
        )
    except DatasetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not frames:
        is_part = options.limit is not None and options.limit < len(dataset)
        of = f" of the {options.limit} that --limit leaves" if is_part else ""
        message = f"--names {options.names}: no frame{of} has such a name"
        print(f"error: {message}", file=sys.stderr)
        return 1
    print(as_text(results))
    if options.json is not None:
        write_json(results, options.json)
    if options.report is not None:
        title = f"{model.name} on {options.dataset} {options.split}"
        page = write_report(
            options.report,
            title,
            results,
            frames,
            model,
            dataset,
            camera_height=options.camera_height,
        )
        print(f"wrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
