# SPDX-License-Identifier: Apache-2.0
"""The semantic classes a street is made of, and Cityscapes' two numberings of them.

``SemanticClass`` values are Cityscapes *trainIds* (0..18, 255 = ignore). Files in Cityscapes'
layout also carry *labelIds*; :data:`LABEL_IDS` maps one to the other.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt


class SemanticClass(IntEnum):
    """Cityscapes trainIds."""

    ROAD = 0
    SIDEWALK = 1
    BUILDING = 2
    WALL = 3
    FENCE = 4
    POLE = 5
    TRAFFIC_LIGHT = 6
    TRAFFIC_SIGN = 7
    VEGETATION = 8
    TERRAIN = 9
    SKY = 10
    PERSON = 11
    RIDER = 12
    CAR = 13
    TRUCK = 14
    BUS = 15
    TRAIN = 16
    MOTORCYCLE = 17
    BICYCLE = 18
    IGNORE = 255


FIRST_THING = SemanticClass.PERSON
LAST_THING = SemanticClass.BICYCLE
LABEL_DIVISOR = 1000

LABEL_IDS: dict[SemanticClass, int] = {
    SemanticClass.ROAD: 7,
    SemanticClass.SIDEWALK: 8,
    SemanticClass.BUILDING: 11,
    SemanticClass.WALL: 12,
    SemanticClass.FENCE: 13,
    SemanticClass.POLE: 17,
    SemanticClass.TRAFFIC_LIGHT: 19,
    SemanticClass.TRAFFIC_SIGN: 20,
    SemanticClass.VEGETATION: 21,
    SemanticClass.TERRAIN: 22,
    SemanticClass.SKY: 23,
    SemanticClass.PERSON: 24,
    SemanticClass.RIDER: 25,
    SemanticClass.CAR: 26,
    SemanticClass.TRUCK: 27,
    SemanticClass.BUS: 28,
    SemanticClass.TRAIN: 31,
    SemanticClass.MOTORCYCLE: 32,
    SemanticClass.BICYCLE: 33,
}

# The ignored pixels of a street are static clutter (benches, bins), unknown things and the ego
# vehicle; all of them are written as Cityscapes' "static", which its tools ignore alike.
IGNORED_LABEL_ID = 4


def label_id_table() -> npt.NDArray[np.uint8]:
    """Return the lookup table ``(256,)`` from trainId (255 = ignore) to Cityscapes labelId."""
    table = np.full(256, IGNORED_LABEL_ID, np.uint8)
    for semantic, label in LABEL_IDS.items():
        table[semantic] = label
    return table


def is_thing(semantic: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return where a trainId map shows things (people and vehicles), same shape."""
    return (semantic >= FIRST_THING) & (semantic <= LAST_THING)
