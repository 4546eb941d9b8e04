# SPDX-License-Identifier: Apache-2.0
"""``camera_player``: publish a video, image folder, rosbag2 or camera device as a ROS camera."""

from __future__ import annotations

import copy
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from depthlab_ros.camera_model import CameraModel, focal_length_from_fov
from depthlab_ros.captures import keep_decoders_quiet
from depthlab_ros.conversions import (
    camera_model_to_msg,
    depth_to_msg,
    id_map_to_msg,
    image_to_msg,
    stamp_from_ns,
)
from depthlab_ros.frame_source import SourceError, SourceFrame
from depthlab_ros.image_codec import PUBLISHABLE_ENCODINGS
from depthlab_ros.one_line import one_line
from depthlab_ros.parameter_declaration import (
    ParameterError,
    ParameterSet,
    declare_parameters,
    parameter,
)
from depthlab_ros.playback import Playback, PlayedFrame
from depthlab_ros.shutdown import shut_down
from depthlab_ros.sources import BUNDLED, open_source
from depthlab_ros.truth import DEPTH_TOPIC, PANOPTIC_TOPIC

# Reliable serves subscribers of both kinds; five frames bridge a reader's hiccup.
CAMERA_QOS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=5
)
# What is counted, and compared with, is to arrive even at a reader that was away for seconds.
LASTING_QOS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=50
)
DELIVERY_TIMEOUT = Duration(seconds=2.0)
# This side of a connection knows of it before the other one does.
SETTLE_S = 0.3
DEFAULT_FRAME_ID = "camera_optical_frame"


@dataclass(frozen=True)
class PlayerParameters(ParameterSet):
    """What ``camera_player`` can be told; each field is the ROS parameter of its name."""

    source: str = parameter(
        "",
        "Video file, image folder, rosbag2 (folder, .mcap, .db3), /dev/video0, its number or a "
        f"link to it, or one that comes with the package: {', '.join(BUNDLED)}.",
    )
    rate: float = parameter(
        0.0, "Frames per second; 0 = the source's own, 10 for a folder.", bounds=(0.0, 1000.0)
    )
    loop: bool = parameter(False, "Start again at the end of the source.")
    duration: float = parameter(
        0.0, "Seconds after which to end; 0 = with the source.", bounds=(0.0, 1.0e9)
    )
    frame_id: str = parameter(
        "", f"Frame of the header; empty = the bag's, or else {DEFAULT_FRAME_ID}."
    )
    encoding: str = parameter("rgb8", "Encoding of image_raw.", choices=PUBLISHABLE_ENCODINGS)
    focal_length: float = parameter(
        0.0,
        "Focal length in pixels for camera_info; 0 = from horizontal_fov_deg.",
        bounds=(0.0, 1.0e6),
    )
    horizontal_fov_deg: float = parameter(
        0.0,
        "Horizontal field of view in degrees for camera_info; 0 = the bag's calibration, "
        "or else an uncalibrated camera (K = 0).",
        bounds=(0.0, 179.0),
    )
    stamps: str = parameter(
        "now",
        "Stamps of the headers: the time of publishing, or the bag's own (going on growing "
        "when it loops).",
        choices=("now", "original"),
    )
    bag_topic: str = parameter(
        "", "Image topic of a bag; empty = the first one that is not depth."
    )
    wait_for_subscribers: int = parameter(
        0,
        "Hold the first frame back until image_raw has a subscriber and camera_info this many; "
        "0 = begin at once.",
        bounds=(0, 100),
    )


