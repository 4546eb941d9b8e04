# SPDX-License-Identifier: Apache-2.0
"""Images are read by cv_bridge where it is right and by our codec elsewhere, with equal values."""

from __future__ import annotations

import array
import sys

import numpy as np
import pytest
from sensor_msgs.msg import Image

from depthlab_ros import image_bridge
from depthlab_ros.image_bridge import BRIDGED_ENCODINGS, image_from_msg, load_cv_bridge
from depthlab_ros.image_codec import SUPPORTED_ENCODINGS, ConversionError, decode_image

HEIGHT, WIDTH = 12, 16


class UnusedBridge:
    """Fails the test that calls it."""

    def imgmsg_to_cv2(self, msg: Image, encoding: str) -> None:
        raise AssertionError(f"cv_bridge was asked for '{msg.encoding}'")


def noise(encoding: str, *, padding: int = 0, big_endian: bool = False) -> Image:
    step = WIDTH * BRIDGED_ENCODINGS.get(encoding, 3) + padding
    data = np.random.default_rng(7).integers(0, 256, HEIGHT * step, np.uint8)
    msg = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step)
    msg.is_bigendian = int(big_endian)
    msg.data = array.array("B", data.tobytes())
    return msg


def by_our_codec(msg: Image) -> np.ndarray:
    return decode_image(
        msg.data,
        height=msg.height,
        width=msg.width,
        encoding=msg.encoding,
        step=msg.step,
        is_bigendian=bool(msg.is_bigendian),
    )


@pytest.mark.skipif(load_cv_bridge() is None, reason="ROS's cv_bridge is not installed")
@pytest.mark.parametrize("encoding", BRIDGED_ENCODINGS)
def test_cv_bridge_and_our_codec_give_equal_values(encoding, monkeypatch):
    bridge, asked = load_cv_bridge(), []

    class Spy:
        def imgmsg_to_cv2(self, msg: Image, desired: str) -> np.ndarray:
            asked.append((msg.encoding, desired))
            return bridge.imgmsg_to_cv2(msg, desired)

    monkeypatch.setattr(image_bridge, "CV_BRIDGE", Spy())
    msg = noise(encoding)
    seen = image_from_msg(msg)
    assert asked == [(encoding, "rgb8")]
    assert (seen.dtype, seen.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
    np.testing.assert_array_equal(seen, by_our_codec(msg))


@pytest.mark.parametrize(
    "msg",
    [
        noise("rgb8"),
        noise("8UC3"),  # has no colour order for cv_bridge
        noise("bgr8", padding=1),  # cv_bridge skews rows that are padded by parts of a pixel
        noise("mono16", big_endian=True),
    ],
    ids=["rgb8", "8UC3", "padded", "big-endian"],
)
def test_what_cv_bridge_gets_wrong_is_read_by_our_codec(msg, monkeypatch):
    monkeypatch.setattr(image_bridge, "CV_BRIDGE", UnusedBridge())
    np.testing.assert_array_equal(image_from_msg(msg), by_our_codec(msg))


@pytest.mark.parametrize("change", [{"height": HEIGHT + 1}, {"width": WIDTH + 1}, {"step": 1}])
def test_message_that_does_not_fit_never_reaches_cv_bridge(change, monkeypatch):
    monkeypatch.setattr(image_bridge, "CV_BRIDGE", UnusedBridge())
    msg = noise("bgr8")
    for name, value in change.items():
        setattr(msg, name, value)
    with pytest.raises(ConversionError, match=r"^got "):
        image_from_msg(msg)


def test_only_known_encodings_go_to_cv_bridge():
    assert set(BRIDGED_ENCODINGS) <= set(SUPPORTED_ENCODINGS)
    assert not {"nv12", "nv21", "nv24", "uyvy", "yuyv"} & set(BRIDGED_ENCODINGS)


def test_cv_bridge_built_for_another_numpy_is_left_alone_quietly(tmp_path, monkeypatch, capsys):
    package = tmp_path / "cv_bridge"
    package.mkdir()
    # What happens inside of the compiled part (vision_opencv#535).
    (package / "__init__.py").write_text(
        "import sys\n"
        "class CvBridge:\n"
        "    def imgmsg_to_cv2(self, msg, encoding):\n"
        "        sys.stderr.write('AttributeError: _ARRAY_API not found')\n"
        "        raise ImportError('numpy.core.multiarray failed to import')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
    assert load_cv_bridge() is None
    assert "_ARRAY_API" not in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
