# SPDX-License-Identifier: Apache-2.0
"""Which segments are told: by class and by score."""

from __future__ import annotations

import dataclasses

import numpy as np

from depthlab_core import VOID, LabelSet, Prediction


def parse_classes(text: str, labels: LabelSet) -> frozenset[int]:
    """Return the category ids of class names with commas between them; none = every class.

    Raises:
        ValueError: If a name is not in ``labels``.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    ids = {category.name: category.id for category in labels.categories}
    if not names:
        return frozenset(ids.values())
    unknown = [name for name in names if name not in ids]
    if unknown:
        raise ValueError(
            f"parameter 'classes': got {', '.join(unknown)}, expected names among {', '.join(ids)}"
        )
    return frozenset(ids[name] for name in names)


def filter_segments(
    prediction: Prediction, categories: frozenset[int], min_score: float
) -> Prediction:
    """Leave segments out of a prediction; their pixels become void.

    Args:
        prediction: Whose maps of category and depth stay whole.
        categories: Category ids to keep.
        min_score: Lowest score to keep.

    Returns:
        The prediction with the segments that are left, numbered 1, 2, ... anew.
    """
    kept = [
        segment
        for segment in prediction.segments
        if segment.category_id in categories and segment.score >= min_score
    ]
    if len(kept) == len(prediction.segments):
        return prediction
    largest = max(segment.id for segment in prediction.segments)
    new_id = np.zeros(largest + 1, np.uint16)
    for number, segment in enumerate(kept, start=1):
        new_id[segment.id] = number
    id_map = new_id[prediction.id_map]
    return dataclasses.replace(
        prediction,
        segments=[dataclasses.replace(s, id=number) for number, s in enumerate(kept, start=1)],
        id_map=id_map,
        panoptic_map=np.where(id_map > 0, prediction.panoptic_map, np.int32(VOID)),
    )
