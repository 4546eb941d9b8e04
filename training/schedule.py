# SPDX-License-Identifier: Apache-2.0
"""Learning-rate schedule: linear warm-up, then polynomial decay (detectron2's WarmupPolyLR)."""

from __future__ import annotations

import math


def warmup_poly_factor(
    iteration: int,
    *,
    max_iterations: float,
    warmup_iterations: int = 1000,
    warmup_factor: float = 0.001,
    power: float = 0.9,
) -> float:
    """Return what the base learning rate is multiplied with.

    Args:
        iteration: Optimiser steps already done, 0 at the first step.
        max_iterations: Steps of the whole training; from there on the factor stays at its end.
        warmup_iterations: Steps over which the factor rises linearly from ``warmup_factor``.
        warmup_factor: Factor of the very first step, relative to the polynomial.
        power: Exponent of the polynomial ``(1 - iteration / max_iterations) ** power``.

    Returns:
        The factor, 0 to 1.
    """
    warmup = 1.0
    if iteration < warmup_iterations:
        alpha = iteration / warmup_iterations
        warmup = warmup_factor * (1 - alpha) + alpha
    remaining = max(0.0, 1.0 - iteration / max_iterations)
    return warmup * math.pow(remaining, power)
