# SPDX-License-Identifier: Apache-2.0
"""``depthlab_node``: camera images in, segments with class and depth out.

The executor's thread only receives; a second one takes the newest frame and runs the model, a
third publishes, so that a slow model never makes the node deaf or lets old frames pile up.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from depthlab_core import DepthLab
from depthlab_core.batching import LARGEST_BATCH
from depthlab_core.config import PostprocessConfig
from depthlab_ros import mounting_height
from depthlab_ros.camera import Camera
from depthlab_ros.core_log import CoreLog
from depthlab_ros.frame import Frame, InferredFrame, Model, infer
from depthlab_ros.health import stuck
from depthlab_ros.inference_worker import InferenceWorker
from depthlab_ros.lifecycle import (
    TransitionError,
    destroy_state_machine,
    refuse_invalid_transitions,
    state_label,
    tells_failure,
)
from depthlab_ros.memory import keep_freed_memory
from depthlab_ros.mounting_height import MountingHeight
from depthlab_ros.outputs import LOG_EVERY_S
from depthlab_ros.parameter_declaration import (
    ParameterError,
    declare_parameters,
    update_parameters,
)
from depthlab_ros.parameters import UNKNOWN_SIZE, NodeParameters
from depthlab_ros.publishing import publish
from depthlab_ros.reporter import Reporter
from depthlab_ros.segment_filter import parse_classes
from depthlab_ros.shutdown import shut_down
from depthlab_ros.vision_conversions import HAS_VISION_MSGS, MISSING

SUCCESS = TransitionCallbackReturn.SUCCESS


class DepthLabNode(LifecycleNode):
    """Lifecycle node around one model.

    Configure loads the model and offers the topics; activate subscribes and starts the worker.

    Args:
        load_model: Makes the model of a name or path, a device, a backend and a precision; tests
            give a stub here.
        kwargs: Passed to ``rclpy.node.Node``.

    Raises:
        ParameterError: If it is started with a parameter that it cannot have.
    """

    def __init__(
        self, *, load_model: Callable[[str, str, str, str], Model] = DepthLab.load, **kwargs: Any
    ) -> None:
        super().__init__("depthlab_node", **kwargs)
        self._load_model = load_model
        self._settings = declare_parameters(self, NodeParameters)
        self._core_log = CoreLog(self.get_logger())
        self.add_on_set_parameters_callback(self._on_set_parameters)
        refuse_invalid_transitions(self)
        self.cameras: list[Camera] = []
        self.failure = ""
        self._model: Model | None = None
        self._models_own = PostprocessConfig()
        self._categories: frozenset[int] = frozenset()
        self._worker: InferenceWorker[Camera, Frame, InferredFrame] | None = None
        self._heights: MountingHeight | None = None
        self._reporter = Reporter(self)
        # Steady: simulated time may stand still, which is when a report is wanted.
        self.create_timer(1.0, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.create_service(SetBool, "~/enable", self._on_enable)
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=lambda jump: self._on_time_jump(),
        )

    def start(self) -> None:
        """Come up active if the parameter ``autostart`` says so; what fails tells of itself."""
        if self._settings.autostart and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    @tells_failure
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model; without one the node stays unconfigured and says why."""
        settings = self._settings
        # A shell leaves the ~ of model:=~/a.safetensors alone, and nothing else would replace it.
        name_or_path = os.path.expanduser(settings.model)
        model = self._load_model(
            name_or_path, settings.device, settings.backend, settings.precision
        )
        self._categories = parse_classes(settings.classes, model.labels)
        height, width = settings.warm_up_size
        if (height, width) != UNKNOWN_SIZE:
            cameras = len(settings.cameras)
            model.warm_up(height, width, images=min(cameras, self._most_at_once(model)))
        self._model, self._models_own = model, model.postprocess
        model.postprocess = settings.postprocess(self._models_own)
        for name in settings.cameras:  # one by one, so that one that fails leaves none behind
            self.cameras.append(Camera(self, name, lambda: self._settings))
        if settings.ground_frame and mounting_height.HAS_TF:
            self._heights = MountingHeight(self, settings.ground_frame)
        elif settings.ground_frame:
            self.get_logger().warning(mounting_height.MISSING)
        if not HAS_VISION_MSGS:
            self.get_logger().info(MISSING)
        self.get_logger().info(f"model {model.name} loaded on {model.device}")
        return super().on_configure(state)

    @tells_failure
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to take images."""
        result = super().on_activate(state)
        assert self._model is not None
        most_at_once = partial(self._most_at_once, self._model)
        self._worker = InferenceWorker(self._infer, self._publish, self._give_up, most_at_once)
        for camera in self.cameras:
            camera.outputs.announce(self._model.labels)
            camera.start(self._worker.put)
        return result

    @tells_failure
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop to take images; a frame under way is finished first.

        The node stays active if that frame takes too long.
        """
        assert self._worker is not None
        if not self._worker.stop() and self._worker.resume():
            raise TransitionError(_stuck(self._worker))
        self._stop()
        for camera in self.cameras:
            camera.outputs.clear_markers()
        return super().on_deactivate(state)

    @tells_failure
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the topics."""
        self._release()
        return SUCCESS

    @tells_failure
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and let go of everything, from any state."""
        self._stop()
        self._release()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after a failure, which stays told."""
        self._stop()
        self._release()
        return SUCCESS

    def destroy_node(self) -> None:
        """Stop the worker before the topics go."""
        self._jumps.unregister()
        self._stop()
        self._core_log.close()
        super().destroy_node()
        destroy_state_machine(self)

    def _stop(self) -> None:
        for camera in self.cameras:
            camera.stop()
        if self._worker is not None:
            if not self._worker.stop():
                self._tell_at_the_end(f"{_stuck(self._worker)}, which is abandoned")
            self._worker = None

    def _tell_at_the_end(self, text: str) -> None:
        if self.context.ok():
            self.get_logger().error(text)
        else:  # interrupted, and the log would complain that it cannot be published any more
            print(f"error: {text}", file=sys.stderr)

    def _release(self) -> None:
        for camera in self.cameras:
            camera.outputs.clear_markers()  # does nothing but where the node was active until now
            camera.outputs.destroy()
        self.cameras = []
        self._model = None
        if self._heights is not None:
            self._heights.close()
            self._heights = None

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = {change.name: change.value for change in changes}
        model = self._model
        try:
            settings = update_parameters(self._settings, values, configured=model is not None)
            if model is not None:
                self._categories = parse_classes(settings.classes, model.labels)
                model.postprocess = settings.postprocess(self._models_own)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        was_enabled, self._settings = self._settings.enable, settings
        if was_enabled and not settings.enable:
            for camera in self.cameras:
                camera.outputs.clear_markers()
        return SetParametersResult(successful=True)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        [result] = self.set_parameters([Parameter("enable", value=request.data)])
        response.success = result.successful
        response.message = result.reason or ("enabled" if request.data else "disabled")
        return response

    def _on_time_jump(self) -> None:
        self.get_logger().info("time has jumped back: starting over")
        if self._worker is not None:
            self._worker.forget_waiting()
        for camera in self.cameras:
            camera.reset()

    def _most_at_once(self, model: Model) -> int:
        """Return how many cameras' frames may go through the model together."""
        batch = self._settings.batch
        is_on = batch == "on" or (batch == "auto" and str(model.device) != "cpu")
        return LARGEST_BATCH if is_on else 1

    def _infer(self, frames: Mapping[Camera, Frame]) -> dict[Camera, InferredFrame | Exception]:
        assert self._model is not None
        settings = self._settings
        wanted = {
            camera: frame
            for camera, frame in frames.items()
            if camera.outputs.any_wanted(settings.lazy)
        }
        return infer(wanted, self._model, settings, self._warn)

    def _publish(self, camera: Camera, inferred: InferredFrame) -> None:
        model = self._model
        if model is None or not self._is_enabled():
            return  # let go or switched off meanwhile
        publish(
            camera,
            inferred,
            model,
            categories=self._categories,
            camera_height=self._camera_height(inferred.frame.msg.header.frame_id),
            now_ns=self.get_clock().now().nanoseconds,
        )
        if not self._is_enabled():
            camera.outputs.clear_markers()  # these came after those that switching off cleared

    def _is_enabled(self) -> bool:
        return self._settings.enable

    def _camera_height(self, frame_id: str) -> float | None:
        """Return the height of a camera in metres: by parameter, else by TF, else None."""
        if self._settings.camera_height > 0.0:
            return self._settings.camera_height
        return None if self._heights is None else self._heights.of(frame_id)

    def _give_up(self, camera: Camera, text: str) -> None:
        if not self.context.ok():
            return  # interrupted, and so nothing can be published: no fault of the frame
        camera.health.on_failed(text)
        camera.logger.warning(text, throttle_duration_sec=LOG_EVERY_S)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=LOG_EVERY_S)

    def _report(self) -> None:
        state = state_label(self)
        if state == "active" and not self._is_enabled():
            state = "disabled"
        self._reporter.report(state, self.failure, self._model, self.cameras, self._worker)


def _stuck(worker: InferenceWorker[Camera, Frame, InferredFrame]) -> str:
    return stuck(worker.busy_stage, worker.busy_s)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end."""
    keep_freed_memory()
    rclpy.init(args=args)
    node: DepthLabNode | None = None
    try:
        node = DepthLabNode()
        node.start()
        rclpy.spin(node)
    except ParameterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():
            raise  # else interrupted while it came up, where rclpy raises what it likes
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C changes nothing any more
        if node is not None:
            node.destroy_node()
        shut_down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
