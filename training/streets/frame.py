# SPDX-License-Identifier: Apache-2.0
"""One rendered street image and everything that is known about it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.streets.appearance import Split
from training.streets.classes import LABEL_DIVISOR, SemanticClass, is_thing


@dataclass(frozen=True)
class StreetFrame:
    """An image with its truth.

    Attributes:
        name: Unique within a data set.
        image: ``(H, W, 3)`` uint8 RGB.
        semantic: ``(H, W)`` uint8 trainId, 255 = ignore.
        panoptic: ``(H, W)`` int32, ``category_id * 1000 + instance_id`` (stuff: instance 0),
            -1 = ignore. An instance keeps its number over the frames of a sequence. Things of
            fewer pixels than ``smallest_instance`` says share instance 0: crowds.
        depth: ``(H, W)`` float32 metres along the optical axis; 0 = none (sky, ego
            vehicle, clear gaps of fences, wheels and bare crowns).
        intrinsics: K, ``(3, 3)`` pixels.
        world_from_camera: Pose of the optical frame, ``(4, 4)`` metres.
        velocities: World velocity ``(3,)`` in m/s of each visible panoptic thing id.
        time: Seconds since the start of the sequence.
        camera_height: Of the camera over the ground below it, metres.
    """

    name: str
    image: npt.NDArray[np.uint8]
    semantic: npt.NDArray[np.uint8]
    panoptic: npt.NDArray[np.int32]
    depth: npt.NDArray[np.float32]
    intrinsics: npt.NDArray[np.float64]
    world_from_camera: npt.NDArray[np.float64]
    velocities: dict[int, tuple[float, float, float]]
    time: float = 0.0
    camera_height: float = float("nan")

    @property
    def focal_length(self) -> float:
        """Horizontal focal length, pixels."""
        return float(self.intrinsics[0, 0])


def smallest_instance(height: int, width: int) -> int:
    """Return the fewest pixels that an instance of an image must show to be one.

    Streets hold more specks than things that anybody could tell apart. People who label photos
    leave them out or mark them as a group; Cityscapes' 2048 × 1024 pixels would ask for 262. In
    however small an image, 4 × 4 pixels are the least.
    """
    return max(16, round(height * width / 8000))


def panoptic_from(
    semantic: npt.NDArray[np.uint8], identity: npt.NDArray[np.uint16]
) -> npt.NDArray[np.int32]:
    """Join classes and instance numbers ``(H, W)`` to a panoptic map.

    A thing without a number (a bicycle in a rack far away) is ignored: nobody could tell which
    one it is. One of too few pixels becomes a crowd.
    """
    category = semantic.astype(np.int32)
    thing = is_thing(semantic)
    panoptic = category * LABEL_DIVISOR + np.where(thing, identity.astype(np.int32), 0)
    panoptic[(semantic == SemanticClass.IGNORE) | (thing & (identity == 0))] = -1
    values, inverse, area = np.unique(panoptic, return_inverse=True, return_counts=True)
    speck = (
        (values % LABEL_DIVISOR > 0) & (values > 0) & (area < smallest_instance(*semantic.shape))
    )
    values[speck] -= values[speck] % LABEL_DIVISOR
    return values[inverse].reshape(semantic.shape)


def still_name(split: Split, seed: int, number: int) -> str:
    """Return the name of a single frame, in Cityscapes' form ``town_sequence_frame``."""
    return f"{split}_{seed:06d}_{number:06d}"
