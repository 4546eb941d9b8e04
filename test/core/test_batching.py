# SPDX-License-Identifier: Apache-2.0
"""Images are divided among few shapes of batches, and each is in one."""

import pytest

from depthlab_core.batching import batches_of_one_size


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ("", []),
        ("a", [[0]]),
        ("aaa", [[0, 1], [2]]),
        ("abab", [[0, 2], [1, 3]]),
        ("aaaaaaaaab", [[0, 1, 2, 3], [4, 5, 6, 7], [8], [9]]),
    ],
)
def test_batches_are_of_one_size_and_a_power_of_two(sizes: str, expected: list[list[int]]) -> None:
    assert batches_of_one_size(sizes) == expected
