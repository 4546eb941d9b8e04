# SPDX-License-Identifier: Apache-2.0
"""Writes a drive as a rosbag2: ``python -m training.streets.sample_drive --out DIR``.

The folder that ``make demo SOURCE=drive`` plays was made by this command with its defaults. It
holds, on the topics of ``TOPICS`` and with one stamp a frame:

- ``image_raw/compressed``: JPEG;
- ``camera_info``: the exact calibration;
- ``truth/panoptic/compressed``: 16-bit PNG of ``category_id * 1000 + instance_id``; instance 0 of
  a thing is a crowd of specks, 65535 is where there is no label (the own hood);
- ``truth/depth/compressedDepth``: metres along Z as inverse depth in a 16-bit PNG, as
  ``compressed_depth_image_transport`` writes 32FC1 images, 0 where there is no depth.

Messages are written by ``rosbags``, which needs no ROS. A frame's truth lies before its image.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from depthlab_core.labels import VOID
from training.arguments import image_size, positive_int, whole_number
from training.streets.frame import StreetFrame
from training.streets.generator import StreetGenerator
from training.streets.gpu import RendererError

RATE = 10.0
DRIVE = 0  # a street with shops, people and much traffic
FRAME_ID = "camera_optical_frame"
START_NS = 1_767_225_600_000_000_000  # 2026-01-01; a drive has no date of its own
UNLABELLED = 65535
DEPTH_SCALE = 8000.0
"""Steps of inverse depth, 1/m: half a step is 0.25 % of 40 m and 0.6 % of 100 m."""

_IMAGE, _INFO = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
TOPICS = {
    "/camera_info": _INFO,
    "/truth/panoptic/compressed": _IMAGE,
    "/truth/depth/compressedDepth": _IMAGE,
    "/image_raw/compressed": _IMAGE,
}
_STORE = get_typestore(Stores.ROS2_JAZZY)
_README = """# A drive with its truth

A generated street, seen from a car: {frames} frames of {width} x {height} pixels at {rate:g} Hz.
Everything in it is made by `training/streets`; no photo and no foreign mesh is part of it.

    python -m training.streets.sample_drive --out depthlab_ros/sample_drive \\
      --split {split} --seed {seed} --drive {drive} --frames {frames} \\
      --size {width}x{height} --quality {quality}

wrote it at commit {commit}. The towns of `val` share no design with those that are trained on.

| topic | |
| --- | --- |
| `/image_raw/compressed` | JPEG |
| `/camera_info` | the exact calibration |
| `/truth/panoptic/compressed` | 16-bit PNG: class id * 1000 + instance; instance 0 of a thing: a \
crowd of specks; 65535: the own car |
| `/truth/depth/compressedDepth` | 32FC1, metres along Z, as `compressed_depth_image_transport` \
packs it; 0: none |

