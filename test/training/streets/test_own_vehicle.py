# SPDX-License-Identifier: Apache-2.0
"""What a camera sees of its own vehicle."""

from dataclasses import replace

import numpy as np
import pytest

from training.streets import mounting
from training.streets.appearance import POOLS
from training.streets.own_vehicle import own_vehicle
from training.streets.scene import Scene
from training.streets.town import build_town

ABOVE, BELOW = 0.3, 0.4


def elevations(seed: int, *, slanted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Angles over the horizon and to the left of the vehicle's vertices, radians."""
    mesh, _ = own_vehicle(np.random.default_rng(seed), (ABOVE, BELOW), slanted=slanted)
    x, y, z = mesh.vertices["position"].T
    return np.arctan2(z, x), np.arctan2(y, x)


@pytest.mark.parametrize("slanted", [False, True])
def test_the_view_between_hood_and_roof_is_free(slanted):
    roofs = []
    for seed in range(60):
        up, left = elevations(seed, slanted=slanted)
        ahead = np.abs(left) < 0.05
        assert up[ahead & (up < 0)].max() < -0.4 * BELOW
        roof = up[ahead & (up > 0)]
        roofs.append(roof.size > 0)
        assert np.all(roof > 0.84 * ABOVE)
    assert 0.2 < np.mean(roofs) < 0.5


@pytest.mark.parametrize(("slanted", "corners"), [(False, 2), (True, 1)])
def test_a_roof_hides_both_upper_corners_from_ahead_and_one_from_the_side(slanted, corners):
    hidden = []
    for seed in range(60):
        mesh, _ = own_vehicle(np.random.default_rng(seed), (ABOVE, BELOW), slanted=slanted)
        _, y, z = mesh.vertices["position"].T
        roof = mesh.vertices["info"] != mesh.vertices["info"][0]  # the hood is the first
        if not roof.any():
            continue
        middle = z[roof & (np.abs(y) < 0.01)].min()
        sides = [z[roof & (side * y > 0.4)].min() for side in (-1, 1)]
        hidden.append(sum(edge < middle - 0.01 for edge in sides))
    assert len(hidden) > 10
    assert set(hidden) == {corners}


def test_the_vehicle_tilts_with_the_road_as_its_camera_does():
    town = build_town(POOLS["val"], 0, 1)
    drawn = (
        mounting.rig(
            np.random.default_rng(seed), 192, 96, town.roads, town.site, mounting.Placement("car")
        )
        for seed in range(200)
    )
    rig = replace(next(rig for rig in drawn if rig.hood), road=town.roads[0], speed=10.0)
    camera_from_vehicle, pitches = [], []
    for s in np.linspace(50, 350, 7):
        moved = replace(rig, s=float(s))
        scene = Scene()
        moved.show_hood(scene, town.site, 0.0)
        ((placed,),) = scene.placements["ego/hood"]
        world_from_vehicle = np.vstack([placed["rows"], [0, 0, 0, 1]])
        pose = moved.pose_at(town.site, 0.0)
        pitches.append(float(-pose[2, 2]))
        camera_from_vehicle.append(np.linalg.inv(pose) @ world_from_vehicle)
    assert np.ptp(pitches) > 0.005  # the road is not flat
    for matrix in camera_from_vehicle[1:]:
        np.testing.assert_allclose(matrix, camera_from_vehicle[0], atol=1e-3)
    # The camera is the vehicle's origin and looks along its x.
    np.testing.assert_allclose(camera_from_vehicle[0][:3, 3], 0, atol=1e-3)
    assert camera_from_vehicle[0][2, 0] > 0.95
