# SPDX-License-Identifier: Apache-2.0
"""Generated streets: images with exact panoptic labels, metric depth and motion.

The way from a number to a frame::

    appearance (seeds, disjoint pools) → town (roads, lots, furnishing, traffic, textures)
      → mounting (a camera somewhere) + lighting → renderer → sensor → frame.StreetFrame

``generator.StreetGenerator`` walks it; ``write`` and ``render`` put data sets on disk.
"""
