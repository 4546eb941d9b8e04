# SPDX-License-Identifier: Apache-2.0
"""What the demo keeps of a run: results frame by frame, the annotated video and the figures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from depthlab_msgs.msg import SegmentArray
from numpy.typing import NDArray

from depthlab_ros.conversions import stamp_to_ns
from depthlab_ros.video_writer import VideoWriter, contact_sheet

_FILES = ("accuracy.json", "annotated.mp4", "contact_sheet.png", "segments.jsonl", "summary.json")


@dataclass(frozen=True)
class Summary:
    """The figures of a run, as written to ``summary.json``.

    Attributes:
        frames_in: Frames that the camera published.
        frames_out: Frames whose segments arrived.
        dropped: The difference: frames that a newer one replaced, or that were lost on the way.
        fps: Frames out per second, over the time between the first and the last of them.
        latency_ms_p50: Median of the milliseconds from the image's stamp to its segments.
        latency_ms_p95: 95th percentile of the same.
        segments_per_frame: Mean number of segments.
        model: Name of the model.
        device: Where it ran.
    """

    frames_in: int
    frames_out: int
    dropped: int
    fps: float
    latency_ms_p50: float
    latency_ms_p95: float
    segments_per_frame: float
    model: str
    device: str


class Recording:
    """Takes in what arrives and writes the files of the demo into one folder.

    Args:
        folder: Made if it does not exist; files of an earlier run are replaced.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
        self.folder = folder
        self.model = self.device = ""
        self._lines = (folder / "segments.jsonl").open("w", encoding="utf-8")
        self._video = VideoWriter(folder / "annotated.mp4")
        self._stamps_in: set[int] = set()
        self._first_drawn: int | None = None
        self._received: list[int] = []
        self._latencies_ms: list[float] = []
        self._segment_counts: list[int] = []

    def __enter__(self) -> Recording:
        """Return the recording itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the files."""
        self.close()

    @property
    def frames_out(self) -> int:
        """Number of frames whose segments have arrived."""
        return len(self._received)

    @property
    def seconds_in(self) -> float:
        """Seconds between the first and the last frame that the camera published."""
        if not self._stamps_in:
            return 0.0
        return (max(self._stamps_in) - min(self._stamps_in)) * 1e-9

    def on_camera(self, stamp_ns: int) -> None:
        """Count a frame that the camera published."""
        self._stamps_in.add(stamp_ns)

    def on_segments(self, msg: SegmentArray, received_ns: int) -> None:
        """Write the segments of a frame that arrived at ``received_ns``, system time."""
        stamp_ns = stamp_to_ns(msg.header.stamp)
        segments = [message_to_dict(segment) for segment in msg.segments]
        line = {"stamp": stamp_ns * 1e-9, "segments": segments}
        self._lines.write(json.dumps(line, allow_nan=False) + "\n")
        self.model = msg.model
        # The camera published it, even if its calibration was lost on the way to here.
        self._stamps_in.add(stamp_ns)
        self._received.append(received_ns)
        self._latencies_ms.append((received_ns - stamp_ns) * 1e-6)
        self._segment_counts.append(len(segments))

    def on_annotated(self, image: NDArray[np.uint8], stamp_ns: int) -> None:
        """Append an annotated image, RGB uint8 ``(H, W, 3)``, to the video."""
        self._first_drawn = stamp_ns if self._first_drawn is None else self._first_drawn
        self._video.write(image, (stamp_ns - self._first_drawn) * 1e-9)

    def summary(self) -> Summary:
        """Return the figures so far."""
        latencies = self._latencies_ms or [0.0]
        seconds = (self._received[-1] - self._received[0]) * 1e-9 if self._received else 0.0
        fps = (self.frames_out - 1) / seconds if seconds > 0.0 else 0.0
        return Summary(
            frames_in=len(self._stamps_in),
            frames_out=self.frames_out,
            dropped=len(self._stamps_in) - self.frames_out,
            fps=round(fps, 2),
            latency_ms_p50=round(float(np.percentile(latencies, 50)), 1),
            latency_ms_p95=round(float(np.percentile(latencies, 95)), 1),
            segments_per_frame=round(float(np.mean(self._segment_counts or [0])), 2),
            model=self.model,
            device=self.device,
        )

    def close(self) -> None:
        """Finish the files that grow with every frame."""
        self._lines.close()
        self._video.close()

    def write_overview(self) -> Summary:
        """Write ``contact_sheet.png`` and ``summary.json`` of the finished run."""
        self.close()
        if self._first_drawn is not None:
            sheet = contact_sheet(self.folder / "annotated.mp4")
            bgr = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
            # Not by imwrite, which only returns whether there was room for it.
            _, png = cv2.imencode(".png", bgr)
            (self.folder / "contact_sheet.png").write_bytes(png.tobytes())
        summary = self.summary()
        text = json.dumps(vars(summary), indent=2, allow_nan=False)
        (self.folder / "summary.json").write_text(text + "\n", encoding="utf-8")
        return summary


def message_to_dict(msg: object) -> dict[str, object]:
    """Return every field of a message of plain values for JSON, NaN and infinity as ``None``."""
    fields = msg.get_fields_and_field_types()  # type: ignore[attr-defined]
    return {name: _to_json(getattr(msg, name), kind) for name, kind in fields.items()}


def _to_json(value: object, kind: str) -> object:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        # The shortest number that is this float32, not its expansion to 17 digits.
        return float(str(np.float32(value))) if kind == "float" else value
    return value if isinstance(value, (bool, int, str)) else message_to_dict(value)
