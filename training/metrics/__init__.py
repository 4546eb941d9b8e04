# SPDX-License-Identifier: Apache-2.0
"""Metrics that only training needs, in the form of those in ``depthlab_core.metrics``."""
