# SPDX-License-Identifier: Apache-2.0
"""A jump in what depth is metric by is no motion: nothing comes nearer by it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from depthlab_core.ground import GroundFit
from depthlab_core.track import TrackState
from depthlab_ros.continuity import Continuity

RATE = 15.0
FOUND = GroundFit(height=1.0, inlier_ratio=0.9, samples=1000, pitch_deg=2.0, roll_deg=0.5)
NOT_FOUND = dataclasses.replace(FOUND, inlier_ratio=0.1)
IMAGE = np.full((6, 8, 3), 200, np.uint8)


@dataclasses.dataclass
class View:
    """What one frame is measured by; the car in it stands 12 m away for a lens of 500 px."""

    focal_length: float | None = 500.0
    camera_height: float | None = None
    ground: GroundFit = FOUND
    distance: float = 12.0


def follow(stub, views: list[View]) -> list[TrackState]:
    continuity, states = Continuity(), []
    for number, view in enumerate(views):
        seen = stub.predict(IMAGE, view.focal_length)
        factor = view.distance / 12.0 * seen.focal_length / 500.0
        seen = dataclasses.replace(
            seen, ground=view.ground, segments=[s.scaled(factor) for s in seen.segments]
        )
        _, tracks = continuity.follow(
            seen, number / RATE, "front", tracking=True, camera_height=view.camera_height
        )
        states += tracks.values()
    return states


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (View(focal_length=None), View(focal_length=345.0)),
        (View(focal_length=500.0), View(focal_length=400.0)),
        (View(), View(camera_height=0.67)),
        (View(camera_height=0.67, ground=NOT_FOUND), View(camera_height=0.67)),
        (View(camera_height=0.67), View()),
        (View(camera_height=1.0), View(camera_height=1.4)),
    ],
    ids=[
        "calibration comes",
        "other calibration",
        "height comes",
        "ground comes",
        "height goes",
        "other mounting",
    ],
)
@pytest.mark.parametrize("frames_before", [1, 2, 30])
def test_what_stands_still_does_not_come_nearer(stub, before, after, frames_before):
    states = follow(stub, [before] * frames_before + [after] * 30)
    assert {state.track_id for state in states} == {1}
    known = [state for state in states if not math.isnan(state.closing_speed)]
    assert all(abs(state.closing_speed) < 0.01 for state in known)
    assert all(state.time_to_contact > 1000 for state in known)
    # Not by knowing nothing: after a second it does again.
    assert math.isnan(states[frames_before].closing_speed)
    assert not any(math.isnan(state.closing_speed) for state in states[frames_before + 15 :])


def test_a_zoom_is_no_jump(stub):
    # The car's true distance grows by 2 m/s; lens and image change together.
    zoom = [
        View(focal_length=500.0 * 1.02**n, distance=(12.0 + 2.0 * n / RATE) / 1.02**n)
        for n in range(45)
    ]
    states = follow(stub, zoom)
    assert states[-1].closing_speed == pytest.approx(-2.0, abs=0.1)
    assert not any(math.isnan(state.closing_speed) for state in states[15:])
