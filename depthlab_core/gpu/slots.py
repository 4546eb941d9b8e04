# SPDX-License-Identifier: Apache-2.0
"""What becomes of pixels: a slot for each category outside of instances, and for each instance."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from depthlab_core.labels import VOID
from depthlab_core.postprocess import panoptic_labels


class Slots(NamedTuple):
    """Of ``C`` categories and ``K`` instances; slot ``C + k - 1`` is that of instance ``k``.

    Attributes:
        panoptic: int32 ``(C + K,)``, panoptic label.
        segment: int64 ``(C + K,)``, ``Segment.id``, 1 and up in the order of panoptic ids; 0 where
            there is no segment.
        panoptic_ids: int32 ``(C + K,)``, of the segments 1 and up; the rest has no meaning.
        found: int64 ``()``, number of segments.
    """

    panoptic: Tensor
    segment: Tensor
    panoptic_ids: Tensor
    found: Tensor


def slot_of_pixels(instance_map: Tensor, semantic_map: Tensor, classes: int) -> Tensor:
    """Return the slot of each pixel, int64 ``(H, W)``, from its instance and category."""
    return (instance_map + (classes - 1)).where(instance_map > 0, semantic_map)


def fill_slots(votes: Tensor, is_thing: Tensor, *, label_divisor: int, stuff_area: int) -> Slots:
    """Decide what each slot becomes.

    Args:
        votes: integer ``(K + 1, C)``, pixels by instance (0: outside of instances) and category.
        is_thing: bool ``(C,)``.
        label_divisor: ``panoptic = category_id * label_divisor + instance_id``.
        stuff_area: Fewest pixels of a stuff class.
    """
    labels = panoptic_labels(
        votes, is_thing=is_thing, label_divisor=label_divisor, stuff_area=stuff_area
    )
    panoptic = torch.cat([labels[0], labels[1:, 0]])
    pixels = torch.cat([votes[0], votes[1:].sum(dim=1)])
    nothing = torch.iinfo(torch.int32).max
    is_segment = (panoptic != VOID) & (pixels > 0)
    ordered, order = panoptic.masked_fill(~is_segment, nothing).sort()
    is_new = torch.ones_like(ordered, dtype=torch.bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    is_new &= ordered != nothing
    ids = is_new.cumsum(dim=0).masked_fill(ordered == nothing, 0)
    segment = torch.zeros_like(ids).scatter(0, order, ids)
    # What is no segment goes to row 0, which is cut off.
    panoptic_ids = ordered.new_zeros(len(ordered) + 1).scatter(0, ids, ordered)[1:]
    return Slots(panoptic, segment, panoptic_ids, is_new.sum())
