# SPDX-License-Identifier: Apache-2.0
"""Parameters and the service ``~/enable`` while the node runs, over DDS."""

from __future__ import annotations

import array
import logging
import threading

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import DescribeParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from visualization_msgs.msg import Marker

from depthlab_core.config import PostprocessConfig
from depthlab_ros.parameters import NodeParameters


def publish(ros, number: int) -> None:
    """Publish an image whose stamp is ``number``: left road, right car by the stub's rule."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 32:, 0] = 200
    msg = Image(height=48, width=64, encoding="rgb8", step=64 * 3, header=Header(frame_id="cam"))
    msg.header.stamp.sec = number
    msg.data = array.array("B", image.tobytes())
    ros.peer.image_pub.publish(msg)


@pytest.fixture
def enable(ros, until):
    client = ros.peer.create_client(SetBool, "depthlab_node/enable")

    def call(data: bool) -> SetBool.Response:
        ros.state()  # until the node knows of this peer
        until(client.service_is_ready)
        answer = client.call_async(SetBool.Request(data=data))
        until(answer.done)
        return answer.result()

    return call


def test_enable_service_switches_and_the_parameter_follows(ros, stub, until, enable):
    ros.peer.listen("segments", "markers")
    node = ros.node(stub, focal_length=50.0)
    publish(ros, 1)
    until(lambda: ros.peer.stamps() == [1] and len(ros.peer.received["markers"]) == 1)

    answer = enable(False)
    assert (answer.success, answer.message) == (True, "disabled")
    assert node.get_parameter("enable").value is False
    until(lambda: len(ros.peer.received["markers"]) == 2)
    assert [m.action for m in ros.peer.received["markers"][1].markers] == [Marker.DELETEALL]
    publish(ros, 2)
    until(lambda: any(d.get("frames_received") == "2" for d in ros.peer.diagnostics))
    until(lambda: ros.peer.diagnostics[-1]["message"] == "disabled")
    assert len(stub.images) == 1

    answer = enable(True)
    assert (answer.success, answer.message) == (True, "enabled")
    publish(ros, 3)
    until(lambda: ros.peer.stamps() == [1, 3])


def test_no_marker_of_a_frame_under_way_outlasts_disabling(ros, stub, until, enable):
    class HeldAtPublishing(type(stub)):
        """Stops the publishing thread behind its look at ``enable``, before the markers."""

        reached, go_on = threading.Event(), threading.Event()

        @property
        def labels(self):
            if threading.current_thread().name == "publishing":
                self.reached.set()
                assert self.go_on.wait(300)
            return stub.labels

    model = HeldAtPublishing()
    ros.peer.listen("markers")
    ros.node(model, focal_length=50.0)
    publish(ros, 1)
    until(model.reached.is_set)
    assert enable(False).success
    received = ros.peer.received["markers"]
    until(lambda: len(received) == 1)
    model.go_on.set()
    until(lambda: len(received) == 3)
    actions = [[marker.action for marker in msg.markers] for msg in received]
    assert actions[0] == actions[2] == [Marker.DELETEALL]
    assert Marker.ADD in actions[1]


def test_rate_limit(ros, stub, until, parameter_overrides):
    ros.peer.listen("segments")
    # So rare that no machine is slow enough for a second one.
    node = ros.node(stub, max_rate=0.001, focal_length=50.0)
    received = node.cameras[0].health.received
    for number in range(1, 21):
        publish(ros, number)
        until(lambda number=number: received.total == number)
    until(lambda: ros.peer.diagnostics and ros.peer.diagnostics[-1]["frames_skipped"] == "19")
    assert ros.peer.diagnostics[-1]["message"] == "active"

    assert node.set_parameters(parameter_overrides(max_rate=0.0))[0].successful
    publish(ros, 21)
    until(lambda: ros.peer.stamps()[-1:] == [21])
    assert ros.peer.stamps() == [1, 21]


def test_the_rate_limit_starts_anew_with_activation(ros, stub, until):
    ros.peer.listen("segments")
    node = ros.node(stub, max_rate=0.001)
    publish(ros, 1)
    until(lambda: ros.peer.stamps() == [1])
    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.change_state(Transition.TRANSITION_ACTIVATE)
    ros.connect(node)
    publish(ros, 2)
    until(lambda: node.cameras[0].health.received.total == 1)
    assert node.cameras[0].health.skipped == 0
    until(lambda: ros.peer.stamps() == [1, 2])


def test_classes_and_score_filter_what_is_told(ros, stub, until, parameter_overrides):
    ros.peer.listen("segments", "panoptic/id")
    node = ros.node(stub, classes="car")
    publish(ros, 1)
    until(lambda: len(ros.peer.received["panoptic/id"]) == 1)
    [car] = ros.peer.received["segments"][0].segments
    assert (car.id, car.class_name) == (1, "car")
    ids = np.frombuffer(ros.peer.received["panoptic/id"][0].data, np.uint16).reshape(48, 64)
    np.testing.assert_array_equal(ids[0], [0] * 32 + [1] * 32)

    assert node.set_parameters(parameter_overrides(classes="", min_score=0.6))[0].successful
    publish(ros, 2)
    until(lambda: len(ros.peer.received["segments"]) == 2)
    assert [s.class_name for s in ros.peer.received["segments"][1].segments] == ["road"]


def test_unknown_class_is_refused_and_nothing_changes(ros, stub, parameter_overrides):
    node = ros.node(stub, classes="car")
    [result] = node.set_parameters(parameter_overrides(classes="car, boat"))
    assert not result.successful
    assert "parameter 'classes': got boat, expected names among road, " in result.reason
    assert node.get_parameter("classes").value == "car"


def test_unknown_class_at_the_start_fails_configure(ros, stub):
    node = ros.node(stub, start=False, classes="boat")
    node.start()
    assert ros.state() == "unconfigured"


def test_thresholds_reach_the_model_and_go_back_to_its_own(ros, stub, parameter_overrides):
    own = PostprocessConfig(center_threshold=0.3, stuff_area=100, area_size=(512, 1024))
    stub.postprocess = own
    node = ros.node(stub, top_k=50)
    assert stub.postprocess == PostprocessConfig(
        center_threshold=0.3, top_k=51, stuff_area=100, area_size=(512, 1024)
    )
    changes = parameter_overrides(center_threshold=0.5, stuff_area=7, top_k=0)
    assert all(result.successful for result in node.set_parameters(changes))
    assert stub.postprocess == PostprocessConfig(
        center_threshold=0.5, top_k=None, stuff_area=7, area_size=None
    )
    changes = parameter_overrides(center_threshold=-1.0, stuff_area=-1, top_k=-1)
    assert all(result.successful for result in node.set_parameters(changes))
    assert stub.postprocess == own


def test_threshold_out_of_range_is_refused(ros, stub, parameter_overrides):
    node = ros.node(stub)
    [result] = node.set_parameters(parameter_overrides(center_threshold=1.5))
    assert not result.successful
    assert stub.postprocess == PostprocessConfig()


def test_every_parameter_describes_itself(ros, stub, until):
    ros.node(stub)
    client = ros.peer.create_client(DescribeParameters, "depthlab_node/describe_parameters")
    ros.state()
    until(client.service_is_ready)
    names = list(vars(NodeParameters()))
    answer = client.call_async(DescribeParameters.Request(names=names))
    until(answer.done)
    descriptors = answer.result().descriptors
    assert [d.name for d in descriptors] == names
    assert all(len(d.description) > 10 for d in descriptors)
    by_name = {d.name: d for d in descriptors}
    assert by_name["jpeg_quality"].integer_range[0].to_value == 100
    assert by_name["min_score"].floating_point_range[0].to_value == 1.0
    assert by_name["depth_statistic"].additional_constraints == "One of: mean, median, p05, p95"
    assert {name for name, d in by_name.items() if d.read_only} == {"autostart"}
    assert by_name["jpeg_quality"].type == Parameter.Type.INTEGER.value


def test_what_the_core_says_is_said_by_the_node(ros, stub, until):
    said = []
    ros.peer.create_subscription(Log, "/rosout", lambda msg: said.append((msg.level, msg.msg)), 50)
    node = ros.node(stub)
    until(lambda: node.count_subscribers("/rosout") > 0)
    logger = logging.getLogger("depthlab_core.engine")

    def is_said() -> bool:
        logger.info("network runs by %s", "torch")
        logger.warning("openvino does not run")
        return {(20, "network runs by torch"), (30, "openvino does not run")} <= set(said)

    until(is_said)
