# SPDX-License-Identifier: Apache-2.0
"""Metrics on maps small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from depthlab_core.labels import CITYSCAPES
from training.metrics.average_precision import AveragePrecision
from training.metrics.semantic import SemanticIou
from training.metrics.thing_height import ThingHeights

A, B = 13_001, 13_002  # two cars


def test_semantic_iou_by_hand():
    iou = SemanticIou(["a", "b", "c"])
    iou.update(np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 255]]))
    result = iou.result()
    assert result["iou/a"] == 1 / 2
    assert result["iou/b"] == 1 / 2
    assert "iou/c" not in result
    assert result["miou"] == 1 / 2


def test_semantic_iou_equals_that_of_cityscapesscripts():
    with np.load(Path(__file__).parent / "data" / "cityscapesscripts_miou.npz") as arrays:
        truths, predictions = arrays["truth"], arrays["prediction"]
        expected = json.loads(str(arrays["expected"]))
    iou = SemanticIou([category.name for category in CITYSCAPES.categories])
    for prediction, truth in zip(predictions, truths, strict=True):
        iou.update(prediction, truth)
    # Among them a class that is only true, two that are only predicted, and ignored pixels.
    assert iou.result() == pytest.approx(expected, abs=1e-12)
    assert (expected["iou/bicycle"], expected["iou/rider"], expected["iou/truck"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        ([[0, 1], [2, 2]], r"got \(2, 2\), expected \(1, 4\), the truth's"),
        # 3 would count as class 0 of the next row, -1 as class 2 of the row before.
        ([[0, 3, -1, 9]], r"got \[-1, 3\], expected class ids, 0 to 2"),
    ],
)
def test_semantic_iou_refuses_what_it_would_miscount(prediction, message):
    iou = SemanticIou(["a", "b", "c"])
    with pytest.raises(ValueError, match=f"^prediction: {message}$"):
        iou.update(np.array(prediction), np.array([[0, 1, 1, 255]]))
    assert iou.confusion.sum() == 0


def test_heights_of_things_by_hand():
    truth, prediction = np.zeros((100, 60), int), np.zeros((100, 60), int)
    truth[10:18, 2:10], prediction[9:19, 3:9] = A, B  # 8 rows, seen as 10
    truth[50:70, 2:10], prediction[50:68, 2:12] = B, A  # 20 rows, seen as 18
    truth[90:100, 20:30], prediction[90:98, 20:30] = A + 2, A + 2  # cut off
    truth[20:30, 50:58], prediction[20:40, 50:60] = A + 3, A + 3  # cut off in the prediction
    matched = [(B, A, 0.6), (A, B, 0.7), (A + 2, A + 2, 0.8), (A + 3, A + 3, 0.5), (0, 0, 0.9)]
    heights = ThingHeights(CITYSCAPES)
    heights.update(matched, prediction, truth)
    assert heights.result() == pytest.approx(
        {"thing_height": 1.075, "thing_height/0-10px": 1.25, "thing_height/20-40px": 0.9}
    )
    assert ThingHeights(CITYSCAPES).result() == {}


def test_average_precision_by_hand():
    # Two cars, one found; of the two predictions the wrong one is the surer.
    truth = np.zeros((40, 40), int)
    truth[:10, :10], truth[20:30, :10] = A, B
    prediction = np.zeros((40, 40), int)
    prediction[:10, :10], prediction[20:30, 20:30] = A, B
    precision = AveragePrecision(CITYSCAPES)
    precision.update(prediction, truth, {A: 0.5, B: 0.9})
    # Points (recall, precision): (1/2, 1/2), (0, 0) and the artificial (0, 1).
    assert precision.result() == {"ap": 0.125, "ap50": 0.125, "ap/car": 0.125}
    assert AveragePrecision(CITYSCAPES).result() == {}


def test_average_precision_without_predictions_is_zero():
    precision = AveragePrecision(CITYSCAPES)
    precision.update(np.zeros((20, 20), int), np.full((20, 20), A), {})
    assert precision.result()["ap"] == 0


def test_average_precision_refuses_maps_of_another_shape():
    with pytest.raises(ValueError, match=r"got \(10, 20\), expected \(20, 10\), the truth's"):
        AveragePrecision(CITYSCAPES).update(np.full((10, 20), A), np.full((20, 10), A), {A: 1.0})


def test_average_precision_equals_that_of_cityscapesscripts():
    with np.load(Path(__file__).parent / "data" / "cityscapesscripts_ap.npz") as arrays:
        truths, predictions = arrays["truth"], arrays["prediction"]
        scores, expected = arrays["scores"], json.loads(str(arrays["expected"]))
    precision = AveragePrecision(CITYSCAPES)
    for number, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        own = {int(i): float(score) for frame, i, score in scores if frame == number}
        precision.update(prediction, truth, own)
    assert precision.result() == pytest.approx(expected, abs=1e-12)
