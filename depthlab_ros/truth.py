# SPDX-License-Identifier: Apache-2.0
"""Ground truth that a bag holds beside its images, and the topics it is played on.

Beside ``image_raw/compressed`` lie ``truth/panoptic/compressed``, a 16-bit PNG, and
``truth/depth/compressedDepth``, 32FC1 as ``compressed_depth_image_transport`` packs it; truth has
the stamp of its image and lies before it. ``python -m training.streets.sample_drive`` writes such
bags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from depthlab_ros.image_codec import ConversionError

PANOPTIC_TOPIC, DEPTH_TOPIC = "truth/panoptic", "truth/depth"
PANOPTIC_SUFFIX, DEPTH_SUFFIX = "/compressed", "/compressedDepth"
UNLABELLED = 65535
_DEPTH_HEADER = np.dtype([("format", "<i4"), ("a", "<f4"), ("b", "<f4")])
_DTYPES: dict[str, np.dtype[Any]] = {"mono16": np.dtype(np.uint16), "32FC1": np.dtype(np.float32)}


@dataclass(frozen=True)
class Truth:
    """What is known of an image.

    Attributes:
        panoptic: uint16 ``(H, W)``, ``category_id * 1000 + instance_id``; instance 0 of a thing is
            a crowd, ``UNLABELLED`` is where there is no label.
        depth: float32 ``(H, W)``, metres along Z, NaN where there is none.
    """

    panoptic: NDArray[np.uint16]
    depth: NDArray[np.float32]


def decode_panoptic(data: bytes) -> NDArray[np.uint16]:
    """Return the panoptic map ``(H, W)`` in a ``CompressedImage``.

    Raises:
        ConversionError: If it is not a 16-bit image of one channel.
    """
    return _decode_16_bit(np.frombuffer(data, np.uint8))


def decode_depth(data: bytes) -> NDArray[np.float32]:
    """Return the depth ``(H, W)`` in a ``CompressedImage`` of 32FC1, metres, NaN where unknown.

    Raises:
        ConversionError: If it is not a header and a 16-bit image of one channel.
    """
    if len(data) <= _DEPTH_HEADER.itemsize:
        raise ConversionError(f"got {len(data)} bytes of depth, expected a header and an image")
    header = np.frombuffer(data, _DEPTH_HEADER, 1)[0]
    steps = _decode_16_bit(np.frombuffer(data, np.uint8, offset=_DEPTH_HEADER.itemsize))
    inverse = np.where(steps > 0, steps - header["b"], np.float32(np.nan))
    return np.asarray(header["a"] / inverse, np.float32)


def map_from_msg(msg: Image) -> NDArray[Any]:
    """Return the pixels ``(H, W)`` of a ``mono16`` or ``32FC1`` message, uint16 or float32.

    Raises:
        ConversionError: If the encoding is another one.
    """
    if msg.encoding not in _DTYPES:
        raise ConversionError(f"got encoding '{msg.encoding}', expected one of {list(_DTYPES)}")
    dtype = _DTYPES[msg.encoding].newbyteorder(">" if msg.is_bigendian else "<")
    return np.frombuffer(msg.data, dtype).reshape(msg.height, msg.width)


def _decode_16_bit(encoded: NDArray[np.uint8]) -> NDArray[np.uint16]:
    pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise ConversionError(f"got {encoded.size} bytes of truth, expected a grey 16-bit PNG")
    return np.asarray(pixels, np.uint16)
