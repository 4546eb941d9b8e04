# SPDX-License-Identifier: Apache-2.0
"""What a model sees in one image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from depthlab_core.ground import GroundFit
from depthlab_core.segments import Segment


@dataclass(frozen=True)
class Prediction:
    """What a model sees in one image; all maps have the image's height and width.

    Attributes:
        panoptic_map: int32 ``(H, W)``, ``category_id * label_divisor + instance_id``; -1 is void.
        semantic_map: uint8 ``(H, W)``, category ids; every pixel has one.
        id_map: uint16 ``(H, W)``, ``Segment.id``; 0 is void.
        depth: float32 ``(H, W)``, metres along the camera's Z axis, NaN where unknown.
        segments: In ascending order of their panoptic id.
        focal_length: In pixels of the image; what depth was computed with.
        focal_length_assumed: True where none was given.
        timings: Milliseconds by stage: preprocess, network, postprocess, ground.
        ground: The plane of the ground, and how depth was scaled by it; None: not looked for.
    """

    panoptic_map: npt.NDArray[np.int32]
    semantic_map: npt.NDArray[np.uint8]
    id_map: npt.NDArray[np.uint16]
    depth: npt.NDArray[np.float32]
    segments: list[Segment]
    focal_length: float
    focal_length_assumed: bool
    timings: dict[str, float]
    ground: GroundFit | None = None

    def scaled_to(self, ground: GroundFit) -> Prediction:
        """Return this with all depth multiplied by ``ground.scale``, and ``ground`` as its own.

        Args:
            ground: What ``GroundScaler.update`` made of this prediction's ``ground``.
        """
        if not ground.applied:
            return replace(self, ground=ground)
        return replace(
            self,
            depth=self.depth * np.float32(ground.scale),
            segments=[segment.scaled(ground.scale) for segment in self.segments],
            ground=ground,
        )
