# SPDX-License-Identifier: Apache-2.0
"""What a launch file's arguments say of the images' transport; needs no launch packages."""

from __future__ import annotations

SUFFIX = "/compressed"


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
