# SPDX-License-Identifier: Apache-2.0
"""The renderer against geometry that can be worked out by hand."""

import numpy as np
import pytest

from training.streets.camera import Camera, mounted
from training.streets.classes import SemanticClass
from training.streets.gpu import RendererError
from training.streets.lighting import Conditions, light
from training.streets.mesh import Material, Surface, quads
from training.streets.renderer import Renderer, antialiased
from training.streets.scene import Scene
from training.streets.shapes import box, pose
from training.streets.textures import LAYERS, NOISE

WIDTH, HEIGHT = 160, 80


@pytest.fixture(scope="module")
def renderer():
    try:
        made = Renderer(WIDTH, HEIGHT)
    except RendererError as error:
        pytest.fail(str(error), pytrace=False)
    made.load_atlas(np.full((LAYERS, 8, 8, 4), 255, np.uint8))
    return made


@pytest.fixture(scope="module")
def noon():
    state = Conditions("clear", 0.3, 0.9, 0.0, 5000.0)
    return light(state, np.random.default_rng(0))


def camera(pitch=0.0, lift=1.5):
    matrix = mounted(np.zeros(3), np.pi / 2, lift, pitch=pitch, roll=0.03)
    return Camera(WIDTH, HEIGHT, 120.0, (81.3, 37.9), matrix)


def rays(view):
    """World directions (H, W, 3) of all pixel centres, of unit length along the optical axis."""
    v, u = np.mgrid[0 : view.height, 0 : view.width]
    pixels = np.stack([u, v, np.ones_like(u)], -1).astype(float)
    return pixels @ np.linalg.inv(view.intrinsics).T @ view.world_from_camera[:3, :3].T


def road_plane():
    corners = np.array([[[-400, -400, 0], [400, -400, 0], [400, 400, 0], [-400, 400, 0]]])
    return quads(corners, Surface(SemanticClass.ROAD, material=Material.GROUND))


@pytest.mark.parametrize("pitch", [-0.05, 0.0, 0.35])
def test_depth_of_a_plane_is_exact(renderer, noon, pitch):
    view = camera(pitch)
    scene = Scene()
    scene.add("road", road_plane())
    raw = renderer.render(scene, view, noon)
    down = -rays(view)[..., 2]
    expected = np.where(down > 0, 1.5 / np.maximum(down, 1e-9), np.inf)
    seen = expected < 150
    assert seen.sum() > 1000
    np.testing.assert_allclose(raw.depth[seen], expected[seen], rtol=2e-4)
    assert (raw.semantic[seen] == SemanticClass.ROAD).all()


@pytest.mark.parametrize("material", [Material.GROUND, Material.FOLIAGE])
def test_grain_shows_from_near_and_leaves_the_mean_as_it_is(noon, material):
    """Texels of 1.6 cm alone would leave it blurred from near and sharp from afar only."""
    grey = np.full((LAYERS, 256, 256, 4), 128, np.uint8)
    grey[..., 3] = 255
    grainy = grey.copy()
    grainy[NOISE, ..., 1] = np.random.default_rng(0).integers(64, 193, (256, 256))
    corners = np.array([[[-40, -40, 0], [40, -40, 0], [40, 40, 0], [-40, 40, 0]]])
    scene = Scene()
    surface = Surface(SemanticClass.TERRAIN, material=material)
    scene.add("plane", quads(corners, surface, uv=corners[0, :, :2] / 4.0))
    view = camera(0.5)
    images = []
    for atlas in (grey, grainy):
        own = Renderer(WIDTH, HEIGHT)
        own.load_atlas(atlas)
        images.append(own.render(scene, view, noon).radiance[..., 1])
    plain, grained = (image[-30:] for image in images)  # 1.4 to 2.5 m away
    contrast = [
        float(np.abs(np.diff(rows, axis=1) / rows.mean()).mean()) for rows in (plain, grained)
    ]
    assert contrast[0] < 0.02
    assert contrast[1] > 3 * contrast[0]
    assert grained.mean() == pytest.approx(plain.mean(), rel=0.05)


def test_polish_mirrors_outlines_against_the_sky(noon):
    atlas = np.full((LAYERS, 64, 64, 4), 255, np.uint8)
    # Half of what stands around is low, the other half hides all of the sky that is mirrored.
    atlas[NOISE, ..., 0] = np.where(np.arange(64) < 32, 40, 255)
    own = Renderer(WIDTH, HEIGHT)
    own.load_atlas(atlas)
    corners = np.array([[[-9, 0.3, 1.2], [9, 0.3, 1.2], [9, 9, 1.2], [-9, 9, 1.2]]])
    halves = []
    for material in (Material.MATTE, Material.PAINT):
        black = Surface(SemanticClass.CAR, material=material, color=(10, 10, 10))
        scene = Scene()
        scene.add(material.name, quads(corners, black))
        rows = own.render(scene, camera(), noon).radiance[50:, :, 2]
        halves.append((float(rows[:, :70].mean()), float(rows[:, 90:].mean())))
    (left, right), (hidden, sky) = halves
    assert left == pytest.approx(right, rel=0.2)
    assert sky > 1.3 * hidden
    assert hidden > 5 * left


