# SPDX-License-Identifier: Apache-2.0
"""Generated streets: images with exact panoptic labels, metric depth and motion."""
