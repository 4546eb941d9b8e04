# SPDX-License-Identifier: Apache-2.0
"""Evaluation measures what the labels allow, and ideal predictions come out ideal."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depthlab_core.checkpoint import save_checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.network import build_network
from depthlab_core.predictor import Prediction
from training.datasets.block_streets import BlockStreets
from training.datasets.camvid import CamVid
from training.evaluate import Evaluation, main


def ideal(sample) -> Prediction:
    depth = np.where(sample.depth > 0, sample.depth, np.nan)
    return Prediction(
        panoptic_map=sample.panoptic,
        semantic_map=(sample.panoptic // 1000).astype(np.uint8),
        id_map=np.zeros(sample.panoptic.shape, np.uint16),
        depth=depth.astype(np.float32),
        segments=[],
        focal_length=sample.focal_length,
        focal_length_assumed=False,
        timings={},
    )


def test_the_truth_scores_full_marks():
    dataset = BlockStreets(3, (64, 128), seed=5)
    evaluation = Evaluation(CITYSCAPES)
    for index in range(len(dataset)):
        evaluation.update(ideal(dataset[index]), dataset[index])
    result = evaluation.result()
    for name in ("pq", "sq", "rq", "miou", "delta1", "coverage", "dpq"):
        assert result[name] == pytest.approx(1), name
    for name in ("abs_rel", "rmse", "segment_depth"):
        assert result[name] == pytest.approx(0, abs=1e-6), name


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    state = build_network("lite0").state_dict()
    save_checkpoint(path, state, MODELS["lite0"], CITYSCAPES, {})
    return path


def test_the_command_line_writes_the_figures(checkpoint, tmp_path, capsys):
    arguments = ["--checkpoint", str(checkpoint), "--dataset", "blocks", "--frames", "2"]
    target = tmp_path / "figures.json"
    assert main([*arguments, "--limit", "1", "--json", str(target), "--device", "cpu"]) == 0
    figures = json.loads(target.read_text())
    assert {"pq", "miou", "abs_rel", "dpq"} <= figures.keys()
    assert "abs_rel" in capsys.readouterr().out


def test_coarse_labels_give_the_coarse_classes(checkpoint, camvid_root, capsys):
    arguments = ["--checkpoint", str(checkpoint), "--dataset", "camvid", "--split", "train"]
    assert main([*arguments, "--root", str(camvid_root), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "iou/car" in printed
    assert "abs_rel" not in printed
    assert len(CamVid(camvid_root, "train")) == 1


def test_mistakes_are_one_line(tmp_path, capsys):
    arguments = ["--checkpoint", str(tmp_path / "none"), "--dataset", "blocks"]
    assert main(arguments) == 1
    assert "none" in capsys.readouterr().err
