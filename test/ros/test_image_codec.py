# SPDX-License-Identifier: Apache-2.0
"""Every pixel encoding of sensor_msgs, against encoders written from the formats' definitions."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from depthlab_ros.image_codec import (
    PUBLISHABLE_ENCODINGS,
    SUPPORTED_ENCODINGS,
    ConversionError,
    decode_compressed,
    decode_image,
    encode_image,
)

# (red, green, blue) of the quadrants of the test picture, from the top left line by line.
QUADRANTS = [[(200, 60, 30), (40, 180, 90)], [(60, 90, 210), (230, 220, 200)]]
HEIGHT, WIDTH = 12, 16
DEPRECATED_OR_RAW = {
    "yuv422": "uyvy",
    "yuv422_yuy2": "yuyv",
    "8UC1": "mono8",
    "8UC": "mono8",
    "8UC3": "bgr8",
    "8UC4": "bgra8",
    "16UC1": "mono16",
    "16UC": "mono16",
    "16UC3": "bgr16",
    "16UC4": "bgra16",
}


def picture() -> np.ndarray:
    rgb = np.array(QUADRANTS, np.uint8)
    return rgb.repeat(HEIGHT // 2, axis=0).repeat(WIDTH // 2, axis=1)


def to_yuv(rgb: np.ndarray) -> np.ndarray:
    """ITU-R BT.601, video range: Y 16 to 235, U and V around 128."""
    r, g, b = (rgb[..., i].astype(float) / 255 for i in range(3))
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112.0 * b
    v = 128 + 112.0 * r - 93.786 * g - 18.214 * b
    return np.stack([y, u, v], -1).round().astype(np.uint8)


def encode(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Return the rows of ``rgb`` in ``encoding``, uint8 or uint16, without padding."""
    encoding = DEPRECATED_OR_RAW.get(encoding, encoding)
    height, width = rgb.shape[:2]
    if encoding.startswith("bayer_"):
        tile = encoding[6:10]
        channel = np.array(
            [["rgb".index(c) for c in tile[:2]], ["rgb".index(c) for c in tile[2:]]]
        )
        channel = np.tile(channel, (height // 2, width // 2))
        rows = np.take_along_axis(rgb, channel[..., None], axis=2)[..., 0]
    elif encoding in ("uyvy", "yuyv"):
        yuv = to_yuv(rgb)
        chroma = np.where(np.arange(width) % 2 == 0, yuv[..., 1], yuv[..., 2])
        pair = (chroma, yuv[..., 0]) if encoding == "uyvy" else (yuv[..., 0], chroma)
        rows = np.stack(pair, -1).reshape(height, -1)
    elif encoding in ("nv12", "nv21"):
        yuv = to_yuv(rgb)
        order = [1, 2] if encoding == "nv12" else [2, 1]
        chroma = yuv[::2, ::2][..., order].reshape(height // 2, width)
        rows = np.vstack([yuv[..., 0], chroma])
    elif encoding == "nv24":
        yuv = to_yuv(rgb)
        return np.concatenate([yuv[..., 0].ravel(), yuv[..., 1:].ravel()])[None]
    elif encoding.startswith("mono"):
        rows = rgb[..., 0]
    else:
        order = ["rgba".index(c) for c in encoding.rstrip("0123456789")]
        alpha = np.full((height, width, 1), 7, np.uint8)
        rows = np.concatenate([rgb, alpha], -1)[..., order].reshape(height, -1)
    return rows.astype(np.uint16) * 257 if encoding.endswith("16") else rows


def to_bytes(rows: np.ndarray, *, padding: int, big_endian: bool) -> tuple[bytes, int]:
    """Return the bytes of the rows, ``padding`` more after each, and the step."""
    if rows.dtype == np.uint16:
        rows = rows.astype(">u2" if big_endian else "<u2").view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return padded.tobytes(), padded.shape[1]


def assert_shows_picture(rgb: np.ndarray, encoding: str) -> None:
    """Check the middle of each quadrant; at the seams chroma and mosaics may mix."""
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.dtype == np.uint8
    real = DEPRECATED_OR_RAW.get(encoding, encoding)
    for row in range(2):
        for column in range(2):
            red, green, blue = QUADRANTS[row][column]
            expected = (red, red, red) if real.startswith("mono") else (red, green, blue)
            # Video range has 219 steps of luma, each worth up to 2 of 256.
            tolerance = 3 if real in ("uyvy", "yuyv", "nv12", "nv21", "nv24") else 0
            y, x = row * HEIGHT // 2 + 2, column * WIDTH // 2 + 2
            seen = rgb[y : y + 2, x : x + 4].reshape(-1, 3).astype(int)
            assert abs(seen - expected).max() <= tolerance, (encoding, row, column)


@pytest.mark.parametrize("encoding", SUPPORTED_ENCODINGS)
@pytest.mark.parametrize(("padding", "big_endian"), [(0, False), (5, False), (3, True)])
def test_every_encoding(encoding, padding, big_endian):
    rows = encode(picture(), encoding)
    padding = 0 if encoding == "nv24" else padding
    data, step = to_bytes(rows, padding=padding, big_endian=big_endian)
    rgb = decode_image(
        data, height=HEIGHT, width=WIDTH, encoding=encoding, step=step, is_bigendian=big_endian
    )
    assert_shows_picture(rgb, encoding)


def test_nv24_with_padded_rows():
    yuv = to_yuv(picture())
    luma = np.pad(yuv[..., 0], ((0, 0), (0, 4)))
    chroma = np.pad(yuv[..., 1:].reshape(HEIGHT, -1), ((0, 0), (0, 8)))
    data = luma.tobytes() + chroma.tobytes()
    rgb = decode_image(
        data, height=HEIGHT, width=WIDTH, encoding="nv24", step=WIDTH + 4, is_bigendian=False
    )
    assert_shows_picture(rgb, "nv24")


def test_every_name_of_sensor_msgs_is_known():
    # sensor_msgs/image_encodings.hpp of Jazzy, without the numeric types that carry no brightness.
    names = "rgb8 rgba8 rgb16 rgba16 bgr8 bgra8 bgr16 bgra16 mono8 mono16 "
    names += "bayer_rggb8 bayer_bggr8 bayer_gbrg8 bayer_grbg8 "
    names += "bayer_rggb16 bayer_bggr16 bayer_gbrg16 bayer_grbg16 "
    names += "uyvy yuv422 yuyv yuv422_yuy2 nv12 nv21 nv24 8UC1 8UC3 8UC4 16UC1 16UC3 16UC4"
    assert set(names.split()) <= set(SUPPORTED_ENCODINGS)


def test_sixteen_bits_are_scaled_not_cut():
    samples = np.array([[0, 128, 129, 32768, 65535]], np.uint16)
    rgb = decode_image(
        samples.tobytes(), height=1, width=5, encoding="mono16", step=10, is_bigendian=False
    )
    assert rgb[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_last_row_may_lack_its_padding():
    data, step = to_bytes(encode(picture(), "rgb8"), padding=6, big_endian=False)
    rgb = decode_image(
        data[:-6], height=HEIGHT, width=WIDTH, encoding="rgb8", step=step, is_bigendian=False
    )
    np.testing.assert_array_equal(rgb, picture())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"encoding": "x-ray"}, "got encoding 'x-ray' (unknown), expected one of mono8,"),
        ({"encoding": "32FC1"}, "got encoding '32FC1' (numbers without a defined brightness"),
        ({"encoding": ""}, "got encoding '' (unknown)"),
        ({"step": 47}, "got a step of 47 bytes, expected at least 48 for 'rgb8'"),
        ({"step": 60}, "got 576 bytes of data, expected at least 708 for 12 rows of 60"),
        ({"height": 0}, "got an image of 16x0, expected at least 1x1"),
        ({"encoding": "yuyv", "width": 15}, "got a width of 15, expected an even width"),
        ({"encoding": "nv12", "height": 11}, "got a height of 11, expected an even height"),
        ({"encoding": "nv24", "width": 17}, "got 576 bytes of data for 'nv24', expected 612"),
        ({"encoding": "bayer_rggb8", "height": 2}, "got a Bayer image of 16x2, expected at least"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(change, text):
    good = {"height": 12, "width": 16, "encoding": "rgb8", "step": 48, "is_bigendian": False}
    with pytest.raises(ConversionError) as error:
        decode_image(bytes(576), **(good | change))
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("extension", [".png", ".jpg", ".bmp", ".webp", ".tiff"])
def test_compressed(extension):
    image = picture()
    file = cv2.imencode(extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    rgb = decode_compressed(file, extension[1:])
    difference = abs(rgb.astype(int) - image)
    assert difference.mean() <= (10 if extension in (".jpg", ".webp") else 0)


def test_compressed_grey_and_sixteen_bit():
    grey = np.full((8, 8), 77, np.uint8)
    rgb = decode_compressed(cv2.imencode(".png", grey)[1].tobytes(), "mono8; png compressed ")
    assert rgb.shape == (8, 8, 3)
    assert (rgb == 77).all()
    deep = np.full((8, 8), 77 * 257, np.uint16)
    rgb = decode_compressed(cv2.imencode(".png", deep)[1].tobytes(), "mono16; png compressed ")
    assert (rgb == 77).all()


@pytest.mark.parametrize("encoding", ["bayer_grbg8", "bayer_rggb16"])
def test_compressed_mosaic_is_demosaiced(encoding):
    file = cv2.imencode(".png", encode(picture(), encoding))[1].tobytes()
    assert_shows_picture(decode_compressed(file, f"{encoding}; png compressed "), encoding)


@pytest.mark.parametrize("data", [b"", b"not an image at all"])
def test_compressed_rubbish(data):
    with pytest.raises(ConversionError, match=f"got {len(data)} bytes of format 'jpeg'"):
        decode_compressed(data, "jpeg")


def test_compressed_depth_is_not_a_picture():
    with pytest.raises(ConversionError, match="compressedDepth"):
        decode_compressed(b"1234", "16UC1; compressedDepth png")


@pytest.mark.parametrize("encoding", PUBLISHABLE_ENCODINGS)
def test_what_the_player_publishes_reads_back(encoding):
    image = picture() if encoding != "mono8" else picture()[..., :1].repeat(3, axis=2)
    pixels = encode_image(image, encoding)
    rgb = decode_image(
        pixels.tobytes(),
        height=HEIGHT,
        width=WIDTH,
        encoding=encoding,
        step=pixels.nbytes // HEIGHT,
        is_bigendian=False,
    )
    np.testing.assert_array_equal(rgb, image)


def test_every_encoding_reaches_the_model_over_dds(ros, stub, until):
    ros.peer.listen("panoptic/id")
    ros.node(stub)
    for count, encoding in enumerate(SUPPORTED_ENCODINGS, start=1):
        data, step = to_bytes(encode(picture(), encoding), padding=0, big_endian=False)
        msg = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step)
        msg.data = array.array("B", data)
        msg.header.stamp.sec = count
        ros.peer.image_pub.publish(msg)
        until(lambda count=count: len(ros.peer.received["panoptic/id"]) == count)
        assert ros.peer.received["panoptic/id"][-1].header.stamp.sec == count
        assert_shows_picture(stub.images[-1], encoding)
