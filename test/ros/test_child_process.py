# SPDX-License-Identifier: Apache-2.0
"""What child processes inherit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from depthlab_ros.child_process import PROFILE_VARIABLES, hold_large_images

PROFILES = str(Path(__file__).parents[2] / "config" / "fastdds.xml")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, dict.fromkeys(PROFILE_VARIABLES, PROFILES)),
        ({PROFILE_VARIABLES[0]: "mine.xml"}, {PROFILE_VARIABLES[0]: "mine.xml"}),
        # Profiles without built-in transports would silently win over it.
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}),
    ],
    ids=["nothing chosen", "profiles chosen", "transports chosen"],
)
def test_shared_memory_for_large_images_unless_the_user_has_chosen(monkeypatch, chosen, expected):
    monkeypatch.setattr(os, "environ", dict(chosen))
    hold_large_images()
    assert os.environ == expected