`ros2 bag play` plays it; `make demo SOURCE=drive` also measures predictions against its truth.
"""


def encode_panoptic(panoptic: npt.NDArray[np.int32]) -> bytes:
    """Return a panoptic map ``(H, W)`` as a 16-bit PNG, ``VOID`` as ``UNLABELLED``."""
    return _png(np.where(panoptic == VOID, UNLABELLED, panoptic).astype(np.uint16))


def encode_depth(depth: npt.NDArray[np.float32]) -> bytes:
    """Return depth as ``compressed_depth_image_transport`` packs it.

    Args:
        depth: Metres ``(H, W)``, 0 = none.

    Returns:
        A header (int32 0, float32 a, float32 b) and a 16-bit PNG of ``a / depth + b``, 0 = none.
    """
    # With b = 1 no depth comes out as 0.
    known = depth > 0
    inverse = np.round(DEPTH_SCALE / np.where(known, depth, 1.0) + 1.0)
    steps = np.where(known, np.minimum(inverse, 65535), 0).astype(np.uint16)
    header = np.array([0], "<i4").tobytes() + np.array([DEPTH_SCALE, 1.0], "<f4").tobytes()
    return header + _png(steps)


def write_bag(folder: Path, frames: Iterable[StreetFrame], *, quality: int) -> None:
    """Write frames to a new bag.

    Args:
        folder: Must not exist.
        frames: Of one drive.
        quality: Of the JPEG images, 1 to 100.
    """
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=_STORE)
            for topic, kind in TOPICS.items()
        }
        for frame in frames:
            _write_frame(writer, connections, frame, quality)


def _write_frame(
    writer: Writer, connections: dict[str, Connection], frame: StreetFrame, quality: int
) -> None:
    stamp = START_NS + round(frame.time * 1e9)
    time = _STORE.types["builtin_interfaces/msg/Time"]
    header = _STORE.types["std_msgs/msg/Header"](
        stamp=time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id=FRAME_ID
    )
    jpeg = cv2.imencode(".jpg", frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    messages = {
        "/camera_info": _camera_info(frame, header),
        "/truth/panoptic/compressed": _compressed(
            header, "mono16; png compressed ", encode_panoptic(frame.panoptic)
        ),
        "/truth/depth/compressedDepth": _compressed(
            header, "32FC1; compressedDepth png", encode_depth(frame.depth)
        ),
        "/image_raw/compressed": _compressed(header, "rgb8; jpeg compressed bgr8", jpeg.tobytes()),
    }
    for topic, message in messages.items():
        writer.write(
            connections[topic], stamp, bytes(_STORE.serialize_cdr(message, TOPICS[topic]))
        )


def _compressed(header: Any, form: str, data: bytes) -> Any:
    pixels = np.frombuffer(data, np.uint8)
    return _STORE.types[_IMAGE](header=header, format=form, data=pixels)


def _camera_info(frame: StreetFrame, header: Any) -> Any:
    height, width = frame.depth.shape
    projection = np.zeros((3, 4))
    projection[:, :3] = frame.intrinsics
    region = _STORE.types["sensor_msgs/msg/RegionOfInterest"]
    return _STORE.types[_INFO](
        header=header,
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=frame.intrinsics.ravel(),
        r=np.eye(3).ravel(),
        p=projection.ravel(),
        binning_x=0,
        binning_y=0,
        roi=region(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def _png(pixels: npt.NDArray[np.uint16]) -> bytes:
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def _make_room(folder: Path) -> None:
    """Remove an earlier result of this command.

    Raises:
        FileExistsError: If there is anything else in the folder.
    """
    if not folder.exists():
        return
    files = list(folder.iterdir())
    strange = [f.name for f in files if f.suffix not in (".mcap", ".md", ".yaml")]
    if strange or not (folder / "metadata.yaml").exists():
        raise FileExistsError(f"got --out {folder}, which exists and is no earlier drive")
    for file in files:
        file.unlink()
    folder.rmdir()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.streets.sample_drive",
        description="Write a generated drive with its truth as a rosbag2.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,  # none is told
        metavar="FOLDER",
        help="to make",
    )
    parser.add_argument(
        "--drive", type=whole_number, default=DRIVE, help="number of the drive's town"
    )
    parser.add_argument("--split", choices=("train", "val"), default="val", help="of the towns")
    parser.add_argument("--seed", type=whole_number, default=0, help="of the towns")
    parser.add_argument("--frames", type=positive_int, default=80, help="how many, at 10 Hz")
    parser.add_argument(
        "--size",
        type=image_size,
        default="512x384",
        metavar="WIDTHxHEIGHT",
        help="of the frames, pixels",
    )
    parser.add_argument("--quality", type=int, default=75, help="of the JPEG images")
    options = parser.parse_args(arguments)
    if not 1 <= options.quality <= 100:
        parser.error(f"--quality: got {options.quality}, expected 1 to 100")
    try:
        streets = StreetGenerator(
            options.split, seed=options.seed, width=options.size[0], height=options.size[1]
        )
    except RendererError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        _make_room(options.out)
        frames = streets.sequence(options.drive, options.frames, rate=RATE)
        write_bag(options.out, frames, quality=options.quality)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    width, height = options.size
    readme = _README.format(
        width=width, height=height, commit=_commit(), rate=RATE, **vars(options)
    )
    (options.out / "README.md").write_text(readme, encoding="utf-8")
    print(f"wrote {options.frames} frames to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
