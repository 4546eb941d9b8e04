# SPDX-License-Identifier: Apache-2.0
"""Decode the pixel encodings of ``sensor_msgs`` to RGB, and encode RGB for publishing.

Plain OpenCV on plain buffers, so that the same code reads live messages, bag messages and tests.
``docs/adr/0004-image-encodings.md`` says why; ``image_bridge.py`` takes cv_bridge where it can.
"""

from __future__ import annotations

import array
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Buffer: TypeAlias = "bytes | bytearray | memoryview | array.array[int]"


class ConversionError(ValueError):
    """An image that cannot be read as it is described."""


@dataclass(frozen=True)
class _Interleaved:
    """One sample tuple per pixel: item type, samples per pixel and OpenCV's code to RGB."""

    dtype: type[np.uint8] | type[np.uint16]
    channels: int
    to_rgb: int | None


_LAYOUTS = {
    "mono": (1, cv2.COLOR_GRAY2RGB),
    "rgb": (3, None),
    "rgba": (4, cv2.COLOR_RGBA2RGB),
    "bgr": (3, cv2.COLOR_BGR2RGB),
    "bgra": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg": (1, cv2.COLOR_BayerGRBG2RGB),
}
_INTERLEAVED = {
    f"{name}{bits}": _Interleaved(dtype, channels, code)
    for name, (channels, code) in _LAYOUTS.items()
    for bits, dtype in ((8, np.uint8), (16, np.uint16))
}
INTERLEAVED_PIXEL_BYTES = {
    name: layout.channels * np.dtype(layout.dtype).itemsize
    for name, layout in _INTERLEAVED.items()
}
# OpenCV's own type names carry no colour order; every ROS tool reads them as OpenCV would: BGR.
_OPENCV_TYPES = {
    f"{bits}UC{suffix}": f"{name}{bits}"
    for bits in (8, 16)
    for suffix, name in (("", "mono"), ("1", "mono"), ("3", "bgr"), ("4", "bgra"))
}
_YUV_422 = {
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "yuyv": cv2.COLOR_YUV2RGB_YUYV,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUYV,
}
_YUV_420 = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}

SUPPORTED_ENCODINGS = (*_INTERLEAVED, *_OPENCV_TYPES, *_YUV_422, *_YUV_420, "nv24")
PUBLISHABLE_ENCODINGS = ("rgb8", "bgr8", "mono8")
_NUMERIC_TYPE = re.compile(r"(8|16|32|64)[USF]C?\d*")


def decode_image(
    data: Buffer, *, height: int, width: int, encoding: str, step: int, is_bigendian: bool
) -> NDArray[np.uint8]:
    """Decode the pixels of a ``sensor_msgs/Image`` to RGB.

    Args:
        data: The message's bytes.
        height: Rows of the image.
        width: Columns of the image.
        encoding: One of ``SUPPORTED_ENCODINGS``.
        step: Bytes from one row to the next; rows may be padded. For ``nv24``, whose two planes
            differ in row length, it is derived from the size of ``data`` instead.
        is_bigendian: Byte order of 16-bit samples.

    Returns:
        RGB image, uint8 ``(height, width, 3)``; 16-bit samples are scaled by 255/65535, alpha is
        dropped. It may share memory with ``data``.

    Raises:
        ConversionError: If the encoding is not supported, or size, step and data do not fit.
    """
    if height < 1 or width < 1:
        raise ConversionError(f"got an image of {width}x{height}, expected at least 1x1")
    encoding = _OPENCV_TYPES.get(encoding, encoding)
    if encoding in _INTERLEAVED:
        layout = _INTERLEAVED[encoding]
        row_bytes = width * INTERLEAVED_PIXEL_BYTES[encoding]
        rows = _rows(data, height, row_bytes, step, encoding)
        return _interleaved_to_rgb(rows, layout, encoding, is_bigendian)
    if encoding in _YUV_422:
        _require_even(width, "width", encoding)
        pairs = _rows(data, height, width * 2, step, encoding).reshape(height, width, 2)
        return np.asarray(cv2.cvtColor(pairs, _YUV_422[encoding]), dtype=np.uint8)
    if encoding in _YUV_420:
        _require_even(width, "width", encoding)
        _require_even(height, "height", encoding)
        planes = _rows(data, height * 3 // 2, width, step, encoding)
        rgb = cv2.cvtColor(np.ascontiguousarray(planes), _YUV_420[encoding])
        return np.asarray(rgb, dtype=np.uint8)
    if encoding == "nv24":
        return _nv24_to_rgb(data, height, width)
    reason = (
        "numbers without a defined brightness range or colour order"
        if _NUMERIC_TYPE.fullmatch(encoding)
        else "unknown"
    )
    raise ConversionError(
        f"got encoding '{encoding}' ({reason}), expected one of {', '.join(SUPPORTED_ENCODINGS)}"
    )


def decode_compressed(data: Buffer, image_format: str) -> NDArray[np.uint8]:
    """Decode the file (JPEG, PNG, ...) inside a ``sensor_msgs/CompressedImage`` to RGB.

    Args:
        data: The message's bytes.
        image_format: The message's ``format``, as image_transport writes it, for example
            ``"bgr8; jpeg compressed bgr8"``, or a plain ``"jpeg"``. The content decides the codec;
            the name only tells a raw Bayer mosaic (PNG) from a grey image.

    Returns:
        RGB image, uint8 ``(H, W, 3)``, in the orientation of the sensor: an EXIF rotation would
        contradict the CameraInfo.

    Raises:
        ConversionError: If there is no image inside.
    """
    if "compressedDepth" in image_format:
        raise ConversionError(f"got format '{image_format}', expected a colour or grey image")
    encoded = np.frombuffer(data, dtype=np.uint8)
    source_encoding = image_format.partition(";")[0].strip()
    is_mosaic = source_encoding.startswith("bayer_") and source_encoding in _INTERLEAVED
    flags = cv2.IMREAD_UNCHANGED if is_mosaic else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(encoded, flags) if encoded.size else None
    if decoded is None:
        raise ConversionError(
            f"got {encoded.size} bytes of format '{image_format}' that are not an image, "
            "expected JPEG, PNG or another format that OpenCV reads"
        )
    if is_mosaic and decoded.ndim == 2:
        layout = _INTERLEAVED[f"{source_encoding.rstrip('0123456789')}{decoded.itemsize * 8}"]
        rows = decoded.view(np.uint8).reshape(decoded.shape[0], -1)
        return _interleaved_to_rgb(rows, layout, source_encoding, is_bigendian=False)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def encode_image(image: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    """Arrange an RGB image for publishing.

    Args:
        image: RGB, uint8 ``(H, W, 3)``.
        encoding: One of ``PUBLISHABLE_ENCODINGS``.

    Returns:
        Contiguous uint8 ``(H, W, 3)`` or, for ``mono8``, ``(H, W)``.

    Raises:
        ConversionError: If the encoding is another one.
    """
    if encoding == "rgb8":
        return np.ascontiguousarray(image)
    if encoding == "bgr8":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), dtype=np.uint8)
    if encoding == "mono8":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    raise ConversionError(
        f"got encoding '{encoding}', expected one of {', '.join(PUBLISHABLE_ENCODINGS)}"
    )


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return an RGB image, uint8 ``(H, W, 3)``, as the bytes of a JPEG file.

    Args:
        image: RGB, uint8 ``(H, W, 3)``.
        quality: 1 to 100.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(encoded, dtype=np.uint8)


