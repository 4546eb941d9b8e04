# SPDX-License-Identifier: Apache-2.0
"""Label sets."""

import json

import pytest

from depthlab_core import CITYSCAPES, Category, LabelSet


def test_cityscapes_is_cityscapes() -> None:
    assert len(CITYSCAPES) == 19
    assert CITYSCAPES.thing_ids == tuple(range(11, 19))
    assert CITYSCAPES.no_depth_ids == (10,)
    names = [CITYSCAPES.categories[i].name for i in (0, 8, 10, 11, 13, 18)]
    assert names == ["road", "vegetation", "sky", "person", "car", "bicycle"]
    assert CITYSCAPES.categories[13].color == (0, 0, 142)


def test_survives_json() -> None:
    assert LabelSet.from_dict(json.loads(json.dumps(CITYSCAPES.to_dict()))) == CITYSCAPES


def test_refuses_contradictions() -> None:
    road = Category(0, "road", False, (0, 0, 0))
    with pytest.raises(ValueError, match="no categories"):
        LabelSet("empty", ())
    with pytest.raises(ValueError, match=r"got \[0, 0\], expected 0 to 1 in order"):
        LabelSet("twice", (road, road))
    with pytest.raises(ValueError, match="ignore_label: got 0, which is a category id"):
        LabelSet("x", (road,), ignore_label=0)
    with pytest.raises(ValueError, match="label_divisor: got 1"):
        LabelSet("x", (road,), label_divisor=1)
    with pytest.raises(ValueError, match="missing or malformed entry 'name'"):
        LabelSet.from_dict({"categories": []})
