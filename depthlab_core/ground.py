# SPDX-License-Identifier: Apache-2.0
"""The plane of the ground, as a prediction sees it.

A plane has an inverse depth that is linear in the pixel coordinates, ``1 / Z = a u + b v + c``.
With ``u = fx X / Z + cx`` and ``v = fy Y / Z + cy`` that is ``n . P = 1`` for the points P of the
plane, with ``n = (a fx, b fy, a cx + b cy + c)``; the camera is ``1 / |n|`` above it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import LabelSet

GROUND_CATEGORIES = ("road", "sidewalk", "terrain")
"""Names of the categories that one stands or drives on."""

FloatArray = npt.NDArray[np.float64]

_MAX_SAMPLES = 4096
_MIN_SAMPLES = 100
_ABSOLUTE_STEPS, _TUKEY_STEPS = 8, 12
# Beyond this many camera heights the ground is a few rows of pixels, and hills set in.
_REACH = 20.0
_TOLERANCE = 0.1


@dataclass(frozen=True)
class GroundFit:
    """The plane of the ground in one prediction; NaN where no plane was found.

    Attributes:
        height: Of the camera over the plane in metres, by the depth as the network gave it.
        pitch_deg: Positive looks down.
        roll_deg: Positive leans right: the right side of the image is nearer to the ground.
        residual: Median relative distance of the pixels from the plane, in inverse depth.
        inlier_ratio: Share of the ground's pixels within 10 % of the plane, 0 to 1. Pixels
            farther than 20 camera heights do not count.
        samples: Number of pixels that were looked at.
        scale: What depth has been multiplied by.
        applied: Whether it has been.
    """

    height: float = math.nan
    pitch_deg: float = math.nan
    roll_deg: float = math.nan
    residual: float = math.nan
    inlier_ratio: float = 0.0
    samples: int = 0
    scale: float = 1.0
    applied: bool = False


def fit_ground(
    depth: npt.NDArray[np.float32],
    semantic_map: npt.NDArray[np.uint8],
    labels: LabelSet,
    *,
    fx: float,
    fy: float | None = None,
    cx: float | None = None,
    cy: float | None = None,
) -> GroundFit:
    """Fit a plane to the ground's pixels; the same input gives the same plane.

    Args:
        depth: float32 ``(H, W)``, metres along Z; what is not positive or not finite is unknown.
        semantic_map: uint8 ``(H, W)``, category ids.
        labels: Tells which categories are ground: those of ``GROUND_CATEGORIES``.
        fx: Horizontal focal length in pixels.
        fy: Vertical one; None: the same.
        cx: Column of the principal point, pixel centres at whole numbers; None: the middle.
        cy: Row of the principal point; None: the middle.

    Returns:
        The plane, or a ``GroundFit()`` of NaN where there are too few pixels for one or they do
        not lie under the camera.
    """
    height, width = depth.shape
    u, v, inverse_depth = _ground_samples(depth, semantic_map, labels)
    if len(inverse_depth) < _MIN_SAMPLES:
        return GroundFit(samples=len(inverse_depth))
    # Coordinates relative to the principal point and of the order of 1 keep the system well posed.
    fy = fx if fy is None else fy
    x = (u - ((width - 1) / 2 if cx is None else cx)) / fx
    y = (v - ((height - 1) / 2 if cy is None else cy)) / fy
    rays = np.stack([x, y, np.ones_like(x)], axis=1)
    normal = _fit_plane(rays, inverse_depth)
    length = float(np.linalg.norm(normal))
    if not (math.isfinite(length) and length > 0 and normal[1] > 0):
        return GroundFit(samples=len(inverse_depth))

    fitted = rays @ normal
    near = fitted > length / _REACH
    if np.count_nonzero(near) < _MIN_SAMPLES:
        return GroundFit(samples=len(inverse_depth))
    error = np.abs(inverse_depth[near] / fitted[near] - 1)
    # Ground that the plane puts beyond its horizon contradicts it.
    beyond = np.count_nonzero((fitted <= 0) & (inverse_depth > length / _REACH))
    down = normal / length
    return GroundFit(
        height=1 / length,
        pitch_deg=math.degrees(math.asin(down[2])),
        roll_deg=math.degrees(math.atan2(down[0], down[1])),
        residual=float(np.median(error)),
        inlier_ratio=int(np.count_nonzero(error < _TOLERANCE)) / (len(error) + int(beyond)),
        samples=len(inverse_depth),
    )


def _ground_samples(
    depth: npt.NDArray[np.float32], semantic_map: npt.NDArray[np.uint8], labels: LabelSet
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return columns, rows and inverse depth of at most ``_MAX_SAMPLES`` pixels of ground."""
    is_ground = np.zeros(256, bool)
    is_ground[[c.id for c in labels.categories if c.name in GROUND_CATEGORIES]] = True
    # A quarter of a street's pixels, or less, is ground: no need to look at all of them.
    stride = max(1, math.isqrt(depth.size // (8 * _MAX_SAMPLES)))
    grid = np.s_[stride // 2 :: stride, stride // 2 :: stride]
    candidates = depth[grid]
    known = is_ground[semantic_map[grid]] & np.isfinite(candidates) & (candidates > 0)
    rows, columns = np.nonzero(known)
    every = -(-len(rows) // _MAX_SAMPLES) if len(rows) else 1
    rows, columns = rows[::every], columns[::every]
    return (
        columns.astype(np.float64) * stride + stride // 2,
        rows.astype(np.float64) * stride + stride // 2,
        1 / candidates[rows, columns].astype(np.float64),
    )


def _fit_plane(rays: FloatArray, inverse_depth: FloatArray) -> FloatArray:
    """Return the ``n`` of ``rays @ n = inverse_depth``, by reweighted least squares.

    Least absolute differences first, which gross outliers do not carry away; then Tukey's
    biweight, which forgets them. A network errs by a share of the depth, so from then on residuals
    are relative to the plane.
    """
    weight = np.ones_like(inverse_depth)
    floor = 1e-3 * float(np.median(inverse_depth))
    normal = _least_squares(rays, inverse_depth, weight)
    for _ in range(_ABSOLUTE_STEPS):
        residual = np.abs(inverse_depth - rays @ normal)
        normal = _least_squares(rays, inverse_depth, 1 / np.maximum(residual, floor))
    for _ in range(_TUKEY_STEPS):
        fitted = rays @ normal
        nearest = max(float(np.linalg.norm(normal)) / _REACH, 1e-12)
        unit = np.maximum(fitted, nearest)
        residual = (inverse_depth - fitted) / unit
        near = np.abs(residual[fitted > nearest])
        deviation = np.median(near) if len(near) else 1.0
        width = 4.685 * max(1.4826 * float(deviation), 5e-3)
        weight = np.square(1 - np.minimum(np.square(residual / width), 1)) / np.square(unit)
        weight[fitted <= nearest] = 0
        normal = _least_squares(rays, inverse_depth, weight)
    return normal


def _least_squares(rays: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
    weighted = rays * weight[:, None]
    # lstsq copes with pixels on one line, which leave a direction open.
    return np.asarray(np.linalg.lstsq(weighted.T @ rays, weighted.T @ target, rcond=1e-12)[0])
