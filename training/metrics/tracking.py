# SPDX-License-Identifier: Apache-2.0
"""Identity over time and speed, against the truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

NAN = float("nan")


class TrackingQuality:
    """Identity switches (CLEAR MOT) and IDF1 (Ristani et al., ECCV workshops 2016)."""

    def __init__(self) -> None:
        self._switches = self._identity_hits = 0
        self._truths = self._tracks = self._matches = 0
        self._begin()

    def _begin(self) -> None:
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._last: dict[int, int] = {}

    def update(
        self, matched: Mapping[int, int], truths: Collection[int], tracks: Collection[int]
    ) -> None:
        """Count a frame.

        Args:
            matched: Track id by true id, of the true things that were found.
            truths: True ids of all things.
            tracks: Track ids of all predicted things that count.
        """
        self._truths += len(truths)
        self._tracks += len(tracks)
        self._matches += len(matched)
        for truth, track in matched.items():
            self._switches += self._last.get(truth, track) != track
            self._last[truth] = track
            self._pairs[truth, track] += 1

    def end_sequence(self) -> None:
        """Say that ids of the frames to come have nothing to do with those so far."""
        truths = sorted({truth for truth, _ in self._pairs})
        tracks = sorted({track for _, track in self._pairs})
        row, column = ({key: i for i, key in enumerate(keys)} for keys in (truths, tracks))
        frames = np.zeros((len(truths), len(tracks)))
        for (truth, track), count in self._pairs.items():
            frames[row[truth], column[track]] = count
        self._identity_hits += int(frames[linear_sum_assignment(frames, maximize=True)].sum())
        self._begin()

    def result(self) -> dict[str, float]:
        """Return the figures of all ended sequences.

        ``id_switches``: how often a true thing's track became another; ``switches_per_1000``:
        in 1000 found things; ``idf1``, ``idp``, ``idr``: F1, precision and recall of identities
        when each true thing has one track at most; ``found``: share of true things.
        """
        hits, matches = self._identity_hits, self._matches
        both = self._truths + self._tracks
        return {
            "id_switches": float(self._switches),
            "switches_per_1000": 1000 * self._switches / matches if matches else NAN,
            "idf1": 2 * hits / both if both else NAN,
            "idp": hits / self._tracks if self._tracks else NAN,
            "idr": hits / self._truths if self._truths else NAN,
            "found": matches / self._truths if self._truths else NAN,
        }


class SpeedErrors:
    """Errors of closing speed and time to contact.

    Args:
        max_depth: Things farther away are not counted, metres.
        max_time: True times to contact beyond this are not counted, seconds.
    """

    def __init__(self, max_depth: float = 40.0, max_time: float = 10.0) -> None:
        self._max_depth, self._max_time = max_depth, max_time
        self._speed: list[float] = []
        self._speed_of_zero: list[float] = []
        self._time: list[float] = []
        self._asked = 0

    def update(self, speed: float, time: float, *, true_speed: float, true_depth: float) -> None:
        """Count a thing in a frame; speed and time to contact may be NaN = unknown."""
        if not true_depth <= self._max_depth:
            return
        self._asked += 1
        if np.isnan(speed):
            return
        self._speed.append(abs(speed - true_speed))
        self._speed_of_zero.append(abs(true_speed))
        if true_speed > 0.5 and true_depth / true_speed <= self._max_time:
            # Compared as 1 / time, which is finite also where it is taken for receding; a time of
            # 0, that of a depth which was extrapolated to the camera, is infinitely wrong.
            rate = math.inf if time == 0 else 1 / time
            self._time.append(abs(rate - true_speed / true_depth) * true_depth / true_speed)

    def result(self) -> dict[str, float]:
        """Return the figures.

        ``speed_known``: share with an answer; ``speed_mae``, ``speed_median``: absolute error in
        m/s; ``speed_mae_of_zero``: what answering 0 would give; ``contact_rel``: median relative
        error of 1 / time to contact.
        """
        if not self._speed:
            return {"speed_known": 0.0}
        return {
            "speed_known": len(self._speed) / self._asked,
            "speed_mae": float(np.mean(self._speed)),
            "speed_median": float(np.median(self._speed)),
            "speed_mae_of_zero": float(np.mean(self._speed_of_zero)),
            "contact_rel": float(np.median(self._time)) if self._time else NAN,
        }
