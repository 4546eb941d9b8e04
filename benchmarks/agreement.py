# SPDX-License-Identifier: Apache-2.0
"""How far two ways to run one model agree: bfloat16 against float32, OpenVINO against PyTorch.

``python -m benchmarks.agreement --model lite0 --source drive --engines openvino:fp32
openvino:bf16``; the first engine is the yardstick. Needs ROS to read bags.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from depthlab_core import DepthLab, LabelSet, Prediction
from depthlab_core.metrics.panoptic import PanopticQuality


class Agreement:
    """Compares predictions of the same images, and averages over images.

    Args:
        labels: Classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        self._quality = PanopticQuality(labels)
        self._rows: list[dict[str, float]] = []

    def update(self, got: Prediction, yardstick: Prediction) -> None:
        """Count an image."""
        self._quality.update(got.panoptic_map, yardstick.panoptic_map)
        known = np.isfinite(got.depth) & np.isfinite(yardstick.depth)
        # Without any depth in common there is no difference to speak of.
        difference = np.abs(got.depth[known] / yardstick.depth[known] - 1) if known.any() else [0]
        self._rows.append(
            {
                "equal_panoptic": float(np.mean(got.panoptic_map == yardstick.panoptic_map)),
                "equal_class": float(np.mean(got.semantic_map == yardstick.semantic_map)),
                "segments": len(got.segments),
                "segments_of_yardstick": len(yardstick.segments),
                "depth_difference_mean": float(np.mean(difference)),
                "depth_difference_p95": float(np.quantile(difference, 0.95)),
            }
        )

    def result(self) -> dict[str, float]:
        """Return shares of pixels, relative differences of depth, and PQ; the yardstick is truth.

        All but PQ are means over images.
        """
        means = {key: float(np.mean([row[key] for row in self._rows])) for key in self._rows[0]}
        quality = self._quality.result()
        return means | {key: quality[key] for key in ("pq", "pq_things", "pq_stuff")}


def main() -> None:
    """Compare what was asked for, print it and write it down."""
    # Here, because it needs ROS.
    from depthlab_ros.sources import open_source

    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument(
        "--model",
        default="lite0",
        help="bundled model, or path of a checkpoint (default: %(default)s)",
    )
    parser.add_argument(
        "--source", default="drive", help="images, as make demo takes them (default: %(default)s)"
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        default=["openvino:fp32", "openvino:bf16"],
        metavar="BACKEND:PRECISION",
        help="to compare, the yardstick first (default: openvino:fp32 openvino:bf16)",
    )
    parser.add_argument(
        "--device", default="cpu", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    parser.add_argument("--frames", type=int, help="at most this many (default: all)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/agreement.json"),
        metavar="FILE",
        help="all figures, as JSON (default: %(default)s)",
    )
    options = parser.parse_args()

    models = [
        DepthLab.load(options.model, options.device, *engine.split(":"))
        for engine in options.engines
    ]
    agreements = [Agreement(model.labels) for model in models[1:]]
    count = 0
    for frame in islice(open_source(options.source).frames(), options.frames):
        # The focal length multiplies all depth alike, so any will do.
        yardstick, *others = (model.predict(frame.image) for model in models)
        for agreement, prediction in zip(agreements, others, strict=True):
            agreement.update(prediction, yardstick)
        count += 1
    results = {
        "machine": machine(),
        "model": options.model,
        "source": options.source,
        "frames": count,
        "yardstick": options.engines[0],
    }
    for engine, agreement in zip(options.engines[1:], agreements, strict=True):
        results[engine] = agreement.result()
        print(f"{engine} against {options.engines[0]}, {count} frames of {options.source}")
        for name, value in agreement.result().items():
            print(f"  {name:<24} {value:.4f}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
