# SPDX-License-Identifier: Apache-2.0
"""What the names of image topics tell, to launch files, too; needs no launch packages."""

from __future__ import annotations

SUFFIX = "/compressed"


def shows_rectified(image_topic: str) -> bool:
    """Return whether a topic has rectified images by its name, as ``image_proc`` gives it."""
    name = image_topic.removesuffix(SUFFIX).rpartition("/")[2]
    return name.startswith("image_rect")


def transport(asked: str, image_topic: str = "", compressed_topic: str = "") -> dict[str, str]:
    """Return the node's parameter ``image_transport``; empty where the arguments leave it open.

    Args:
        asked: ``raw`` or ``compressed``; empty: as the names of the topics tell.
        image_topic: Topic of the images.
        compressed_topic: Topic of compressed images; empty: none is named.
    """
    names_compressed = bool(compressed_topic) or image_topic.endswith(SUFFIX)
    chosen = asked or ("compressed" if names_compressed else "")
    return {"image_transport": chosen} if chosen else {}
