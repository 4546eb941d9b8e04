# SPDX-License-Identifier: Apache-2.0
"""Frames: reproducible, consistent in themselves and over time, held out where they must be."""

from dataclasses import replace

import numpy as np
import pytest

from depthlab_core.labels import CITYSCAPES
from training.streets import mounting
from training.streets.appearance import POOLS
from training.streets.classes import LABEL_DIVISOR, SemanticClass, is_thing
from training.streets.frame import panoptic_from, smallest_instance
from training.streets.town import build_town


def test_same_seed_gives_the_same_bytes(generator_of, frames):
    again = generator_of().frame(2)
    expected = frames[2]
    assert again.name == expected.name
    np.testing.assert_array_equal(again.image, expected.image)
    np.testing.assert_array_equal(again.panoptic, expected.panoptic)
    np.testing.assert_array_equal(again.depth, expected.depth)


def test_frames_do_not_depend_on_the_order_they_are_drawn_in(generator, frames):
    np.testing.assert_array_equal(generator.frame(3).image, frames[3].image)


def test_other_seeds_and_splits_show_other_streets(generator_of, frames):
    other_seed = generator_of(seed=1).frame(0)
    held_out = generator_of("val").frame(0)
    assert (other_seed.image != frames[0].image).any()
    assert (held_out.image != frames[0].image).any()
    assert held_out.name.startswith("val_")


def test_pools_of_training_and_held_out_towns_are_disjoint():
    train, val = POOLS["train"], POOLS["val"]
    assert train.first_style + train.style_count <= val.first_style
    drawn = {
        split: [pool.style("car", np.random.default_rng(k)).integers(1 << 62) for k in range(50)]
        for split, pool in POOLS.items()
    }
    assert not set(drawn["train"]) & set(drawn["val"])


def test_shapes_types_and_value_ranges(frames):
    for frame in frames:
        height, width = 96, 192
        assert frame.image.shape == (height, width, 3)
        assert frame.image.dtype == np.uint8
        assert frame.semantic.dtype == np.uint8
        assert set(np.unique(frame.semantic)) <= {*range(19), 255}
        assert frame.panoptic.dtype == np.int32
        assert frame.depth.dtype == np.float32
        assert np.isfinite(frame.depth).all()
        assert frame.depth.min() >= 0
        assert frame.intrinsics[0, 0] == frame.intrinsics[1, 1] == frame.focal_length > 0


def test_panoptic_and_semantic_agree(frames):
    for frame in frames:
        labelled = frame.panoptic >= 0
        category = frame.panoptic[labelled] // LABEL_DIVISOR
        np.testing.assert_array_equal(category, frame.semantic[labelled])
        instance = frame.panoptic[labelled] % LABEL_DIVISOR
        assert is_thing(frame.semantic[labelled])[instance > 0].all()
        assert (frame.panoptic[frame.semantic == 255] == -1).all()


def test_things_too_small_to_tell_apart_are_crowds():
    semantic = np.full((160, 400), SemanticClass.ROAD, np.uint8)
    identity = np.zeros(semantic.shape, np.uint16)
    assert smallest_instance(512, 1024) == 66
    assert smallest_instance(64, 128) == 16
    semantic[10:12, 10:18], identity[10:12, 10:18] = SemanticClass.CAR, 1  # 16 pixels
    semantic[20:21, 10:25], identity[20:21, 10:25] = SemanticClass.CAR, 2  # 15 pixels
    semantic[30:31, 10:13], identity[30:31, 10:13] = SemanticClass.PERSON, 3
    semantic[40:50, 10:20] = SemanticClass.BICYCLE  # a rack: no numbers
    semantic[60:61, 0:5] = SemanticClass.SKY  # few pixels, but no thing
    panoptic = panoptic_from(semantic, identity)
    assert panoptic.dtype == np.int32
    assert (panoptic[10:12, 10:18] == 13001).all()
    assert (panoptic[20, 10:25] == 13000).all()
    assert (panoptic[30, 10:13] == 11000).all()
    assert (panoptic[40:50, 10:20] == -1).all()
    assert (panoptic[60, 0:5] == 10000).all()
    assert (panoptic == 0).sum() == semantic.size - 16 - 15 - 3 - 100 - 5


def test_only_sky_the_own_vehicle_and_the_gaps_of_veils_lack_depth(frames):
    veils = [SemanticClass.VEGETATION, SemanticClass.FENCE]
    veils += [SemanticClass.BICYCLE, SemanticClass.MOTORCYCLE]
    for frame in frames:
        without = frame.depth == 0
        allowed = [SemanticClass.SKY, SemanticClass.IGNORE, *veils]
        assert np.isin(frame.semantic[without], allowed).all()
        assert without[frame.semantic == SemanticClass.SKY].all()
    for veil in veils:  # they have gaps, but are there; single ones may be bare
        depth = np.concatenate([frame.depth[frame.semantic == veil] for frame in frames])
        assert np.count_nonzero(depth == 0) <= 0.7 * depth.size


