# SPDX-License-Identifier: Apache-2.0
"""The ground's plane: rendered analytically, it comes back; what is no plane changes nothing."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlab_core import CITYSCAPES, DepthLab, GroundFit, GroundScaler
from depthlab_core.ground import fit_ground
from depthlab_core.ground_scale import GroundLimits
from depthlab_core.prediction import Prediction
from depthlab_core.segments import compute_segments

ROAD, BUILDING, TERRAIN, SKY = 0, 2, 9, 10
GOOD = GroundFit(
    height=1.2, pitch_deg=1.0, roll_deg=0.0, residual=0.01, inlier_ratio=0.9, samples=2000
)


def render(
    camera_height: float,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
    *,
    size: tuple[int, int] = (128, 256),
    focal: tuple[float, float] = (200.0, 200.0),
    center: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and categories of a road up to the horizon, and sky."""
    height, width = size
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    down = (math.sin(roll) * math.cos(pitch), math.cos(roll) * math.cos(pitch), math.sin(pitch))
    cx, cy = center or ((width - 1) / 2, (height - 1) / 2)
    v, u = np.mgrid[:height, :width]
    inverse = (down[0] * (u - cx) / focal[0] + down[1] * (v - cy) / focal[1] + down[2]) / (
        camera_height
    )
    is_road = inverse > 1 / 200
    depth = np.full(size, np.nan, np.float32)
    depth[is_road] = 1 / inverse[is_road]
    return depth, np.where(is_road, ROAD, SKY).astype(np.uint8)


def assert_plane(fit: GroundFit, height: float, pitch: float, roll: float, rel: float) -> None:
    assert fit.height == pytest.approx(height, rel=rel)
    assert fit.pitch_deg == pytest.approx(pitch, abs=40 * rel)
    assert fit.roll_deg == pytest.approx(roll, abs=40 * rel)


@pytest.mark.parametrize("height", [0.3, 1.65, 6.0])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (8, 0), (-5, 3), (30, -10)])
def test_an_exact_plane_comes_back(height: float, pitch: float, roll: float) -> None:
    fit = fit_ground(*render(height, pitch, roll), CITYSCAPES, fx=200.0)
    assert_plane(fit, height, pitch, roll, 1e-4)
    assert fit.residual < 1e-4
    assert fit.inlier_ratio == 1.0
    assert (fit.scale, fit.applied) == (1.0, False)


def test_intrinsics_are_used() -> None:
    maps = render(1.5, 4.0, 2.0, focal=(220.0, 180.0), center=(110.0, 80.0))
    fit = fit_ground(*maps, CITYSCAPES, fx=220.0, fy=180.0, cx=110.0, cy=80.0)
    assert_plane(fit, 1.5, 4.0, 2.0, 1e-4)


@settings(max_examples=25, deadline=None)
@given(
    height=st.floats(0.2, 8.0),
    pitch=st.floats(-8.0, 40.0),
    roll=st.floats(-15.0, 15.0),
    factor=st.floats(0.1, 10.0),
)
def test_the_height_grows_with_depth(
    height: float, pitch: float, roll: float, factor: float
) -> None:
    depth, categories = render(height, pitch, roll)
    fit = fit_ground(depth, categories, CITYSCAPES, fx=200.0)
    scaled = fit_ground(depth * np.float32(factor), categories, CITYSCAPES, fx=200.0)
    assert_plane(fit, height, pitch, roll, 1e-3)
    assert_plane(scaled, height * factor, pitch, roll, 1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_third_of_scattered_outliers_and_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth, categories = render(1.6, 3.0, -2.0)
    depth = depth * np.exp(rng.normal(0, 0.02, depth.shape)).astype(np.float32)
    wrong = rng.random(depth.shape) < 0.3
    depth[wrong] *= rng.uniform(0.1, 0.7, wrong.sum()).astype(np.float32)
    fit = fit_ground(depth, categories, CITYSCAPES, fx=200.0)
    assert_plane(fit, 1.6, 3.0, -2.0, 0.01)
    assert fit.inlier_ratio == pytest.approx(0.7, abs=0.05)


def test_a_wall_taken_for_ground_over_thirty_percent() -> None:
    depth, categories = render(1.6, 3.0)
    columns = int(0.3 * depth.shape[1])
    depth[:, :columns] = np.minimum(np.nan_to_num(depth[:, :columns], nan=9.0), 4.0)
    categories[64:, :columns] = TERRAIN
    fit = fit_ground(depth, categories, CITYSCAPES, fx=200.0)
    assert_plane(fit, 1.6, 3.0, 0.0, 0.01)
    assert fit.inlier_ratio < 0.9


def test_only_ground_counts() -> None:
    depth, categories = render(1.6)
    depth[:, :100], categories[:, :100] = 5.0, BUILDING
    assert_plane(fit_ground(depth, categories, CITYSCAPES, fx=200.0), 1.6, 0, 0, 1e-4)


def test_unknown_depth_does_not_count() -> None:
    depth, categories = render(1.6)
    depth[:, :60] = np.nan
    depth[:, 60:90] = -3.0
    depth[:, 90:100] = np.inf
    assert_plane(fit_ground(depth, categories, CITYSCAPES, fx=200.0), 1.6, 0, 0, 1e-4)


def test_size_and_memory_order_do_not_matter() -> None:
    small = fit_ground(*render(1.6, 3.0), CITYSCAPES, fx=200.0)
    depth, categories = render(1.6, 3.0, size=(1024, 2048), focal=(1600.0, 1600.0))
    large = fit_ground(depth, categories, CITYSCAPES, fx=1600.0)
    assert_plane(large, small.height, small.pitch_deg, small.roll_deg, 1e-3)
    fortran = fit_ground(np.asfortranarray(depth), categories, CITYSCAPES, fx=1600.0)
    assert fortran == large


def test_no_plane_without_ground() -> None:
    depth, categories = render(1.6)
    fit = fit_ground(depth, np.full_like(categories, BUILDING), CITYSCAPES, fx=200.0)
    assert math.isnan(fit.height)
    assert fit.samples == 0
    updated = GroundScaler(1.6).update(fit)
    assert (updated.scale, updated.applied) == (1.0, False)


def test_a_wall_is_no_ground() -> None:
    depth = np.full((128, 256), 5.0, np.float32)
    fit = fit_ground(depth, np.zeros((128, 256), np.uint8), CITYSCAPES, fx=200.0)
    assert not GroundScaler(1.6).update(fit).applied


def test_noise_is_no_ground() -> None:
    depth = np.random.default_rng(0).uniform(1, 50, (128, 256)).astype(np.float32)
    fit = fit_ground(depth, np.zeros((128, 256), np.uint8), CITYSCAPES, fx=200.0)
    assert not GroundScaler(1.6).update(fit).applied


@pytest.mark.parametrize(
    "poor",
    [
        GroundFit(),
        replace(GOOD, samples=50),
        replace(GOOD, inlier_ratio=0.3),
        replace(GOOD, pitch_deg=75.0),
        replace(GOOD, roll_deg=-40.0),
        replace(GOOD, height=0.1),
        replace(GOOD, height=30.0),
    ],
)
def test_a_poor_fit_is_left_alone_and_a_good_one_is_kept(poor: GroundFit) -> None:
    scaler = GroundScaler(1.5)
    assert (scaler.update(poor).scale, scaler.update(poor).applied) == (1.0, False)
    assert scaler.update(GOOD).scale == pytest.approx(1.25)
    held = scaler.update(poor)
    assert held.scale == pytest.approx(1.25)
    assert held.applied
    scaler.reset()
    assert not scaler.update(poor).applied


def test_smoothing_is_of_the_logarithm() -> None:
    scaler = GroundScaler(1.0, smoothing=0.75)
    assert scaler.update(replace(GOOD, height=1.0)).scale == pytest.approx(1.0)
    assert scaler.update(replace(GOOD, height=1 / 1.6)).scale == pytest.approx(1.6**0.25)
    for _ in range(60):
        last = scaler.update(replace(GOOD, height=1 / 1.6))
    assert last.scale == pytest.approx(1.6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=20), st.floats(0, 0.95))
