# SPDX-License-Identifier: Apache-2.0
"""Evaluation of a checkpoint on a labelled dataset.

Usage: ``python -m training.evaluate --checkpoint PATH --dataset camvid --root FOLDER``.
Predictions are those of ``DepthLab.predict``, at the resolution of the labels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import torch
from tqdm import tqdm

from depthlab_core.checkpoint import CheckpointError
from depthlab_core.labels import LabelSet
from depthlab_core.predictor import DepthLab, Prediction
from training.config import ConfigError, DatasetConfig
from training.datasets.build import build_dataset
from training.datasets.camvid import CAMVID_OF_CATEGORY, CAMVID_OF_TARGET, CLASS_NAMES
from training.datasets.sample import DatasetError, Sample, SampleDataset
from training.metrics.depth import DepthErrors, SegmentDepthErrors
from training.metrics.panoptic import DepthAwarePanopticQuality, PanopticQuality
from training.metrics.semantic import SemanticIou

Results = dict[str, float]


class Evaluation:
    """All metrics that a dataset's labels allow.

    Args:
        labels: Classes of the model.
        max_depth: Depth beyond this many metres is not counted.
    """

    def __init__(self, labels: LabelSet, max_depth: float = 80.0) -> None:
        self._labels = labels
        self._panoptic = PanopticQuality(labels)
        self._depth_aware = DepthAwarePanopticQuality(labels)
        self._semantic = SemanticIou([category.name for category in labels.categories])
        self._coarse = SemanticIou(CLASS_NAMES)
        self._depth = DepthErrors(max_depth)
        self._segment_depth = SegmentDepthErrors(labels)
        self._kinds: set[str] = set()

    def update(self, prediction: Prediction, sample: Sample) -> None:
        """Count a frame."""
        if sample.depth is not None:
            self._kinds.add("depth")
            self._depth.update(prediction.depth, sample.depth)
        if sample.semantic is not None:
            self._kinds.add("coarse")
            self._coarse.update(
                CAMVID_OF_CATEGORY[prediction.semantic_map], CAMVID_OF_TARGET[sample.semantic]
            )
        elif sample.panoptic is not None:
            self._kinds.add("panoptic")
            truth = sample.panoptic
            self._semantic.update(prediction.semantic_map, truth // self._labels.label_divisor)
            matches = self._panoptic.update(prediction.panoptic_map, truth)
            if sample.depth is not None:
                self._kinds.add("depth_aware")
                self._depth_aware.update(
                    prediction.panoptic_map, truth, prediction.depth, sample.depth
                )
                self._segment_depth.update(
                    matches.matched, prediction.panoptic_map, truth, prediction.depth, sample.depth
                )

    def result(self) -> Results:
        """Return all figures; PQ, IoU and deltas as fractions, depth in metres."""
        results: Results = {}
        if "panoptic" in self._kinds:
            results |= self._panoptic.result() | self._semantic.result()
        if "coarse" in self._kinds:
            results |= self._coarse.result()
        if "depth" in self._kinds:
            results |= self._depth.result()
        if "depth_aware" in self._kinds:
            results |= self._depth_aware.result() | self._segment_depth.result()
        return results


def evaluate(
    model: DepthLab,
    dataset: SampleDataset,
    *,
    limit: int | None = None,
    max_depth: float = 80.0,
    show_progress: bool = False,
) -> Results:
    """Predict and measure.

    Args:
        model: The model.
        dataset: Labelled frames.
        limit: At most this many frames, evenly spread; None: all.
        max_depth: Depth beyond this many metres is not counted.
        show_progress: Whether to draw a progress bar.
    """
    evaluation = Evaluation(model.labels, max_depth)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    for index in tqdm(indices, disable=not show_progress, unit="frame"):
        sample = dataset[int(index)]
        evaluation.update(model.predict(sample.image, sample.focal_length), sample)
    return evaluation.result()


def table(results: Results) -> str:
    """Format figures for a terminal."""
    width = max(map(len, results), default=0)
    return "\n".join(f"{name:<{width}}  {value:10.4f}" for name, value in results.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="path, or name of a bundled model")
    kinds = get_args(get_type_hints(DatasetConfig)["kind"])
    parser.add_argument("--dataset", choices=kinds, required=True, help="kind of dataset")
    parser.add_argument("--root", help="its folder; default: its kind in $DEPTHLAB_DATA")
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, help="at most this many frames, evenly spread")
    parser.add_argument("--frames", type=int, default=50, help="for blocks: how many to make")
    parser.add_argument("--max-depth", type=float, default=80.0, help="metres")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="threads of torch on the CPU")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        config = DatasetConfig(
            kind=options.dataset, root=options.root, split=options.split, frames=options.frames
        )
        dataset = build_dataset(options.dataset, config)
        model = DepthLab.load(options.checkpoint, options.device)
    except (CheckpointError, ConfigError, DatasetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results = evaluate(
        model, dataset, limit=options.limit, max_depth=options.max_depth, show_progress=True
    )
    print(table(results))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
