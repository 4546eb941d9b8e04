# SPDX-License-Identifier: Apache-2.0
"""Which placed copies of meshes are worth drawing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.streets.camera import Camera
from training.streets.mesh import FloatArray
from training.streets.scene import INSTANCE

Placed = npt.NDArray[np.void]
Mask = npt.NDArray[np.bool_]
_SHADOW_MARGIN = 0.5  # what the lookup in the shadow map may be off by, and more, metres


@dataclass(frozen=True)
class Copies:
    """All copies of a scene in one array, those of one mesh next to each other.

    Attributes:
        names: Of the meshes.
        ends: Where each mesh's copies end.
        placed: The copies, ``(N,)``.
        radii: Of the spheres about their origins that hold them, metres ``(N,)``.
    """

    names: tuple[str, ...]
    ends: tuple[int, ...]
    placed: Placed
    radii: FloatArray

    @classmethod
    def of(
        cls, placements: Mapping[str, Sequence[Placed]], radii: Mapping[str, float]
    ) -> "Copies":
        """Collect the copies of each mesh, whose radius is given by its name."""
        parts = [record for records in placements.values() for record in records]
        counts = [sum(map(len, records)) for records in placements.values()]
        placed = np.concatenate([np.zeros(0, INSTANCE), *parts])
        largest = np.linalg.norm(placed["rows"][:, :, :3], axis=1).max(axis=1)
        own = np.repeat([float(radii[name]) for name in placements], counts)
        ends = tuple(np.cumsum(counts).tolist())
        return cls(tuple(placements), ends, placed, own * largest)

    def distance(self, point: FloatArray) -> FloatArray:
        """Return how far each copy's origin is from a world point, metres ``(N,)``."""
        return np.asarray(np.linalg.norm(self.placed["rows"][:, :, 3] - point, axis=1))

    def by_name(self, keep: Mask) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
        """Yield the meshes of which copies are kept, and their places in the array."""
        kept = np.flatnonzero(keep)
        edges = np.searchsorted(kept, (0, *self.ends))
        for name, start, end in zip(self.names, edges[:-1], edges[1:], strict=True):
            if end > start:
                yield name, kept[start:end]


def in_view(copies: Copies, camera: Camera) -> Mask:
    """Return which copies reach into the camera's view, ``(N,)``."""
    centers = _in_camera(copies, camera)
    keep = centers[:, 2] > -copies.radii
    cx, cy = camera.principal_point
    for axis, reach in ((0, max(cx, camera.width - cx)), (1, max(cy, camera.height - cy))):
        slope = reach / camera.focal_length
        outside = np.abs(centers[:, axis]) - slope * centers[:, 2]
        keep &= outside < copies.radii * np.hypot(1, slope)
    return np.asarray(keep)


def may_shade(copies: Copies, camera: Camera, sun_direction: FloatArray, reach: float) -> Mask:
    """Return which copies can cast a shadow on anything in view, ``(N,)``.

    A copy's shadow lies in its bounding sphere drawn out along the light. It stays out of view if
    the first and the last sphere are beyond the same side of the view.

    Args:
        copies: The copies.
        camera: Its view.
        sun_direction: ``(3,)`` unit vector towards the sun.
        reach: Length of the longest shadow, metres.
    """
    radii = copies.radii + _SHADOW_MARGIN
    first = _in_camera(copies, camera)
    last = first - camera.camera_from_world[:3, :3] @ np.asarray(sun_direction) * reach
    keep = np.maximum(first[:, 2], last[:, 2]) > -radii
    cx, cy = camera.principal_point
    for axis, start, end in ((0, -cx, camera.width - cx), (1, -cy, camera.height - cy)):
        for side, edge in ((-1.0, -start), (1.0, end)):
            slope = edge / camera.focal_length
            beyond = [side * center[:, axis] - slope * center[:, 2] for center in (first, last)]
            keep &= np.minimum(*beyond) < radii * np.hypot(1, slope)
    return np.asarray(keep)


def _in_camera(copies: Copies, camera: Camera) -> FloatArray:
    camera_from_world = camera.camera_from_world
    centers = copies.placed["rows"][:, :, 3] @ camera_from_world[:3, :3].T
    return np.asarray(centers + camera_from_world[:3, 3])