def test_the_scale_stays_between_those_seen(heights: list[float], smoothing: float) -> None:
    scaler = GroundScaler(1.0, smoothing=smoothing)
    for count, height in enumerate(heights, start=1):
        scale = scaler.update(replace(GOOD, height=height)).scale
        seen = [1 / h for h in heights[:count]]
        assert min(seen) * (1 - 1e-9) <= scale <= max(seen) * (1 + 1e-9)


@pytest.mark.parametrize("height", [0.0, -1.0, math.nan, math.inf])
def test_bad_heights_are_refused(lite0: DepthLab, height: float) -> None:
    with pytest.raises(ValueError, match=r"camera_height: got .*, expected a positive number"):
        GroundScaler(height)
    with pytest.raises(ValueError, match=r"camera_height: got .*, expected a positive number"):
        lite0.predict(np.zeros((64, 64, 3), np.uint8), camera_height=height)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="smoothing: got 1"):
        GroundScaler(1.0, smoothing=1.0)
    with pytest.raises(ValueError, match=r"max_scale: got 0\.5"):
        GroundLimits(max_scale=0.5)
    with pytest.raises(ValueError, match="max_scale: got nan"):
        GroundLimits(max_scale=math.nan)


def test_scaling_a_prediction_scales_every_depth() -> None:
    depth, categories = render(1.2, 3.0)
    panoptic = categories.astype(np.int32) * 1000
    ones = np.ones_like(depth)

    def predicted(depth: np.ndarray) -> Prediction:
        segments, id_map = compute_segments(panoptic, depth, ones, ones, CITYSCAPES)
        ground = fit_ground(depth, categories, CITYSCAPES, fx=200.0)
        return Prediction(
            panoptic, categories, id_map, depth, segments, 200.0, False, {}, ground=ground
        )

    raw = predicted(depth)
    assert raw.ground is not None
    scaled = raw.scaled_to(GroundScaler(1.8).update(raw.ground))
    assert scaled.ground is not None
    assert scaled.ground.scale == pytest.approx(1.5, rel=1e-4)
    assert scaled.depth.dtype == np.float32
    expected = predicted(depth * np.float32(1.5))
    np.testing.assert_allclose(scaled.depth, expected.depth, rtol=1e-4)
    for segment, like in zip(scaled.segments, expected.segments, strict=True):
        for name in ("mean", "median", "std", "p05", "p95", "valid_ratio"):
            value, wanted = (getattr(s, f"depth_{name}") for s in (segment, like))
            assert value == pytest.approx(wanted, rel=1e-3, nan_ok=True)
        assert replace(segment, depth_mean=0.0).bbox == like.bbox
    again = fit_ground(scaled.depth, categories, CITYSCAPES, fx=200.0)
    assert again.height == pytest.approx(1.8, rel=1e-4)


def test_the_predictor_looks_for_the_ground(lite0: DepthLab, lite0_checkpoint: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    plain = lite0.predict(image, focal_length=100.0)
    assert plain.ground is not None
    assert not plain.ground.applied
    tall = lite0.predict(image, focal_length=100.0, camera_height=2.0)
    assert tall.ground is not None
    np.testing.assert_allclose(tall.depth, plain.depth * np.float32(tall.ground.scale), rtol=1e-6)
