# SPDX-License-Identifier: Apache-2.0
"""Which of the segments that were found are worth telling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from depthlab_core.config import PostprocessConfig
from depthlab_core.interpret import Interpretation
from depthlab_core.labels import VOID


def drop_doubtful_things(found: Interpretation, config: PostprocessConfig) -> Interpretation:
    """Turn things that are too small or too unsure into void.

    Where a heatmap has a weak peak too many, a few pixels of a thing go to it: specks without a
    centre of their own, which score next to nothing.

    Args:
        found: All segments.
        config: ``thing_area`` and ``thing_score``.

    Returns:
        The segments that stay, their ids counted anew from 1; panoptic ids are kept.
    """
    smallest = config.thing_area_at(*found.id_map.shape)
    stays = [
        not segment.is_thing or (segment.area >= smallest and segment.score >= config.thing_score)
        for segment in found.segments
    ]
    if all(stays):
        return found
    new_ids = np.zeros(len(stays) + 1, np.uint16)
    new_ids[1:][stays] = np.arange(1, sum(stays) + 1)
    id_map = new_ids[found.id_map]
    return replace(
        found,
        panoptic_map=np.where(id_map > 0, found.panoptic_map, np.int32(VOID)),
        id_map=id_map,
        segments=[
            replace(segment, id=int(new_ids[segment.id]))
            for segment, is_kept in zip(found.segments, stays, strict=True)
            if is_kept
        ],
    )
