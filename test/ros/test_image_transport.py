# SPDX-License-Identifier: Apache-2.0
"""Which transport a launch file's arguments mean, without ROS's launch packages."""

from __future__ import annotations

import pytest

from depthlab_ros.image_transport import transport


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (("", "/cam/image_raw", ""), {}),
        (("", "/cam/image_raw/compressed", ""), {"image_transport": "compressed"}),
        (("", "/cam/image_raw", "/cam/jpeg"), {"image_transport": "compressed"}),
        (("raw", "/cam/image_raw/compressed", "/cam/jpeg"), {"image_transport": "raw"}),
        (("compressed", "/cam/image_raw", ""), {"image_transport": "compressed"}),
        (("", "/compressed_cam/image", ""), {}),
        (("compressed",), {"image_transport": "compressed"}),
        (("",), {}),
    ],
)
def test_transport(arguments, chosen):
    assert transport(*arguments) == chosen