def _rows(data: Buffer, rows: int, row_bytes: int, step: int, encoding: str) -> NDArray[np.uint8]:
    """View ``data`` as uint8 ``(rows, row_bytes)`` without the padding of each row."""
    if step < row_bytes:
        raise ConversionError(
            f"got a step of {step} bytes, expected at least {row_bytes} for '{encoding}'"
        )
    flat = np.frombuffer(data, dtype=np.uint8)
    needed = step * (rows - 1) + row_bytes
    if flat.size < needed:
        raise ConversionError(
            f"got {flat.size} bytes of data, expected at least {needed} for {rows} rows of {step}"
        )
    return np.lib.stride_tricks.as_strided(flat, (rows, row_bytes), (step, 1))


def _interleaved_to_rgb(
    rows: NDArray[np.uint8], layout: _Interleaved, encoding: str, is_bigendian: bool
) -> NDArray[np.uint8]:
    samples: Array = rows
    if layout.dtype is np.uint16:
        samples = np.ascontiguousarray(rows).view(">u2" if is_bigendian else "<u2")
        samples = samples.astype(np.uint16, copy=False)
    height, width = samples.shape[0], samples.shape[1] // layout.channels
    samples = samples.reshape(height, width, layout.channels)
    if encoding.startswith("bayer_") and (height < 3 or width < 3):
        raise ConversionError(f"got a Bayer image of {width}x{height}, expected at least 3x3")
    rgb: Array = samples if layout.to_rgb is None else cv2.cvtColor(samples, layout.to_rgb)
    if layout.dtype is np.uint16:
        rgb = cv2.convertScaleAbs(rgb, alpha=255.0 / 65535.0)
    return np.ascontiguousarray(rgb, dtype=np.uint8)


def _nv24_to_rgb(data: Buffer, height: int, width: int) -> NDArray[np.uint8]:
    """Decode a luma plane followed by an interleaved UV plane of the same resolution."""
    flat = np.frombuffer(data, dtype=np.uint8)
    stride, rest = divmod(flat.size, height * 3)
    if rest or stride < width:
        raise ConversionError(
            f"got {flat.size} bytes of data for 'nv24', expected {height * width * 3}"
        )
    luma = flat[: height * stride].reshape(height, stride)[:, :width]
    chroma = flat[height * stride :].reshape(height, stride * 2)[:, : width * 2]
    chroma = chroma.reshape(height, width, 2)
    # OpenCV knows no 4:4:4 of video range. Writing every pixel twice makes it 4:2:2 without loss.
    uyvy = np.stack((chroma[..., 0], luma, chroma[..., 1], luma), axis=-1)
    rgb = cv2.cvtColor(uyvy.reshape(height, width * 2, 2), cv2.COLOR_YUV2RGB_UYVY)
    return np.ascontiguousarray(rgb[:, ::2], dtype=np.uint8)


def _require_even(size: int, name: str, encoding: str) -> None:
    if size % 2:
        raise ConversionError(f"got a {name} of {size}, expected an even {name} for '{encoding}'")
