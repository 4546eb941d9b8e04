# SPDX-License-Identifier: Apache-2.0
"""Datasets, each a sequence of samples with all or part of the labels."""
