# SPDX-License-Identifier: Apache-2.0
"""How a box moves, also where something hides a part of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Weight of the newest motion in the velocity.
_VELOCITY_GAIN = 0.5
# Weight of a smaller size; less where the corners disagree, for then a part is hidden.
_SHRINK_GAIN = 0.3


class BoxMotion:
    """A box under constant velocity.

    Where one edge goes on as before and the opposite one does not, that one is taken for the edge
    of something in front. While nothing is seen, the box of the whole thing moves on.

    Attributes:
        is_missed: Whether the last frame did not show it.
    """

    def __init__(self, bbox: tuple[int, int, int, int]) -> None:
        """Start with a box: x, y, width and height in pixels."""
        # Rows are the upper left and the lower right corner, columns x and y.
        self._seen = self._predicted = _corners(bbox)
        self._size: FloatArray = self._seen[1] - self._seen[0]
        self._trust = np.full((2, 2), 0.5)
        self._velocity: FloatArray | None = None
        self.is_missed = False

    def predict(self, elapsed: float) -> None:
        """Go ``elapsed`` seconds on."""
        if self._velocity is not None:
            self._predicted = self._predicted + self._velocity * elapsed

    def miss(self) -> None:
        """Say that this frame does not show it."""
        if not self.is_missed:
            first, last = self._predicted
            corner = self._trust[0] * first + self._trust[1] * (last - self._size)
            self._predicted = np.stack([corner, corner + self._size])
        self.is_missed = True

    def correct(self, bbox: tuple[int, int, int, int], elapsed: float) -> None:
        """Take in the box of a new frame, ``elapsed`` seconds after the last that showed it."""
        box = _corners(bbox)
        # What comes out of hiding shows another part than what went in.
        if elapsed > 0 and not self.is_missed:
            self._learn((box - self._seen) / elapsed, 1 / elapsed)
        size = box[1] - box[0]
        gain = _SHRINK_GAIN * 4 * self._trust[0] * self._trust[1]
        shrunk = self._size + gain * (size - self._size)
        self._size = np.where(size > self._size, size, shrunk)
        self._seen = self._predicted = box
        self.is_missed = False

    def expected(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom where it should be now."""
        x0, y0, x1, y1 = self._predicted.ravel().tolist()
        return (x0, y0, x1, y1)

    def is_inside(self, shape: tuple[int, ...]) -> bool:
        """Return whether its middle should be in an image of ``shape`` (H, W)."""
        middle = self._predicted.mean(axis=0)
        return bool((middle >= 0).all() and (middle < np.array(shape[1::-1])).all())

    def _learn(self, motion: FloatArray, pixel: float) -> None:
        """Take in the velocity of both corners; ``pixel`` is what rounding makes of nothing."""
        if self._velocity is None:
            self._velocity = motion.mean(axis=0)
            return
        # Edges of what merely grows are equally far from the velocity, and weigh the same.
        weight = 1 / np.square(np.abs(motion - self._velocity) + pixel)
        self._trust = weight / weight.sum(axis=0)
        agreed = (self._trust * motion).sum(axis=0)
        self._velocity = self._velocity + _VELOCITY_GAIN * (agreed - self._velocity)


def _corners(bbox: tuple[int, int, int, int]) -> FloatArray:
    x, y, width, height = bbox
    return np.array([[x, y], [x + width, y + height]], np.float64)
