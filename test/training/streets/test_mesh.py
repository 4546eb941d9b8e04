# SPDX-License-Identifier: Apache-2.0
"""Grids, solids and curves against sizes worked out by hand."""

import numpy as np
import pytest

from training.streets.classes import SemanticClass
from training.streets.curve import curve
from training.streets.mesh import EMPTY, Material, Surface, grid, merge
from training.streets.shapes import box, ellipsoid, pose, tube

SURFACE = Surface(SemanticClass.CAR, layer=12, material=Material.PAINT, slot=2, ground_offset=3)


def triangle_area(mesh):
    a, b, c = (mesh.vertices["position"][mesh.triangles[:, k]] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def test_info_word_packs_what_the_shaders_unpack():
    info = SURFACE.info
    assert info & 255 == 12
    assert info >> 8 & 15 == 2
    assert info >> 12 & 15 == Material.PAINT
    assert info >> 16 & 255 == SemanticClass.CAR
    assert info >> 24 == 3


def test_box_has_the_surface_of_a_box_and_outward_axis_normals():
    mesh = box((2, 3, 4), SURFACE, center=(5, 0, 1))
    assert triangle_area(mesh) == pytest.approx(2 * (2 * 3 + 3 * 4 + 2 * 4), rel=1e-5)
    position = mesh.vertices["position"]
    np.testing.assert_allclose(position.min(0), [4, -1.5, 1])
    np.testing.assert_allclose(position.max(0), [6, 1.5, 5])
    assert set(np.abs(mesh.vertices["normal"]).sum(1).round(5)) == {1.0}


def test_round_things_have_about_the_right_surface():
    ball = ellipsoid((0, 0, 0), (1, 1, 1), SURFACE, sides=24, rings=16)
    assert triangle_area(ball) == pytest.approx(4 * np.pi, rel=0.03)
    pipe = tube(np.array([[0, 0, 0], [0, 0, 3.0]]), 0.5, SURFACE, sides=24, caps=False)
    assert triangle_area(pipe) == pytest.approx(2 * np.pi * 0.5 * 3, rel=0.03)


def test_flat_and_smooth_grids_leave_out_the_same_quads():
    y, x = np.mgrid[0:4, 0:5].astype(float)
    points = np.stack([x, y, 0 * x], -1)
    for flat in (False, True):
        mesh = grid(points, SURFACE, flat=flat, skip=[(0, 0), (2, 3)])
        assert triangle_area(mesh) == pytest.approx(10.0)
        np.testing.assert_allclose(np.abs(mesh.vertices["normal"][:, 2]), 1.0)


def test_merging_keeps_every_triangle_in_place():
    near, far = box((1, 1, 1), SURFACE), box((2, 2, 2), SURFACE).transformed(pose(9, 0, 0, 0.3))
    both = merge([near, EMPTY, far])
    assert triangle_area(both) == pytest.approx(triangle_area(near) + triangle_area(far))
    assert merge([]) is EMPTY


def test_curve_places_points_beside_and_beyond_its_line():
    straight = curve(np.random.default_rng(0), np.zeros(2), 0.0, 100.0, 0.0)
    np.testing.assert_allclose(straight.at(40.0, 3.0), [40.0, 3.0], atol=1e-9)
    np.testing.assert_allclose(straight.at(-10.0, -2.0), [-10.0, -2.0], atol=1e-9)
    np.testing.assert_allclose(straight.at(130.0), [130.0, 0.0], atol=1e-9)
