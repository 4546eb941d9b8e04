# SPDX-License-Identifier: Apache-2.0
"""The predictor: any image, consistent maps, metric depth, clear errors."""

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from depthlab_core import DepthLab, predictor
from depthlab_core.config import PostprocessConfig
from depthlab_core.gpu.interpret import GpuInterpreter


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (360, 480), (33, 200), (401, 133), (2160, 4096)])
def test_any_size_gives_consistent_maps(lite0: DepthLab, size: tuple[int, int]) -> None:
    lite0.postprocess = PostprocessConfig(stuff_area=1)
    prediction = lite0.predict(noise(*size), focal_length=500.0)
    assert prediction.panoptic_map.shape == size
    assert prediction.panoptic_map.dtype == np.int32
    assert prediction.semantic_map.shape == size
    assert prediction.semantic_map.dtype == np.uint8
    assert prediction.id_map.dtype == np.uint16
    assert prediction.depth.shape == size
    assert prediction.depth.dtype == np.float32
    assert prediction.segments
    covered = 0
    for segment in prediction.segments:
        mask = prediction.id_map == segment.id
        assert (prediction.panoptic_map[mask] == segment.panoptic_id).all()
        assert mask.sum() == segment.area
        depth = prediction.depth[mask].astype(np.float64)
        np.testing.assert_equal(np.isfinite(depth).all(), segment.category_name != "sky")
        if segment.category_name != "sky":
            assert segment.depth_mean == pytest.approx(depth.mean(), rel=1e-6)
            assert segment.depth_median == pytest.approx(np.median(depth), rel=1e-6)
        assert 0 <= segment.score <= 1
        covered += segment.area
    assert covered == (prediction.id_map > 0).sum() == (prediction.panoptic_map >= 0).sum()
    assert list(prediction.timings) == ["preprocess", "network", "postprocess", "ground"]


def test_is_deterministic(lite0: DepthLab) -> None:
    first, second = (lite0.predict(noise(96, 128), focal_length=100.0) for _ in range(2))
    np.testing.assert_array_equal(first.panoptic_map, second.panoptic_map)
    np.testing.assert_array_equal(first.depth, second.depth)


def test_depth_is_proportional_to_the_focal_length(lite0: DepthLab) -> None:
    near = lite0.predict(noise(96, 128), focal_length=200.0)
    far = lite0.predict(noise(96, 128), focal_length=600.0)
    np.testing.assert_allclose(far.depth, 3 * near.depth, rtol=1e-5)


def test_without_a_focal_length_a_field_of_view_is_assumed(lite0: DepthLab) -> None:
    prediction = lite0.predict(noise(96, 128))
    assert prediction.focal_length_assumed
    fov = lite0.config.input.default_horizontal_fov
    expected = 64 / math.tan(math.radians(fov / 2))
    assert prediction.focal_length == pytest.approx(expected)
    given = lite0.predict(noise(96, 128), focal_length=expected)
    assert not given.focal_length_assumed
    np.testing.assert_array_equal(prediction.depth, given.depth)


@pytest.mark.parametrize("focal_length", [0.0, -5.0, math.nan, math.inf])
def test_refuses_bad_focal_lengths(lite0: DepthLab, focal_length: float) -> None:
    with pytest.raises(ValueError, match=r"focal_length: got .*, expected a positive number"):
        lite0.predict(noise(64, 64), focal_length=focal_length)


def test_refuses_what_is_no_image(lite0: DepthLab) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        lite0.predict(np.zeros((64, 64)))


def test_does_not_change_the_image(lite0: DepthLab) -> None:
    image = noise(64, 64)
    image.flags.writeable = False
    lite0.predict(image)


def test_takes_views(lite0: DepthLab) -> None:
    image = noise(128, 128)
    flipped = lite0.predict(image[::-1, ::-1])
    copied = lite0.predict(np.ascontiguousarray(image[::-1, ::-1]))
    np.testing.assert_array_equal(flipped.depth, copied.depth)


def test_postprocess_may_be_replaced(lite0: DepthLab) -> None:
    image = noise(128, 128)
    lite0.postprocess = PostprocessConfig(stuff_area=1)
    assert (lite0.predict(image).panoptic_map >= 0).any()
    lite0.postprocess = dataclasses.replace(
        lite0.postprocess, stuff_area=10**9, center_threshold=1e9
    )
    assert lite0.predict(image).segments == []


def test_a_gpu_gets_the_post_processing_made_for_it(
    lite0: DepthLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any device that is no CPU stands for one.
    assert isinstance(predictor._interpret_on(torch.device("meta")), GpuInterpreter)
    monkeypatch.setattr(lite0, "postprocess", PostprocessConfig(stuff_area=1))
    expected = lite0.predict(noise(96, 128))
    monkeypatch.setattr(lite0, "_interpret", GpuInterpreter(torch.device("cpu")))
    found = lite0.predict(noise(96, 128))
    for name in ("panoptic_map", "semantic_map", "id_map", "depth"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert [segment.area for segment in found.segments] == [
        segment.area for segment in expected.segments
    ]


def test_unknown_device(lite0_checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="device: got 'tpu', expected auto or one of cpu"):
        DepthLab.load(lite0_checkpoint, device="tpu")


def test_import_is_light() -> None:
    # timm alone takes seconds; command lines that only parse arguments should not wait for it.
    code = "import sys, depthlab_core; sys.exit('timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
