# SPDX-License-Identifier: Apache-2.0
"""The newest frame wins, and nobody waits for ever."""

from __future__ import annotations

import threading
import time

from depthlab_ros.latest_frame import LatestFrames


def test_newest_replaces_and_is_counted():
    slots: LatestFrames[str, int] = LatestFrames()
    for number in range(5):
        slots.put("front", number)
    assert slots.take() == {"front": 4}
    assert slots.replaced("front") == 4
    assert slots.replaced("rear") == 0
    assert slots.take(timeout=0.01) == {}


def test_cameras_take_turns_however_fast_one_is():
    slots: LatestFrames[str, int] = LatestFrames()
    slots.put("fast", 1)
    slots.put("slow", 2)
    taken = []
    for number in range(3, 7):
        slots.put("fast", number)
        slots.put("fast", 10 * number)
        [(camera, frame)] = slots.take().items()
        taken.append((camera, frame))
        if camera == "slow":
            slots.put("slow", 100 + number)
    assert taken == [("fast", 30), ("slow", 2), ("fast", 50), ("slow", 104)]
    assert slots.replaced("slow") == 0


def test_what_waits_is_taken_in_turn():
    slots: LatestFrames[str, int] = LatestFrames()
    for number, camera in enumerate(("front", "rear", "left", "front")):
        slots.put(camera, number)
    assert list(slots.take(lambda: 2).items()) == [("front", 3), ("rear", 1)]
    assert slots.take(lambda: 2) == {"left": 2}
    assert slots.replaced("front") == 1


def test_clear_drops_what_waits():
    slots: LatestFrames[str, int] = LatestFrames()
    slots.put("front", 1)
    slots.clear()
    assert slots.take(timeout=0.01) == {}
    assert slots.replaced("front") == 0


def test_close_wakes_the_consumer_and_drops_what_is_left():
    slots: LatestFrames[str, int] = LatestFrames()
    taken: list[dict[str, int]] = []
    consumer = threading.Thread(target=lambda: taken.append(slots.take()))
    consumer.start()
    time.sleep(0.05)
    slots.close()
    consumer.join(1.0)
    assert taken == [{}]
    slots.put("front", 1)
    assert slots.take() == {}


def test_consumer_sees_growing_numbers_and_the_last():
    slots: LatestFrames[str, int] = LatestFrames()
    taken: list[int] = []

    def consume() -> None:
        while frames := slots.take():
            taken.extend(frames.values())

    consumer = threading.Thread(target=consume)
    consumer.start()
    for number in range(10_000):
        slots.put("front", number)
    while not taken or taken[-1] != 9_999:
        time.sleep(0.001)
    slots.close()
    consumer.join(1.0)
    assert taken == sorted(set(taken))
    assert len(taken) + slots.replaced("front") == 10_000


def test_closing_can_be_taken_back_until_it_is_told():
    slots = LatestFrames()
    slots.close()
    slots.put("camera", "ignored")
    assert slots.reopen()
    slots.put("camera", "taken")
    assert slots.take() == {"camera": "taken"}
    slots.close()
    assert slots.take() == {}
    assert not slots.reopen()
    slots.put("camera", "ignored")
    assert slots.take() == {}
