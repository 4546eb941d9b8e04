# SPDX-License-Identifier: Apache-2.0
"""Label sets: which categories a network predicts, what they are called and how they look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from depthlab_core.strict_load import dataclass_from_dict, require

VOID = -1
"""Value of panoptic-map pixels that belong to no segment."""
_LARGEST_LABEL = 2**31 - 1
"""Panoptic maps are int32."""


@dataclass(frozen=True)
class Category:
    """One class of a label set.

    Attributes:
        id: Contiguous category id, the index of its semantic logit.
        name: Human-readable name.
        is_thing: True for countable objects (instances), False for stuff.
        color: RGB, each 0 to 255.
        has_depth: False where a distance means nothing (sky); such pixels get NaN depth.
    """

    id: int
    name: str
    is_thing: bool
    color: tuple[int, int, int]
    has_depth: bool = True

    def __post_init__(self) -> None:
        is_color = all(0 <= value <= 255 for value in self.color)
        require(is_color, f"color of {self.name!r}", self.color, "0 to 255 each")


@dataclass(frozen=True)
class LabelSet:
    """An ordered set of categories.

    Attributes:
        name: Name of the label set.
        categories: Category ``i`` has id ``i``.
        label_divisor: ``panoptic = category_id * label_divisor + instance_id``, so a class has at
            most ``label_divisor - 1`` instances in an image.
        ignore_label: Value of unlabelled pixels in semantic ground truth.
    """

    name: str
    categories: tuple[Category, ...]
    label_divisor: int = 1000
    ignore_label: int = 255

    def __post_init__(self) -> None:
        if not self.categories:
            raise ValueError("label set has no categories, expected at least one")
        ids = [category.id for category in self.categories]
        if ids != list(range(len(ids))):
            raise ValueError(f"category ids: got {ids}, expected 0 to {len(ids) - 1} in order")
        if self.label_divisor < 2:
            raise ValueError(f"label_divisor: got {self.label_divisor}, expected 2 or more")
        highest = _LARGEST_LABEL // len(ids)
        if self.label_divisor > highest:
            raise ValueError(
                f"label_divisor: got {self.label_divisor}, expected {highest} or less, so that "
                "panoptic labels fit in 32 bits"
            )
        if 0 <= self.ignore_label < len(ids):
            raise ValueError(f"ignore_label: got {self.ignore_label}, which is a category id")

    def __len__(self) -> int:
        return len(self.categories)

    @cached_property
    def thing_ids(self) -> tuple[int, ...]:
        """Category ids of things, ascending."""
        return tuple(category.id for category in self.categories if category.is_thing)

    @cached_property
    def no_depth_ids(self) -> tuple[int, ...]:
        """Category ids whose pixels have no depth, ascending."""
        return tuple(category.id for category in self.categories if not category.has_depth)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible description that ``from_dict`` reads back."""
        return {
            "name": self.name,
            "label_divisor": self.label_divisor,
            "ignore_label": self.ignore_label,
            "categories": [
                {
                    "id": category.id,
                    "name": category.name,
                    "is_thing": category.is_thing,
                    "color": list(category.color),
                    "has_depth": category.has_depth,
                }
                for category in self.categories
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LabelSet:
        """Build a label set from what ``to_dict`` returned.

        Raises:
            ValueError: If a key is unknown or missing, a value has the wrong type, or one
                contradicts another.
        """
        return dataclass_from_dict(cls, data, "labels")


CITYSCAPES = LabelSet(
    name="cityscapes",
    categories=(
        Category(0, "road", False, (128, 64, 128)),
        Category(1, "sidewalk", False, (244, 35, 232)),
        Category(2, "building", False, (70, 70, 70)),
        Category(3, "wall", False, (102, 102, 156)),
        Category(4, "fence", False, (190, 153, 153)),
        Category(5, "pole", False, (153, 153, 153)),
        Category(6, "traffic light", False, (250, 170, 30)),
        Category(7, "traffic sign", False, (220, 220, 0)),
        Category(8, "vegetation", False, (107, 142, 35)),
        Category(9, "terrain", False, (152, 251, 152)),
        Category(10, "sky", False, (70, 130, 180), has_depth=False),
        Category(11, "person", True, (220, 20, 60)),
        Category(12, "rider", True, (255, 0, 0)),
        Category(13, "car", True, (0, 0, 142)),
        Category(14, "truck", True, (0, 0, 70)),
        Category(15, "bus", True, (0, 60, 100)),
        Category(16, "train", True, (0, 80, 100)),
        Category(17, "motorcycle", True, (0, 0, 230)),
        Category(18, "bicycle", True, (119, 11, 32)),
    ),
)
"""The 19 evaluation classes of Cityscapes; category ids are its trainIds, colours its own."""
