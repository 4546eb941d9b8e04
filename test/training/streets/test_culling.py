# SPDX-License-Identifier: Apache-2.0
"""What is drawn, against places that can be worked out by hand."""

import numpy as np
import pytest

from training.streets.camera import Camera, mounted
from training.streets.culling import Copies, in_view, may_shade
from training.streets.scene import instance
from training.streets.shapes import pose

# At the origin, 1.5 m high, looking along y, 90 degrees wide.
CAMERA = Camera(200, 100, 100.0, (99.5, 49.5), mounted(np.zeros(3), np.pi / 2, 1.5))
EAST, STEEP = np.array([0.995, 0.0, 0.1]), np.array([0.1, 0.0, 0.995])


def copies_at(*places):
    records = [instance(pose(x, y)) for x, y in places]
    return Copies.of({"pole": records}, {"pole": 1.0})


def test_in_view_keeps_what_reaches_into_the_picture():
    inside, behind, left, at_the_edge = (0, 10), (0, -10), (-30, 10), (-11, 10)
    kept = in_view(copies_at(inside, behind, left, at_the_edge), CAMERA)
    assert kept.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("place", "sun", "expected"),
    [
        ((0, 10), STEEP, True),
        ((40, 10), EAST, True),  # out of view, but its shadow falls into it
        ((-40, 10), EAST, False),  # the shadow leads away
        ((40, 10), STEEP, False),
        ((0, -40), EAST, False),  # behind, and the shadow runs along the back
        ((0, -40), np.array([0.0, -0.995, 0.1]), True),
    ],
)
def test_may_shade_keeps_what_throws_its_shadow_into_the_picture(place, sun, expected):
    assert may_shade(copies_at(place), CAMERA, sun, 60.0).tolist() == [expected]


def test_copies_of_a_mesh_are_found_under_its_name():
    small, large = instance(pose(1, 0)), instance(np.diag([3.0, 1.0, 1.0, 1.0]))
    placements = {"a": [small, large], "empty": [], "b": [instance(pose(2, 0))]}
    copies = Copies.of(placements, {"a": 2.0, "empty": 9.0, "b": 5.0})
    assert copies.radii.tolist() == pytest.approx([2.0, 6.0, 5.0])
    found = dict(copies.by_name(np.array([False, True, True])))
    assert {name: places.tolist() for name, places in found.items()} == {"a": [1], "b": [2]}
    assert copies.distance(np.array([1.0, 0.0, 0.0])).tolist() == [0.0, 1.0, 1.0]
    assert not Copies.of({}, {}).placed.size
