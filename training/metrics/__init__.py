# SPDX-License-Identifier: Apache-2.0
"""Evaluation metrics; every class collects with ``update`` and reports with ``result``."""