def test_every_visible_thing_has_a_velocity(frames):
    for frame in frames:
        visible = {int(v) for v in np.unique(frame.panoptic) if v > 0 and v % LABEL_DIVISOR}
        assert set(frame.velocities) == visible


def test_classes_are_the_project_s_cityscapes_labels():
    names = {category.id: category.name for category in CITYSCAPES.categories}
    for semantic in SemanticClass:
        if semantic != SemanticClass.IGNORE:
            assert names[semantic].replace(" ", "_") == semantic.name.lower()
    things = {category.id for category in CITYSCAPES.categories if category.is_thing}
    assert things == {int(k) for k in range(19) if is_thing(np.array(k, np.uint8))}


def _points(frame, key):
    """World points (3, N) of what is seen of an instance."""
    v, u = np.nonzero(frame.panoptic == key)
    depth = frame.depth[v, u].astype(float)
    rays = np.linalg.inv(frame.intrinsics) @ np.stack([u, v, np.ones_like(u)]).astype(float)
    return frame.world_from_camera[:3, :3] @ (rays * depth) + frame.world_from_camera[:3, 3:]


def test_instances_keep_their_ids_and_move_as_their_velocities_say(drive):
    first, last = drive[0], drive[-1]
    elapsed = last.time - first.time
    assert elapsed == pytest.approx(0.3)
    travelled = np.linalg.norm(last.world_from_camera[:3, 3] - first.world_from_camera[:3, 3])
    assert travelled > 0.8
    found, checked = 0, 0
    height, width = first.depth.shape
    for key, velocity in first.velocities.items():
        points = _points(first, key) + np.array(velocity)[:, None] * elapsed
        camera_from_world = np.linalg.inv(last.world_from_camera)
        seen = camera_from_world[:3, :3] @ points + camera_from_world[:3, 3:]
        pixels = np.round(last.intrinsics @ seen / seen[2])[:2].astype(int)
        inside = (pixels >= 0).all(0) & (pixels[0] < width) & (pixels[1] < height)
        u, v, depth = pixels[0, inside], pixels[1, inside], seen[2, inside]
        in_front = last.depth[v, u] > depth - 1.0
        found += int((last.panoptic[v, u] == key)[in_front].sum())
        checked += int(in_front.sum())
    assert checked > 1000
    assert found / checked > 0.9


def test_a_drive_ends_with_its_road():
    town = build_town(POOLS["val"], 0, 1)
    drawn = mounting.rig(np.random.default_rng(0), 192, 96, town.roads, town.site)
    rig = replace(drawn, road=town.roads[0], s=100.0, speed=-10.0)
    assert rig.stays_on_road(9.9)
    assert not rig.stays_on_road(10.1)
    assert replace(rig, speed=10.0).stays_on_road(19.9)
    assert not replace(rig, speed=10.0).stays_on_road(20.5)


def test_a_given_kind_of_main_street_is_kept():
    towns = [build_town(POOLS["val"], 0, number, "highway") for number in range(3)]
    assert {town.roads[0].kind for town in towns} == {"highway"}
    free = [build_town(POOLS["val"], 0, number) for number in range(3)]
    assert {town.roads[0].kind for town in free} != {"highway"}


def test_a_given_placement_is_kept_and_the_place_stays():
    town = build_town(POOLS["val"], 0, 1)

    def draw(seed: int, *placement: mounting.Placement) -> mounting.Rig:
        rng = np.random.default_rng(seed)
        return mounting.rig(rng, 192, 96, town.roads, town.site, *placement)

    high = [draw(seed, mounting.Placement("mast", (7.0, 9.0))) for seed in range(20)]
    assert {rig.mount for rig in high} == {"mast"}
    assert all(7 <= rig.height <= 9 for rig in high)
    assert np.ptp([rig.height for rig in high]) > 1
    for seed, rig in enumerate(high):
        free = draw(seed)
        assert (rig.road, rig.s) == (free.road, free.s)
        # Lenses are as usual for their mount, which is wider to the sides.
        focal_length, free_one = (each.camera.focal_length for each in (rig, free))
        if free.mount == "side":
            assert focal_length >= free_one
        else:
            assert focal_length == free_one
    assert any(draw(seed).mount == "side" for seed in range(20))


@pytest.mark.parametrize("height", [(0.0, 1.0), (3.0, 2.0)])
def test_impossible_heights_are_refused(height):
    with pytest.raises(ValueError, match="camera height"):
        mounting.Placement(height=height)