def test_sky_has_its_class_and_no_depth(renderer, noon):
    view = camera()
    raw = renderer.render(Scene(), view, noon)
    assert (raw.semantic == SemanticClass.SKY).all()
    assert (raw.depth == 0).all()
    assert (raw.identity == 0).all()


def test_box_covers_exactly_the_pixels_whose_rays_meet_it(renderer, noon):
    view = camera()
    scene = Scene()
    scene.add("road", road_plane())
    solid = box((2.0, 0.02, 1.4), Surface(SemanticClass.CAR))
    scene.add("car", solid, pose(0.7, 9.0), identity=7)
    raw = renderer.render(scene, view, noon)
    # The front face is the plane y = 9 - 0.01.
    direction = rays(view)
    point = view.position + direction * (8.99 / direction[..., 1:2])
    inside = (
        (np.abs(point[..., 0] - 0.7) < 0.995) & (point[..., 2] > 0.005) & (point[..., 2] < 1.395)
    )
    outside = (np.abs(point[..., 0] - 0.7) > 1.01) | (point[..., 2] > 1.41)
    car = raw.semantic == SemanticClass.CAR
    assert inside.sum() > 200
    assert car[inside].all()
    assert not car[outside].any()
    assert (raw.identity[inside] == 7).all()
    along_axis = 8.99 / direction[..., 1]
    np.testing.assert_allclose(raw.depth[inside], along_axis[inside], rtol=2e-4)


def test_nearer_instance_hides_the_farther_one(renderer, noon):
    scene = Scene()
    solid = box((2.0, 2.0, 2.0), Surface(SemanticClass.CAR))
    for identity, distance in ((1, 20.0), (2, 8.0)):
        scene.add("car", solid, pose(0.0, distance), identity=identity)
    raw = renderer.render(scene, camera(), noon)
    row = raw.identity[40]
    assert 2 in row
    assert 1 not in row


def test_own_hood_is_ignored_and_has_no_depth(renderer, noon):
    scene = Scene()
    hood = quads(
        np.array([[[-1, 0.3, 1.0], [1, 0.3, 1.0], [1, 1.2, 1.0], [-1, 1.2, 1.0]]]),
        Surface(SemanticClass.IGNORE),
    )
    scene.add("ego/hood", hood, identity=65535)
    raw = renderer.render(scene, camera(pitch=0.3), noon)
    own = raw.semantic == SemanticClass.IGNORE
    assert own.any()
    assert (raw.depth[own] == 0).all()


@pytest.mark.parametrize(("opacity", "has_depth"), [(8, False), (40, False), (70, True)])
def test_gaps_of_a_veil_are_labelled_but_show_what_is_behind(opacity, has_depth):
    atlas = np.full((LAYERS, 8, 8, 4), 255, np.uint8)
    atlas[5, ..., :3], atlas[5, ..., 3] = 0, opacity
    veiled = Renderer(WIDTH, HEIGHT)
    veiled.load_atlas(atlas)
    noon = light(Conditions("clear", 0.3, 0.9, 0.0, 5000.0), np.random.default_rng(0))
    bare = veiled.render(Scene(), camera(), noon)
    scene = Scene()
    fence = quads(
        np.array([[[-30, 5, -3], [30, 5, -3], [30, 5, 9], [-30, 5, 9]]]),
        Surface(SemanticClass.FENCE, layer=5, material=Material.VEIL),
    )
    scene.add("fence", fence)
    raw = veiled.render(scene, camera(), noon)
    assert (raw.semantic == SemanticClass.FENCE).all()
    if has_depth:
        np.testing.assert_allclose(raw.depth, raw.depth[40, 80], rtol=0.15)
        assert raw.depth[40, 80] == pytest.approx(5, rel=0.1)
    else:
        assert (raw.depth == 0).all()
    seen_through = bare.radiance * (1 - opacity / 255)
    np.testing.assert_allclose(raw.radiance, seen_through, rtol=0.03, atol=0.01)


def test_antialiasing_keeps_a_constant_and_centres_on_the_first_sample():
    flat = np.full((8, 8, 3), 0.4, np.float32)
    np.testing.assert_allclose(antialiased(flat, 2), 0.4, rtol=1e-6)
    spike = np.zeros((8, 8, 3), np.float32)
    spike[4, 4] = 1.0
    result = antialiased(spike, 2)
    assert result[2, 2, 0] == pytest.approx(0.25)
    assert result.sum() == pytest.approx(0.75)
