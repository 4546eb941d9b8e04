# SPDX-License-Identifier: Apache-2.0
"""Leaves as the renderer samples them."""

import numpy as np
import pytest

from training.streets import foliage


@pytest.mark.parametrize("seed", range(20))
def test_a_clump_of_leaves_stays_when_it_is_a_texel_and_has_gaps(seed):
    alpha = foliage.leaves(np.random.default_rng(seed))[..., 3]
    y, x = np.mgrid[-127.5:128, -127.5:128]
    cover = alpha[np.hypot(x, y) < 118].mean()
    # Below 0.42 it is cut, see street.frag: far crowns would be bare.
    assert 0.48 < cover < 0.9
    assert set(np.unique(alpha)) == {0, 1}
