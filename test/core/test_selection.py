# SPDX-License-Identifier: Apache-2.0
"""Things too small or too unsure become void; stuff stays."""

import numpy as np

from depthlab_core import CITYSCAPES
from depthlab_core.config import PostprocessConfig
from depthlab_core.interpret import Interpretation
from depthlab_core.segments import compute_segments
from depthlab_core.selection import drop_doubtful_things

PANOPTIC = np.array(
    [
        [10000, 10000, 11001, 11001],
        [13001, 13001, 13001, 13002],
        [0, 0, 0, -1],
    ],
    np.int32,
)
PROBABILITY = np.where(PANOPTIC == 11001, 0.2, 0.8).astype(np.float32)


def interpretation() -> Interpretation:
    ones = np.ones(PANOPTIC.shape, np.float32)
    segments, id_map = compute_segments(PANOPTIC, ones, PROBABILITY, ones, CITYSCAPES)
    semantic = np.maximum(PANOPTIC // 1000, 0).astype(np.uint8)
    return Interpretation(PANOPTIC, semantic, id_map, ones, segments)


def panoptic_ids(found: Interpretation) -> list[int]:
    return [segment.panoptic_id for segment in found.segments]


def test_nothing_changes_by_default() -> None:
    found = interpretation()
    assert drop_doubtful_things(found, PostprocessConfig()) is found


def test_small_things_go() -> None:
    found = drop_doubtful_things(interpretation(), PostprocessConfig(thing_area=2))
    assert panoptic_ids(found) == [0, 10000, 11001, 13001]
    assert [segment.id for segment in found.segments] == [1, 2, 3, 4]
    np.testing.assert_array_equal(found.id_map, [[2, 2, 3, 3], [4, 4, 4, 0], [1, 1, 1, 0]])
    np.testing.assert_array_equal(found.panoptic_map, np.where(PANOPTIC == 13002, -1, PANOPTIC))


def test_unsure_things_go() -> None:
    found = drop_doubtful_things(interpretation(), PostprocessConfig(thing_score=0.5))
    assert panoptic_ids(found) == [0, 10000, 13001, 13002]
    np.testing.assert_array_equal(found.id_map, [[2, 2, 0, 0], [3, 3, 3, 4], [1, 1, 1, 0]])


def test_stuff_stays() -> None:
    found = drop_doubtful_things(
        interpretation(), PostprocessConfig(thing_area=100, thing_score=1.0)
    )
    assert panoptic_ids(found) == [0, 10000]
