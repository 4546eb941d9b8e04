# SPDX-License-Identifier: Apache-2.0
"""Exported networks answer as PyTorch does, and one that does not is refused."""

from __future__ import annotations

import json

import pytest
import torch

from depthlab_core.checkpoint import load_checkpoint, save_checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.network import build_network
from training.export import ExportError, compare, export, main


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "model.safetensors"
    torch.manual_seed(0)
    save_checkpoint(path, build_network("lite0").state_dict(), MODELS["lite0"], CITYSCAPES, {})
    return path


def test_both_formats_answer_as_pytorch(checkpoint_path, tmp_path, capsys):
    arguments = ["--checkpoint", str(checkpoint_path), "--out", str(tmp_path)]
    assert main([*arguments, "--size", "96x64"]) == 0
    printed = capsys.readouterr().out
    assert "model.onnx" in printed
    assert "model.xml" in printed
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["input"] == {"name": "image", "shape": [1, 3, 64, 96]}
    assert description["labels"] == CITYSCAPES.to_dict()
    # On another image than the one that the export itself checked.
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = load_checkpoint(checkpoint_path).network(image)
    for name in ("model.onnx", "model.xml"):
        differences = compare(tmp_path / name, image, expected)
        assert set(differences) == set(expected._fields)
        assert max(differences.values()) < 1e-4


def test_another_answer_is_refused(checkpoint_path, tmp_path):
    checkpoint = load_checkpoint(checkpoint_path)
    with pytest.raises(ExportError, match=r"model\.xml: \w+ differs from PyTorch by"):
        export(checkpoint, tmp_path, (64, 96), ["openvino"], tolerance=-1.0)


def test_mistakes_are_one_line(checkpoint_path, tmp_path, capsys):
    arguments = ["--checkpoint", str(checkpoint_path), "--out", str(tmp_path)]
    assert main([*arguments, "--size", "96x60"]) == 1
    assert "got 60 96, expected multiples of 32" in capsys.readouterr().err
    assert main(["--checkpoint", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    assert "none" in capsys.readouterr().err
