# SPDX-License-Identifier: Apache-2.0
"""The learning-rate schedule equals the reference's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.schedule import warmup_poly_factor

DATA = Path(__file__).parent / "data"


def test_schedule_equals_the_reference():
    with np.load(DATA / "panoptic_deeplab_losses.npz") as arrays:
        rates = json.loads(str(arrays["expected"]))["lr"]
    for iteration, rate in rates.items():
        factor = warmup_poly_factor(int(iteration), max_iterations=90_000)
        assert 1e-3 * factor == pytest.approx(rate, rel=1e-12)


def test_the_end_is_zero_and_stays_zero():
    assert warmup_poly_factor(100, max_iterations=100, warmup_iterations=10) == 0
    assert warmup_poly_factor(120, max_iterations=100, warmup_iterations=10) == 0
