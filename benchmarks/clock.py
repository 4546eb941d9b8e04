# SPDX-License-Identifier: Apache-2.0
"""Times of rivals, taken in turns so that whatever else the machine does hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def in_turns(rivals: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Time functions in the order A B, B A, A B ...; each runs once before that.

    Returns:
        By name: minimum, median and 95 % quantile in milliseconds.
    """
    names = list(rivals)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        rivals[name]()
    for index in range(rounds):
        for name in names if index % 2 == 0 else reversed(names):
            start = time.perf_counter()
            rivals[name]()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: {
            "min": round(min(values), 2),
            "p50": round(float(np.median(values)), 2),
            "p95": round(float(np.quantile(values, 0.95)), 2),
        }
        for name, values in times.items()
    }
