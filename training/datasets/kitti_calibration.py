# SPDX-License-Identifier: Apache-2.0
"""KITTI's calibration files: ``name: number number ...`` line by line."""

from __future__ import annotations

from pathlib import Path

from training.datasets.sample import DatasetError, require_file

Calibration = dict[str, list[float]]


def read_calibration(path: Path, dataset: str, remedy: str) -> Calibration:
    """Read the numeric entries of a ``calib_cam_to_cam`` file.

    Raises:
        DatasetError: If it does not exist.
    """
    entries: Calibration = {}
    text = require_file(path, dataset, remedy).read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines():
        name, _, values = line.partition(":")
        try:
            entries[name.strip()] = [float(value) for value in values.split()]
        except ValueError:
            continue  # the date of the calibration
    return entries


def focal_length_of(entries: Calibration, camera: str, path: Path, dataset: str) -> float:
    """Return the horizontal focal length of a rectified camera such as ``02``, pixels."""
    return _projection(entries, camera, path, dataset)[0]


def stereo_of_color_cameras(entries: Calibration, path: Path, dataset: str) -> tuple[float, float]:
    """Return focal length (pixels) and baseline (metres) of the two colour cameras."""
    left = _projection(entries, "02", path, dataset)
    right = _projection(entries, "03", path, dataset)
    # The fourth number is -f times the camera's position along x.
    baseline = (left[3] - right[3]) / left[0]
    if not baseline > 0:
        raise DatasetError(f"{dataset}: {path} gives a baseline of {baseline} m; fetch it again.")
    return left[0], baseline


def _projection(entries: Calibration, camera: str, path: Path, dataset: str) -> list[float]:
    values = entries.get(f"P_rect_{camera}", [])
    if len(values) != 12 or values[0] <= 0:
        raise DatasetError(
            f"{dataset}: {path} is damaged (no P_rect_{camera} of 12 numbers); fetch it again."
        )
    return values
