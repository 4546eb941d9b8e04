# SPDX-License-Identifier: Apache-2.0
"""Offline work on Panoptic-DepthLab: datasets, targets, losses, the training loop, evaluation."""
