# SPDX-License-Identifier: Apache-2.0
"""Identity over time: which thing of this frame is which of the frames before."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from depthlab_core.affinity import Appearance, affinity, mask_overlap
from depthlab_core.segments import Segment
from depthlab_core.track import Track, TrackerConfig, TrackState

# Id maps are compared on at most about so many pixels.
_MAX_PIXELS = 1 << 17


class Tracker:
    """Gives each thing of a stream an id that it keeps.

    A thing is found again by the overlap of masks, by the box where constant motion would have
    taken it, by depth and by class. One tracker serves one camera.
    """

    def __init__(
        self, config: TrackerConfig | None = None, ids: Iterator[int] | None = None
    ) -> None:
        """Start without any frame seen.

        Args:
            config: Settings.
            ids: Gives the ids of new tracks; 1, 2, ... if left out.
        """
        self.config = config or TrackerConfig()
        self._ids = itertools.count(1) if ids is None else ids
        self.reset()

    def reset(self) -> None:
        """Forget all tracks. Their ids are not given out again."""
        self._tracks: list[Track] = []
        self._stamp: float | None = None
        self._shape: tuple[int, ...] = ()
        # Index of the track + 1, of the frame before; 0 is none.
        self._index_map: npt.NDArray[np.uint16] = np.zeros((0, 0), np.uint16)

    def forget_depth(self) -> None:
        """Start depth and closing speed of all tracks afresh; ids stay.

        For a jump in what depth is measured by, such as a calibration that comes late, which would
        look as if all things came nearer or went away.
        """
        for track in self._tracks:
            track.forget_depth()

    def update(
        self, segments: Sequence[Segment], id_map: npt.NDArray[np.uint16], stamp: float
    ) -> dict[int, TrackState]:
        """Follow the things into the next frame.

        Args:
            segments: Of the frame; stuff is skipped.
            id_map: uint16 ``(H, W)``, ``Segment.id``. Another size than before forgets all tracks.
            stamp: Of the frame, seconds. One before the last forgets all tracks.

        Returns:
            The state of each thing by its ``Segment.id``.
        """
        if self._stamp is not None and (stamp < self._stamp or id_map.shape != self._shape):
            self.reset()
        elapsed = 0.0 if self._stamp is None else stamp - self._stamp
        self._stamp, self._shape = stamp, id_map.shape
        for track in self._tracks:
            track.predict(elapsed)
        # Those of the frame before come first and leave together, so the index map stays right.
        oldest = stamp - self.config.max_gap
        self._tracks = [track for track in self._tracks if track.last_seen >= oldest]
        stride = max(1, math.isqrt(-(-id_map.size // _MAX_PIXELS)))
        ids = np.ascontiguousarray(id_map[stride // 2 :: stride, stride // 2 :: stride])
        things = [segment for segment in segments if segment.is_thing]

        overlap = mask_overlap(self._index_map, ids, len(self._tracks), [s.id for s in things])
        likeness = affinity(
            [track.expected() for track in self._tracks],
            [Appearance.of(segment) for segment in things],
            overlap,
            depth_gate=self.config.depth_gate,
        )
        likeness[likeness < self.config.min_affinity] = 0.0
        pairs = zip(*linear_sum_assignment(likeness, maximize=True), strict=True)
        row_of = {int(column): int(row) for row, column in pairs if likeness[row, column] > 0}

        seen = []
        for column, segment in enumerate(things):
            if column in row_of:
                track = self._tracks[row_of[column]]
                track.correct(segment, stamp)
            else:
                track = Track(next(self._ids), segment, stamp, self.config)
            seen.append(track)
        unseen = set(range(len(self._tracks))) - set(row_of.values())
        missed = [self._tracks[row] for row in sorted(unseen)]
        for track in missed:
            track.motion.miss()
        self._tracks = seen + [track for track in missed if track.motion.is_inside(id_map.shape)]

        to_index = np.zeros(int(ids.max(initial=0)) + 1, np.uint16)
        states = {}
        for index, (segment, track) in enumerate(zip(things, seen, strict=True)):
            if segment.id < len(to_index):
                to_index[segment.id] = index + 1
            states[segment.id] = track.state()
        self._index_map = to_index[ids]
        return states
