# SPDX-License-Identifier: Apache-2.0
"""Write H.264 MP4 files that browsers and players show, and pick pictures out of them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from numpy.typing import NDArray

_TIME_BASE = Fraction(1, 90_000)
_CELL_WIDTH = 640
_CAPTION_HEIGHT = 28


class VideoWriter:
    """An MP4 file whose frames keep their times, however unevenly they come.

    The picture's size is that of the first frame, made even; frames of another size are resized.

    Args:
        path: File to write; replaced if it exists.
    """

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream: av.VideoStream | None = None
        self._last_pts = -1

    def __enter__(self) -> VideoWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file."""
        self.close()

    def write(self, image: NDArray[np.uint8], time: float) -> None:
        """Append a frame.

        Args:
            image: RGB, uint8 ``(H, W, 3)``.
            time: Seconds since the start of the video; a frame that is not later than the one
                before it is left out.
        """
        pts = round(time / _TIME_BASE)
        if pts <= self._last_pts:
            return
        if self._stream is None:
            self._stream = self._add_stream(image)
        size = (self._stream.width, self._stream.height)
        if (image.shape[1], image.shape[0]) != size:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = pts, _TIME_BASE
        self._last_pts = pts
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file; later calls do nothing."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            self._stream = None
        self._container.close()

    def _add_stream(self, image: NDArray[np.uint8]) -> av.VideoStream:
        # ultrafast: the encoder shares the machine with the model whose speed is being measured.
        options = {"crf": "23", "preset": "ultrafast", "tune": "zerolatency"}
        stream = self._container.add_stream("libx264", rate=30, options=options)
        # 4:2:0 is the one chroma format that every browser plays, and it needs even sides.
        stream.width, stream.height = image.shape[1] // 2 * 2, image.shape[0] // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = _TIME_BASE
        stream.codec_context.time_base = _TIME_BASE
        return stream


def read_frames(path: Path) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Yield the frames of a video as RGB, uint8 ``(H, W, 3)``, with their times in seconds."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), float(frame.time or 0.0)


def contact_sheet(path: Path, *, columns: int = 3, rows: int = 3) -> NDArray[np.uint8]:
    """Return pictures of a video side by side, spread evenly over it.

    Args:
        path: The video.
        columns: Most pictures side by side.
        rows: Most pictures one below the other.

    Returns:
        RGB, uint8 ``(H, W, 3)``; each picture has its time written above it.
    """
    total = sum(1 for _ in read_frames(path))
    wanted = set(
        np.linspace(0, total - 1, min(columns * rows, total)).round().astype(int).tolist()
    )
    cells = [
        _captioned(image, f"{time:.1f} s")
        for index, (image, time) in enumerate(read_frames(path))
        if index in wanted
    ]
    columns = min(columns, len(cells))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    lines = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.vstack(lines)


def _captioned(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    height = round(image.shape[0] * _CELL_WIDTH / image.shape[1])
    cell = np.full((height + _CAPTION_HEIGHT, _CELL_WIDTH, 3), 255, np.uint8)
    cell[_CAPTION_HEIGHT:] = cv2.resize(image, (_CELL_WIDTH, height), interpolation=cv2.INTER_AREA)
    position = (8, _CAPTION_HEIGHT - 8)
    cv2.putText(cell, text, position, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return cell
