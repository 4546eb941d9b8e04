# SPDX-License-Identifier: Apache-2.0
"""The newest frame wins, and nobody waits for ever."""

from __future__ import annotations

import threading
import time

from depthlab_ros.latest_frame import LatestFrame


def test_newest_replaces_and_is_counted():
    slot: LatestFrame[int] = LatestFrame()
    for number in range(5):
        slot.put(number)
    assert slot.take() == 4
    assert slot.replaced == 4
    assert slot.take(timeout=0.01) is None


def test_close_wakes_the_consumer_and_drops_what_is_left():
    slot: LatestFrame[int] = LatestFrame()
    taken: list[int | None] = []
    consumer = threading.Thread(target=lambda: taken.append(slot.take()))
    consumer.start()
    time.sleep(0.05)
    slot.close()
    consumer.join(1.0)
    assert taken == [None]
    slot.put(1)
    assert slot.take() is None


def test_consumer_sees_growing_numbers_and_the_last():
    slot: LatestFrame[int] = LatestFrame()
    taken: list[int] = []

    def consume() -> None:
        while (number := slot.take()) is not None:
            taken.append(number)

    consumer = threading.Thread(target=consume)
    consumer.start()
    for number in range(10_000):
        slot.put(number)
    while not taken or taken[-1] != 9_999:
        time.sleep(0.001)
    slot.close()
    consumer.join(1.0)
    assert taken == sorted(set(taken))
    assert len(taken) + slot.replaced == 10_000
