# SPDX-License-Identifier: Apache-2.0
"""The measurement of large messages runs, and the profile for them lets them through."""

from __future__ import annotations

import pytest
import rclpy

from benchmarks.transport import CASES, SETTINGS, cell, measure, topic_of


@pytest.mark.skipif(
    "fastrtps" not in rclpy.get_rmw_implementation_identifier(), reason="Fast DDS is not in use"
)
def test_large_images_come_through_with_the_profile():
    frames = 4
    latencies = measure(SETTINGS["config/fastdds.xml"], frames)
    assert set(latencies) == {topic_of(case) for case in CASES}
    # Its queue of one may replace an image while the machine is busy, but not all of them.
    assert all(1 <= len(of_case) <= frames for of_case in latencies.values())
    assert all(value > 0.0 for of_case in latencies.values() for value in of_case)


def test_cell_tells_losses_median_and_longest():
    assert cell([4.0, 1.0, 9.4], 4) == " 25 % lost, 4/9 ms"
    assert cell([], 4) == "100 % lost"
