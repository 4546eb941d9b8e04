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
    for color in ((0, 0, 256), (-1, 0, 0)):
        with pytest.raises(ValueError, match=r"color of 'car': got \(.*\), expected 0 to"):
            Category(1, "car", True, color)
    with pytest.raises(ValueError, match="label_divisor: got 1"):
        LabelSet("x", (road,), label_divisor=1)
    with pytest.raises(ValueError, match="label_divisor: got 2000000000, expected 1073741823 or"):
        LabelSet("x", (road, Category(1, "car", True, (0, 0, 0))), label_divisor=2 * 10**9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("name"), r"labels\.name: missing"),
        (
            lambda d: d.update(label_divisor=1000.7),
            r"label_divisor: got 1000\.7, expected a",
        ),
        (lambda d: d["categories"][0].pop("color"), r"labels\.categories\[0\]\.color: missing"),
        (lambda d: d["categories"][1].update(is_thing="false"), r"\[1\]\.is_thing: got 'false'"),
        (lambda d: d["categories"][1].update(name=None), r"categories\[1\]\.name: got None"),
        (lambda d: d.update(categories=None), r"labels\.categories: got None, expected a list"),
    ],
)
def test_errors_name_the_entry(change, message: str) -> None:
    data = json.loads(json.dumps(CITYSCAPES.to_dict()))
    change(data)
    with pytest.raises(ValueError, match=message):
        LabelSet.from_dict(data)
