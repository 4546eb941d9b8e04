# SPDX-License-Identifier: Apache-2.0
"""``depthlab_node``: camera images in, segments with class and depth out.

The executor's thread only receives; a worker thread takes the newest frame, runs the model and
publishes, so that a slow model never makes the node deaf or lets old frames pile up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depthlab_core import DepthLab, LabelSet, Prediction
from depthlab_ros.camera_model import CameraModel, CameraModelBuffer
from depthlab_ros.conversions import (
    camera_model_from_msg,
    image_from_compressed_msg,
    image_from_msg,
    stamp_to_ns,
)
from depthlab_ros.health import Health
from depthlab_ros.inference_worker import InferenceWorker
from depthlab_ros.lifecycle import refuse_invalid_transitions
from depthlab_ros.one_line import one_line
from depthlab_ros.outputs import LOG_EVERY_S, Outputs, Result
from depthlab_ros.parameter_declaration import (
    ParameterError,
    declare_parameters,
    update_parameters,
)
from depthlab_ros.parameters import NodeParameters
from depthlab_ros.vision_conversions import HAS_VISION_MSGS, MISSING

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE

INPUT_QOS = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=1
)
CAMERA_INFO_QOS = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=10
)
ImageMsg: TypeAlias = "Image | CompressedImage"


class Model(Protocol):
    """What the node needs of a model; ``depthlab_core.DepthLab`` is one."""

    labels: LabelSet

    @property
    def name(self) -> str:
        """Name for ``SegmentArray.model``."""

    @property
    def device(self) -> object:
        """Where it runs, for reports."""

    def predict(self, image: NDArray[np.uint8], focal_length: float | None = None) -> Prediction:
        """Return what is in an RGB image, uint8 ``(H, W, 3)``."""


class DepthLabNode(LifecycleNode):
    """Lifecycle node around one model.

    Configure loads the model and offers the topics; activate subscribes and starts the worker.

    Args:
        load_model: Makes the model of a name or path and a device; tests give a stub here.
        kwargs: Passed to ``rclpy.node.Node``.

    Raises:
        ParameterError: If it is started with a parameter that it cannot have.
    """

    def __init__(
        self, *, load_model: Callable[[str, str], Model] = DepthLab.load, **kwargs: Any
    ) -> None:
        super().__init__("depthlab_node", **kwargs)
        self._load_model = load_model
        self._settings = declare_parameters(self, NodeParameters)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        refuse_invalid_transitions(self)
        self._model: Model | None = None
        self._outputs: Outputs | None = None
        self._inputs: list[Any] = []
        self._cameras = CameraModelBuffer()
        self._worker: InferenceWorker[ImageMsg] | None = None
        self._health = Health()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self.create_timer(1.0, self._report)

    def start(self) -> None:
        """Come up active if the parameter ``autostart`` says so."""
        if self._settings.autostart and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model; without one the node stays unconfigured and says why."""
        name, device = self._settings.model, self._settings.device
        try:
            self._model = self._load_model(name, device)
        except Exception as error:  # whatever a damaged file can cause must not end the node
            self.get_logger().error(f"configure failed: {one_line(error)}")
            return FAILURE
        self._outputs = Outputs(self)
        if not HAS_VISION_MSGS:
            self.get_logger().info(MISSING)
        self.get_logger().info(f"model {self._model.name} loaded on {self._model.device}")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to take images."""
        result = super().on_activate(state)
        self._health = Health()
        self._cameras = CameraModelBuffer()
        assert self._model is not None
        assert self._outputs is not None
        self._outputs.announce(self._model.labels)
        self._worker = InferenceWorker(self._process, self._give_up)
        compressed = self._settings.image_transport == "compressed"
        topic = "image_raw/compressed" if compressed else "image_raw"
        kind = CompressedImage if compressed else Image
        overridable = QoSOverridingOptions.with_default_policies()
        self._inputs = [
            self.create_subscription(
                CameraInfo, "camera_info", self._on_camera_info, CAMERA_INFO_QOS
            ),
            self.create_subscription(
                kind, topic, self._on_image, INPUT_QOS, qos_overriding_options=overridable
            ),
        ]
        self.get_logger().info(f"active, waiting for images on {self.resolve_topic_name(topic)}")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop to take images; a frame under way is finished first."""
        self._stop()
        if self._outputs is not None:
            self._outputs.clear_markers()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the topics."""
        self._release()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and let go of everything, from any state."""
        self._stop()
        self._release()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after an unexpected failure."""
        return self.on_shutdown(state)

    def destroy_node(self) -> None:
        """Stop the worker before the topics go."""
        self._stop()
        super().destroy_node()

    def _stop(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _release(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = None
        self._model = None

    def _on_image(self, msg: ImageMsg) -> None:
        if self._worker is not None:
            self._health.on_received()
            self._worker.put(msg)

    def _on_camera_info(self, msg: CameraInfo) -> None:
        camera = camera_model_from_msg(msg)
        self._cameras.add(stamp_to_ns(msg.header.stamp), camera)
        if camera.is_distorted:
            self.get_logger().info(
                f"the lens is distorted ({camera.distortion_model}); image_raw is used as it is, "
                "so positions near its edges are off",
                once=True,
            )

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = {change.name: change.value for change in changes}
        try:
            self._settings = update_parameters(
                self._settings, values, configured=self._model is not None
            )
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _process(self, msg: ImageMsg) -> None:
        assert self._model is not None
        assert self._outputs is not None
        settings = self._settings
        if not self._outputs.any_wanted(settings.lazy):
            return
        is_raw = isinstance(msg, Image)
        image = image_from_msg(msg) if is_raw else image_from_compressed_msg(msg)
        height, width = image.shape[:2]
        camera = self._camera_of(stamp_to_ns(msg.header.stamp), width, height)
        start = time.perf_counter()
        prediction = self._model.predict(
            image, focal_length=camera.focal_length if camera is not None else None
        )
        inference_ms = (time.perf_counter() - start) * 1e3
        self._outputs.publish(
            Result(
                header=msg.header,
                image=image,
                prediction=prediction,
                inference_ms=inference_ms,
                camera=camera,
                model=self._model.name,
                labels=self._model.labels,
                settings=settings,
            )
        )
        self._health.on_published(inference_ms)

    def _camera_of(self, stamp_ns: int, width: int, height: int) -> CameraModel | None:
        """Return the calibration for an image: by parameter, else by CameraInfo, else none."""
        if self._settings.focal_length > 0.0:
            return CameraModel.from_focal_length(width, height, self._settings.focal_length)
        camera = self._cameras.find(stamp_ns)
        if camera is None or not camera.is_calibrated:
            return None
        return camera.scale_to(width, height)

    def _give_up(self, text: str) -> None:
        if not self.context.ok():
            return  # interrupted, and so nothing can be published: no fault of the frame
        self._health.on_failed(text)
        self.get_logger().warning(text, throttle_duration_sec=LOG_EVERY_S)

    def _report(self) -> None:
        self._diagnostics.publish(
            self._health.to_msg(
                stamp=self.get_clock().now().to_msg(),
                node=self.get_fully_qualified_name(),
                state="active" if self._worker else "inactive" if self._model else "unconfigured",
                model=self._model.name if self._model else "",
                device=str(self._model.device) if self._model else "",
                replaced=self._worker.replaced if self._worker else 0,
            )
        )


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    rclpy.init(args=args)
    try:
        node = DepthLabNode()
    except ParameterError as error:
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    try:
        node.start()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():
            raise  # else interrupted while it came up, where rclpy raises what it likes
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
