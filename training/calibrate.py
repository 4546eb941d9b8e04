# SPDX-License-Identifier: Apache-2.0
"""Correct how readily a trained model names each class.

Usage: ``python -m training.calibrate --checkpoint lite0 --out lite0.safetensors --dataset
camvid=FOLDER --dataset cityscapes=FOLDER``. Class weights in the loss, and data sets in which
classes are more or less frequent than where the model will work, make it name some too often and
others too seldom. One number for each class, added to its logit, mends that (logit adjustment,
Menon et al., ICLR 2021). They are chosen on every other frame, so that the mean IoU, averaged over
the data sets, becomes highest, and judged on the frames between.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from depthlab_core.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from depthlab_core.preprocess import image_to_tensor, input_geometry
from training.arguments import output_file
from training.class_bias import CLASS_BIAS
from training.config import ConfigError, DatasetConfig
from training.datasets.build import build_dataset
from training.datasets.camvid import CAMVID_OF_CATEGORY, CAMVID_OF_TARGET, CLASS_NAMES
from training.datasets.sample import DatasetError, Sample, SampleDataset, require_comparable
from training.metrics.semantic import SemanticIou

STEPS = (1.0, 0.5)
"""By which biases are changed, one after the other, as long as that helps."""
LEAST_GAIN = 0.0003
"""Of the mean IoU, for a bias to change: less would be a fit to these frames alone."""
_STRIDE = 3
"""Every so many pixels are looked at, along rows and columns: neighbours say the same."""


@dataclass(frozen=True)
class Labelled:
    """Pixels of a data set.

    Attributes:
        logits: float32 ``(N, C)``.
        truth: int64 ``(N,)``, below ``classes``.
        class_of: int64 ``(C,)``, the data set's class that a category counts as.
        classes: How many classes the data set has.
    """

    logits: Tensor
    truth: Tensor
    class_of: Tensor
    classes: int

    def miou(self, bias: Tensor) -> float:
        """Return the mean IoU of the classes that occur, with ``bias`` ``(C,)`` added."""
        predicted = self.class_of[(self.logits + bias).argmax(dim=1)]
        measured = SemanticIou([str(number) for number in range(self.classes)])
        measured.update(predicted.numpy(), self.truth.numpy())
        return measured.result()["miou"]


def calibrate(data: Sequence[Labelled]) -> Tensor:
    """Return float32 ``(C,)``: what to add to each class's logit for the highest mean IoU."""
    bias = torch.zeros(data[0].logits.shape[1])
    best = _mean_miou(data, bias)
    for step in STEPS:
        improves = True
        while improves:
            improves = False
            for category in range(len(bias)):
                for change in (-step, step):
                    trial = bias.clone()
                    trial[category] += change
                    score = _mean_miou(data, trial)
                    if score > best + LEAST_GAIN:
                        best, bias, improves = score, trial, True
    return bias


def collect(checkpoint: Checkpoint, dataset: SampleDataset) -> tuple[Labelled, Labelled]:
    """Run the network on a data set with classes; returns its even frames and its odd ones.

    Raises:
        DatasetError: If the data set has only one frame, no classes or no labelled pixel in one of
            the halves, or labels of another size or of other classes than the model's.
    """
    if len(dataset) < 2:
        raise DatasetError(f"calibration: got {len(dataset)} frames, expected 2 or more")
    frames = [
        _look_at(checkpoint, dataset[index]) for index in tqdm(range(len(dataset)), unit="frame")
    ]
    for name, part in (("even", frames[::2]), ("odd", frames[1::2])):
        if not any(len(frame.truth) for frame in part):
            raise DatasetError(f"calibration: got no labelled pixel in the {name} frames")
    even, odd = (
        Labelled(
            logits=torch.cat([frame.logits for frame in part]),
            truth=torch.cat([frame.truth for frame in part]),
            class_of=part[0].class_of,
            classes=part[0].classes,
        )
        for part in (frames[::2], frames[1::2])
    )
    return even, odd


@torch.inference_mode()
def _look_at(checkpoint: Checkpoint, sample: Sample) -> Labelled:
    labels = checkpoint.labels
    require_comparable(sample, labels)
    truth: npt.NDArray[np.integer]
    class_of: npt.NDArray[np.integer]
    if sample.semantic is not None:
        truth, class_of = CAMVID_OF_TARGET[sample.semantic], CAMVID_OF_CATEGORY
        classes = len(CLASS_NAMES)
    elif sample.panoptic is not None:
        truth, class_of = sample.panoptic // labels.label_divisor, np.arange(len(labels))
        classes = len(labels)
    else:
        raise DatasetError(f"{sample.name}: got no classes, expected a data set that has them")
    height, width = sample.image.shape[:2]
    config = checkpoint.config.input
    image = image_to_tensor(sample.image, input_geometry(height, width, config), config)
    logits = checkpoint.network(image).semantic_logits
    logits = F.interpolate(logits, (height, width), mode="bilinear")[0, :, ::_STRIDE, ::_STRIDE]
    labels_here = torch.from_numpy(truth[::_STRIDE, ::_STRIDE].astype(np.int64))
    known = (labels_here >= 0) & (labels_here < classes)
    return Labelled(
        logits.permute(1, 2, 0)[known],
        labels_here[known],
        torch.from_numpy(class_of.astype(np.int64)),
        classes,
    )


def _mean_miou(data: Sequence[Labelled], bias: Tensor) -> float:
    return sum(part.miou(bias) for part in data) / len(data)


def _dataset(text: str) -> SampleDataset:
    """Open "KIND=FOLDER", its part "val", without depth, which tells nothing of classes."""
    kind, _, folder = text.partition("=")
    kinds = get_args(get_type_hints(DatasetConfig)["kind"])
    if kind not in kinds or not folder:
        raise ConfigError(f"--dataset: got {text!r}, expected KIND=FOLDER, KIND of {kinds}")
    config = DatasetConfig(kind=kind, root=folder, split="val", depth=False)  # type: ignore[arg-type]
    return build_dataset(kind, config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="path, or name of a bundled model")
    parser.add_argument(
        "--out",
        type=output_file,
        required=True,
        metavar="FILE",
        help=".safetensors to write, in float16",
    )
    parser.add_argument(
        "--dataset",
        action="append",
        required=True,
        metavar="KIND=FOLDER",
        help="whose part val to use; give it once for each data set",
    )
    options = parser.parse_args(arguments)
    try:
        checkpoint = load_checkpoint(options.checkpoint)
        parts = [collect(checkpoint, _dataset(text)) for text in options.dataset]
    except (CheckpointError, ConfigError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    chosen_on, judged_on = zip(*parts, strict=True)
    bias = calibrate(chosen_on)
    names = [category.name for category in checkpoint.labels.categories]
    changes = {name: change for name, change in zip(names, bias.tolist(), strict=True) if change}
    print("\n".join(f"{name:<18}{change:+.1f}" for name, change in changes.items()) or "no change")
    nothing = torch.zeros_like(bias)
    for text, part in zip(options.dataset, judged_on, strict=True):
        print(f"{text}, odd frames: mIoU {part.miou(nothing):.4f} -> {part.miou(bias):.4f}")
    state = checkpoint.network.state_dict()
    state[CLASS_BIAS] = state[CLASS_BIAS] + bias
    provenance = {**checkpoint.provenance, "calibration": changes}
    try:
        save_checkpoint(
            options.out, state, checkpoint.config, checkpoint.labels, provenance, half=True
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
