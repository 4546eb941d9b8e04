# SPDX-License-Identifier: Apache-2.0
"""``/diagnostics`` tells what depth is metric by, and warns where it is by nothing."""

from __future__ import annotations

import dataclasses

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CameraInfo, Image

from depthlab_core.ground import GroundFit
from depthlab_ros import health
from depthlab_ros.node import DepthLabNode

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
UNSCALED = (
    "depth is not metric: no calibrated camera_info on /camera_info; publish one, or set the "
    "parameter focal_length"
)


@pytest.fixture
def report(ros, until, monkeypatch):
    """Send an image, and return what is told of it, however slow the machine is."""
    monkeypatch.setattr(health, "WINDOW_S", 300.0)
    monkeypatch.setattr(health, "NO_IMAGES_S", 300.0)
    ros.peer.listen("segments")

    def report(node) -> tuple[bytes, str, str]:
        number = str(node.cameras[0].health.published.total + 1)
        start = len(ros.peer.diagnostics)
        image = Image(height=48, width=64, encoding="rgb8", step=192, data=bytes(48 * 192))
        image.header.stamp = ros.peer.get_clock().now().to_msg()
        ros.peer.image_pub.publish(image)

        def told() -> list[dict[str, str]]:
            later = ros.peer.diagnostics[start:]
            return [d for d in later if d.get("frames_published") == number]

        # The frame may have come out while the first of them was made.
        until(lambda: len(told()) >= 2)
        return tuple(told()[1][key] for key in ("level", "message", "focal_length"))

    return report


def calibrate(ros, node, until, focal_length: float) -> None:
    """Publish a calibration at twice the size of the images."""
    k = [focal_length, 0.0, 63.5, 0.0, focal_length, 47.5, 0.0, 0.0, 1.0]
    ros.peer.camera_info_pub.publish(CameraInfo(width=128, height=96, k=k))
    calibrations = node.cameras[0].calibrations
    until(lambda: (last := calibrations.find(0)) and last.focal_length == focal_length)


def test_depth_is_not_metric_until_a_calibration_comes(ros, stub, until, report):
    node = ros.node(stub)
    assert report(node) == (WARN, UNSCALED, "assumed: no calibration")
    calibrate(ros, node, until, 0.0)
    assert report(node) == (WARN, UNSCALED, "assumed: no calibration")
    calibrate(ros, node, until, 100.0)
    assert report(node) == (OK, "active", "50.0 px (camera_info)")
    assert stub.focal_lengths == [None, None, 50.0]


def test_depth_is_metric_by_the_parameter(ros, stub, report):
    assert report(ros.node(stub, focal_length=70.0)) == (OK, "active", "70.0 px (parameter)")


def test_depth_is_metric_by_the_ground(ros, stub, report):
    class OnTheGround(type(stub)):
        inlier_ratio = 0.3

        def predict(self, image, focal_length=None):
            fit = GroundFit(height=1.0, pitch_deg=0.0, roll_deg=0.0, samples=400)
            fit = dataclasses.replace(fit, inlier_ratio=self.inlier_ratio)
            return dataclasses.replace(super().predict(image, focal_length), ground=fit)

    model = OnTheGround()
    node = ros.node(model, camera_height=1.5)
    assert report(node) == (WARN, UNSCALED, "assumed: no calibration")
    model.inlier_ratio = 0.9
    assert report(node) == (OK, "active", "assumed: no calibration")


def test_depth_that_is_not_metric_is_in_the_log_once_per_activation(ros, stub, report, capfd):
    node = ros.node(stub)

    def said() -> list[str]:
        return [line for line in capfd.readouterr().err.splitlines() if "not metric" in line]

    for _ in range(2):
        for _ in range(2):
            report(node)
        [line] = said()
        assert "[WARN]" in line
        assert line.endswith(UNSCALED)
        assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
        assert ros.change_state(Transition.TRANSITION_ACTIVATE)
        ros.connect(node)


def test_rectified_images_are_calibrated_by_the_projection_matrix(ros, stub, until, capfd):
    remap = ["--ros-args", "-r", "image_raw:=front/image_rect"]
    images = ros.peer.create_publisher(Image, "front/image_rect", 1)
    ros.peer.listen("segments", "depth/camera_info")
    node = ros.spin(DepthLabNode, load_model=lambda *_: stub, cli_args=remap)
    node.start()
    ros.connect(node)
    info = CameraInfo(
        width=64, height=48, distortion_model="plumb_bob", d=[-0.3, 0.1, 0.0, 0.0, 0.0]
    )
    info.k = [50.0, 0.0, 30.0, 0.0, 52.0, 25.0, 0.0, 0.0, 1.0]
    info.p = [40.0, 0.0, 33.5, 0.0, 0.0, 42.0, 23.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    ros.peer.camera_info_pub.publish(info)
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    images.publish(ros.peer.image(200))
    until(lambda: ros.peer.received["segments"] and ros.peer.received["depth/camera_info"])

    assert stub.focal_lengths == [40.0]
    car = ros.peer.received["segments"][0].segments[1]
    assert car.position.x == pytest.approx((5.5 - 33.5) / 40.0 * 12.0)
    assert car.position.y == pytest.approx((3.0 - 23.0) / 42.0 * 12.0)
    [out] = ros.peer.received["depth/camera_info"]
    assert list(out.k) == [40.0, 0.0, 33.5, 0.0, 42.0, 23.0, 0.0, 0.0, 1.0]
    assert list(out.d) == [0.0] * 5
    assert list(out.p) == list(info.p)
    assert "the lens is distorted" not in capfd.readouterr().err


def test_a_calibration_of_another_aspect_ratio_is_told_once(ros, stub, until, capfd):
    ros.peer.listen("segments")
    node = ros.node(stub)
    k = [50.0, 0.0, 31.5, 0.0, 50.0, 17.5, 0.0, 0.0, 1.0]
    ros.peer.camera_info_pub.publish(CameraInfo(width=64, height=36, k=k))
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    for number in (1, 2):
        ros.peer.send(number)
        until(lambda number=number: ros.peer.stamps()[-1:] == [number])
    told = [line for line in capfd.readouterr().err.splitlines() if "aspect ratio" in line]
    assert len(told) == 1
    assert "camera_info is for images of 64x36, but they have 64x48" in told[0]


def test_a_calibration_that_came_once_outlives_deactivation(ros, stub, until, report):
    node = ros.node(stub)
    calibrate(ros, node, until, 100.0)
    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.change_state(Transition.TRANSITION_ACTIVATE)
    ros.connect(node)
    assert report(node) == (OK, "active", "50.0 px (camera_info)")
    assert stub.focal_lengths == [50.0]
