# SPDX-License-Identifier: Apache-2.0
"""How good predictions are, where the truth is known; ``update`` collects, ``result`` reports."""
