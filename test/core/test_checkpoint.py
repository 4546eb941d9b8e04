# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: round trip, and one clear error for everything that is not one."""

import dataclasses
import json
import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from depthlab_core import CITYSCAPES, CheckpointError, build_network, load_checkpoint
from depthlab_core import save_checkpoint as save
from depthlab_core.checkpoint import find_checkpoint
from depthlab_core.model_zoo import LITE0


def test_round_trip(lite0_checkpoint: Path) -> None:
    loaded = load_checkpoint(lite0_checkpoint)
    torch.manual_seed(0)
    expected = build_network("lite0").state_dict()
    state = loaded.network.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert (loaded.config, loaded.labels, loaded.provenance) == (LITE0, CITYSCAPES, {"seed": 0})
    assert not loaded.network.training


def test_half_precision_is_half_the_size_and_loads_as_float32(
    tmp_path: Path, lite0_checkpoint: Path
) -> None:
    whole = load_checkpoint(lite0_checkpoint).network.state_dict()
    save(tmp_path / "half.safetensors", whole, LITE0, CITYSCAPES, {}, half=True)
    ratio = (tmp_path / "half.safetensors").stat().st_size / lite0_checkpoint.stat().st_size
    assert 0.45 < ratio < 0.55
    for key, value in load_checkpoint(tmp_path / "half.safetensors").network.state_dict().items():
        assert value.dtype == whole[key].dtype
        torch.testing.assert_close(value, whole[key], rtol=1e-3, atol=1e-6)


def test_half_precision_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    state = build_network("lite0").state_dict()
    key = "sem_seg_head.head.depthwise.norm.running_var"
    state[key][3] = 1e5
    message = f"^{re.escape(key)}: got 100000.0, expected values up to 65504, the largest float16$"
    with pytest.raises(ValueError, match=message):
        save(tmp_path / "half.safetensors", state, LITE0, CITYSCAPES, {}, half=True)
    assert list(tmp_path.iterdir()) == []


def test_writing_leaves_no_partial_file(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", build_network("lite0").state_dict(), LITE0, CITYSCAPES, {})
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_who_may_read_other_new_files_may_read_a_checkpoint(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", build_network("lite0").state_dict(), LITE0, CITYSCAPES, {})
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_missing_file() -> None:
    with pytest.raises(CheckpointError, match=r"model: got 'no/such', expected a checkpoint file"):
        load_checkpoint("no/such")


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("a" * 300, "a\0b"):
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(name)
        assert str(caught.value).startswith(f"model: got {name!r}, expected a checkpoint file")
        assert "\n" not in str(caught.value)
    # Too long only with the ending that a bundled name would get.
    (tmp_path / ("a" * 250)).touch()
    assert find_checkpoint(tmp_path / ("a" * 250)) == tmp_path / ("a" * 250)


@pytest.mark.parametrize("length", [0, 4, 100, 60_000, 5_000_000])
def test_truncated_file(tmp_path: Path, lite0_checkpoint: Path, length: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(lite0_checkpoint.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_checkpoint(path)


def test_another_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.safetensors"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 100)
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_checkpoint(path)


def test_foreign_safetensors(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="got format None, expected 'depthlab-1'"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = build_network("lite0").state_dict()
    del state["depth_head.predictor.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["sem_seg_head.predictor.bias"] = torch.zeros(3)
    save(tmp_path / "bad.safetensors", state, LITE0, CITYSCAPES, {})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path / "bad.safetensors")
    text = str(caught.value)
    assert "missing: depth_head.predictor.bias" in text
    assert "unexpected: extra.weight" in text
    assert "wrong shape: sem_seg_head.predictor.bias" in text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    state = build_network("lite0").state_dict()
    state["depth_head.predictor.bias"][0] = value
    save(tmp_path / "bad.safetensors", state, LITE0, CITYSCAPES, {})
    with pytest.raises(
        CheckpointError, match=r"network; not finite: depth_head\.predictor\.bias$"
    ):
        load_checkpoint(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"min_depth": 0.1',
            f'"min_depth": 1{"0" * 400}',
            r"damaged metadata: model\.network\.depth",
        ),
        ('"min_depth": 0.1', f'"min_depth": {"[" * 10**5}', r"damaged metadata: "),
        # Some terabytes, and more than can be counted.
        (
            '"head_channels": 128',
            f'"head_channels": {10**7}',
            r"wrong shape: sem_seg_head\.head\.",
        ),
        (
            '"head_channels": 128',
            f'"head_channels": {10**17}',
            r"got sizes that no network can have",
        ),
        (
            '"head_channels": 128',
            f'"head_channels": {10**30}',
            r"got sizes that no network can have",
        ),
    ],
)
def test_numbers_that_are_too_large(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "large.safetensors"
    save_file(
        build_network("lite0").state_dict(),
        path,
        {
            "format": "depthlab-1",
            "model": json.dumps(LITE0.to_dict()).replace(old, new, 1),
            "labels": json.dumps(CITYSCAPES.to_dict()),
            "provenance": "{}",
        },
    )
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_weights_are_no_part_of_the_file(tmp_path: Path, lite0_checkpoint: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(lite0_checkpoint.read_bytes())
    state = load_checkpoint(path).network.state_dict()
    # In place, as cp does, and unlike save_checkpoint.
    path.write_bytes(bytes(path.stat().st_size))
    expected = load_checkpoint(lite0_checkpoint).network.state_dict()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_labels_must_fit_the_network(tmp_path: Path) -> None:
    labels = dataclasses.replace(CITYSCAPES, categories=CITYSCAPES.categories[:11])
    save(tmp_path / "a.safetensors", build_network("lite0").state_dict(), LITE0, labels, {})
    with pytest.raises(CheckpointError, match="got 11 labels for 19 classes"):
        load_checkpoint(tmp_path / "a.safetensors")
