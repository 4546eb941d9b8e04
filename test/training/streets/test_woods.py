# SPDX-License-Identifier: Apache-2.0
"""Woods: beyond the front, never on a road or in a building, some closed by undergrowth."""

import numpy as np
import pytest

from training.streets import vegetation
from training.streets.curve import curve, relief
from training.streets.roads import RoadKind, road
from training.streets.site import Site
from training.streets.woods import plant_woods

FRONT = 15.0
LENGTH = 300.0
DESIGNS = {
    kind: [(kind, maker(np.random.default_rng(0)))]
    for kind, maker in (
        ("tree", vegetation.leafy_tree),
        ("old_tree", vegetation.old_tree),
        ("shrub", vegetation.shrub),
    )
}


def straight_road(kind: RoadKind):
    # From the origin along x: a place's y is its distance from the centre line.
    line = curve(np.random.default_rng(0), np.zeros(2), 0.0, LENGTH, 0.0)
    return road(np.random.default_rng(0), kind, line, left_hand=False, sloped=False)


def planted(seed: int, kind: RoadKind = "suburb", site: Site | None = None):
    """Return places (x, y) of trees, of shrubs and of old trees, each ``(N, 2)``."""
    rng = np.random.default_rng(seed)
    site = site or new_site()
    plant_woods(site, straight_road(kind), (FRONT, FRONT), DESIGNS, rng)
    placements = site.scene().placements
    return tuple(
        np.array([place["rows"][0][:2, 3] for place in placements.get(name, [])]).reshape(-1, 2)
        for name in ("tree", "shrub", "old_tree")
    )


def new_site() -> Site:
    return Site(relief(np.random.default_rng(0)), np.array([LENGTH / 2, 0.0]))


def test_woods_stand_beyond_the_front_on_either_side():
    sides = set()
    for seed in range(20):
        across = np.concatenate(planted(seed))[:, 1]
        # Three metres of lawn at least, less what chance moves a trunk by.
        assert (np.abs(across) > FRONT - 2).all()
        assert (np.abs(across) < FRONT + 200).all()
        sides |= {tuple(np.unique(np.sign(across)))}
    assert sides == {(), (-1.0,), (1.0,), (-1.0, 1.0)}


def gaps(seed: int):
    """Return the widest gap between trees of 15 m of road, for either side that has a wood."""
    trees, _, old = planted(seed)
    places = np.concatenate([trees, old])
    here = places[(places[:, 0] > 100) & (places[:, 0] < 115)]
    for side in (-1, 1):
        across = np.sort(side * here[:, 1][side * here[:, 1] > 0])
        if len(across) > 1:
            yield np.diff(across).max()


def test_other_woods_stand_behind_some():
    widest = np.array([gap for seed in range(30) for gap in gaps(seed)])
    assert (widest > 15).mean() > 0.3
    assert (widest < 10).mean() > 0.1


def test_some_woods_are_closed_by_undergrowth_and_others_open():
    stands = [planted(seed) for seed in range(40)]
    wooded = [(trees, shrubs) for trees, shrubs, _ in stands if len(trees)]
    closed = [len(trees) for trees, shrubs in wooded if len(shrubs)]
    rows = [len(trees) for trees, shrubs in wooded if not len(shrubs)]
    assert len(closed) > 3
    assert len(rows) > 3
    assert np.mean(closed) > 1.3 * np.mean(rows)


def test_some_woods_are_groves_of_old_trees_that_stand_wider_apart():
    stands = [planted(seed) for seed in range(100)]
    groves = [old for trees, _, old in stands if len(old) > 3 * len(trees)]
    others = [trees for trees, _, old in stands if len(trees) > 3 * len(old)]
    assert len(groves) > 3

    def median_distance(places):
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
        return np.median(np.sort(apart, axis=1)[:, 1])

    assert np.median([*map(median_distance, groves)]) > 4
    assert np.median([*map(median_distance, others)]) < 4


@pytest.mark.parametrize(
    ("maker", "lowest", "highest"), [(vegetation.leafy_tree, 3, 17), (vegetation.old_tree, 11, 27)]
)
def test_trees_are_as_high_as_they_should(maker, lowest, highest):
    tops = [
        float(maker(np.random.default_rng(seed)).vertices["position"][:, 2].max())
        for seed in range(30)
    ]
    assert lowest < min(tops)
    assert max(tops) < highest
    assert max(tops) - min(tops) > 0.5 * (highest - lowest)


def test_nothing_grows_on_roads_and_in_buildings():
    site, lane = new_site(), straight_road("suburb")
    site.reserve(site.footprint(lane, (100.0, 110.0), (-210.0, 210.0)))
    site.take(site.footprint(lane, (200.0, 230.0), (-210.0, 210.0)))
    for seed in range(10):
        everything = np.concatenate(planted(seed, site=site))
        x = everything[:, 0]
        assert not ((x > 101) & (x < 109)).any()
        assert not ((x > 201) & (x < 229)).any()
        assert (x > 230).any()


@pytest.mark.parametrize("kind", ["high_street", "boulevard", "lane", "pedestrian"])
def test_towns_have_no_woods(kind):
    for seed in range(10):
        assert not any(len(places) for places in planted(seed, kind))
