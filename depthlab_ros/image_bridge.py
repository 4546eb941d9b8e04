# SPDX-License-Identifier: Apache-2.0
"""Decode ``sensor_msgs/Image`` by ``cv_bridge`` where it is right, else by our codec.

Both give the same values. ``docs/adr/0016-message-filters-and-cv-bridge.md`` says what goes where.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from depthlab_ros.image_codec import INTERLEAVED_PIXEL_BYTES, decode_image

# What cv_bridge converts to RGB as the names say, with its bytes per pixel. rgb8 needs no
# conversion, and cv_bridge would copy it.
BRIDGED_ENCODINGS = {
    name: size for name, size in INTERLEAVED_PIXEL_BYTES.items() if name != "rgb8"
} | {"yuv422": 2, "yuv422_yuy2": 2}
# OpenCV looks at a Bayer pixel's neighbours, and yuv422 pairs columns.
_SMALLEST = 4


def load_cv_bridge() -> Any:
    """Return a working ``cv_bridge.CvBridge``, or ``None``.

    One that was built for another NumPy is found out by its first conversion. NumPy then prints a
    page of warnings, which is kept back, as nothing is lost.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            from cv_bridge import CvBridge

            bridge = CvBridge()
            pixel = Image(height=1, width=1, encoding="bgr8", step=3, data=[1, 2, 3])
            works = bridge.imgmsg_to_cv2(pixel, "rgb8").tolist() == [[[3, 2, 1]]]
        except Exception:  # it raises what it likes, and none of it must end the node
            return None
    return bridge if works else None


CV_BRIDGE = load_cv_bridge()


def image_from_msg(msg: Image) -> NDArray[np.uint8]:
    """Return the pixels of an image message as RGB, uint8 ``(H, W, 3)``.

    Raises:
        ConversionError: If the encoding is not supported, or size, step and data do not fit.
    """
    if CV_BRIDGE is not None and _is_plain(msg):
        return np.asarray(CV_BRIDGE.imgmsg_to_cv2(msg, "rgb8"), dtype=np.uint8)
    return decode_image(
        msg.data,
        height=msg.height,
        width=msg.width,
        encoding=msg.encoding,
        step=msg.step,
        is_bigendian=bool(msg.is_bigendian),
    )


def _is_plain(msg: Image) -> bool:
    """Whether cv_bridge reads a message right: native byte order, no padding, nothing missing."""
    pixel_bytes = BRIDGED_ENCODINGS.get(msg.encoding)
    return (
        pixel_bytes is not None
        and min(msg.height, msg.width) >= _SMALLEST
        and not (msg.width % 2 and msg.encoding.startswith("yuv422"))
        and bool(msg.is_bigendian) == (sys.byteorder == "big")
        and msg.step == msg.width * pixel_bytes
        and len(msg.data) == msg.step * msg.height
    )
