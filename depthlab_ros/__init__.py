# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side of Panoptic-DepthLab: the node, the camera player and the demo around them."""