class CameraPlayer(Node):
    """Publishes ``image_raw`` and ``camera_info`` from a thread of its own.

    Where the source has ground truth, ``truth/panoptic`` and ``truth/depth`` go with them.

    Args:
        kwargs: Passed to ``rclpy.node.Node``.

    Raises:
        ParameterError: If it is started with a parameter that it cannot have.
        SourceError: If the source cannot be read.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("camera_player", **kwargs)
        self._settings = declare_parameters(self, PlayerParameters)
        source = open_source(
            self._settings.source,
            bag_topic=self._settings.bag_topic,
            warn=self.get_logger().warning,
        )
        self._playback = Playback(
            source,
            rate=self._settings.rate,
            loop=self._settings.loop,
            duration=self._settings.duration,
        )
        overridable = QoSOverridingOptions.with_default_policies()
        self._image = self.create_publisher(
            Image, "image_raw", copy.copy(CAMERA_QOS), qos_overriding_options=overridable
        )
        self._camera_info = self.create_publisher(CameraInfo, "camera_info", LASTING_QOS)
        self._panoptic = self._depth = None
        if source.has_truth:
            self._panoptic = self.create_publisher(Image, PANOPTIC_TOPIC, LASTING_QOS)
            self._depth = self.create_publisher(Image, DEPTH_TOPIC, LASTING_QOS)
        self.error: str | None = None
        self.published = 0
        self.finished = rclpy.Future()
        self._thread = threading.Thread(target=self._play, name="playback", daemon=True)

    def start(self) -> None:
        """Begin to play; ``finished`` is done when it has ended."""
        self._thread.start()

    def destroy_node(self) -> None:
        """Stop playing before the topics go."""
        self._playback.stop()
        if self._thread.is_alive():
            self._thread.join()
        super().destroy_node()

    def _play(self) -> None:
        try:
            self._wait_for_subscribers()
            start = time.monotonic()
            for played in self._playback.frames():
                self._publish(played)
            for publisher in (self._panoptic, self._depth, self._camera_info, self._image):
                if publisher is not None:
                    publisher.wait_for_all_acked(DELIVERY_TIMEOUT)
            seconds = time.monotonic() - start
            self.get_logger().info(f"published {self.published} frames in {seconds:.1f} s")
        except SourceError as error:
            self.error = str(error)
        except Exception as error:
            # When the context is shut down under the thread, publishing fails, which is no error.
            if self.context.ok():
                self.error = f"{type(error).__name__}: {one_line(error)}"
        finally:
            self.finished.set_result(None)

    def _wait_for_subscribers(self) -> None:
        expected = self._settings.wait_for_subscribers
        if not expected:
            return
        while not self._playback.stopped and not (
            self._image.get_subscription_count()
            and self._camera_info.get_subscription_count() >= expected
        ):
            time.sleep(0.02)
        time.sleep(SETTLE_S)

    def _publish(self, played: PlayedFrame) -> None:
        frame = played.frame
        if self._settings.stamps == "original" and frame.stamp_ns is not None:
            stamp = stamp_from_ns(frame.stamp_ns + played.repeat_ns)
        else:
            stamp = self.get_clock().now().to_msg()
        frame_id = self._settings.frame_id or frame.frame_id or DEFAULT_FRAME_ID
        header = Header(stamp=stamp, frame_id=frame_id)
        truth = frame.truth
        if truth is not None and self._panoptic is not None and self._depth is not None:
            self._panoptic.publish(id_map_to_msg(truth.panoptic, header))
            self._depth.publish(depth_to_msg(truth.depth, header))
        # First, so that it is there when the image of the same stamp is processed.
        self._camera_info.publish(camera_model_to_msg(self._camera_of(frame), header))
        self._image.publish(image_to_msg(frame.image, header, self._settings.encoding))
        self.published += 1

    def _camera_of(self, frame: SourceFrame) -> CameraModel:
        """Return the calibration: by parameter, else the recorded one, else an unknown one."""
        height, width = frame.image.shape[:2]
        focal_length = self._settings.focal_length
        if not focal_length and self._settings.horizontal_fov_deg:
            focal_length = focal_length_from_fov(width, self._settings.horizontal_fov_deg)
        if not focal_length and frame.camera is not None:
            return frame.camera
        return CameraModel.from_focal_length(width, height, focal_length)


def main(args: list[str] | None = None) -> int:
    """Play until the source ends, or until told to."""
    keep_decoders_quiet()
    rclpy.init(args=args)
    player: CameraPlayer | None = None
    error: str | None = None
    try:
        player = CameraPlayer()
        player.start()
        rclpy.spin_until_future_complete(player, player.finished)
        error = player.error
    except (ParameterError, SourceError) as problem:
        error = str(problem)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():
            raise  # else interrupted while it came up, where rclpy raises what it likes
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C changes nothing any more
        if player is not None:
            player.destroy_node()
        shut_down()
    if error is not None:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
