# SPDX-License-Identifier: Apache-2.0
"""What the names of image topics tell, without ROS's launch packages."""

from __future__ import annotations

import pytest

from depthlab_ros.image_transport import shows_rectified, transport


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


@pytest.mark.parametrize(
    ("topic", "is_rectified"),
    [
        ("/cam/image_rect", True),
        ("/cam/image_rect_color/compressed", True),
        ("/cam/image_raw", False),
        ("/image_rect/image_raw/compressed", False),
    ],
)
def test_rectified_images_are_known_by_name(topic, is_rectified):
    assert shows_rectified(topic) == is_rectified
