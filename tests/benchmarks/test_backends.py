from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from benchmarks.backends import difference


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_a_difference_is_that_of_welch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.6, 0.02, 3 + seed).tolist(), rng.normal(0.62, 0.05, 4).tolist()
    gap, half = difference(first, second)
    theirs = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert gap == pytest.approx(np.mean(first) - np.mean(second))
    assert [gap - half, gap + half] == pytest.approx([theirs.low, theirs.high])


def test_equal_seeds_leave_no_spread() -> None:
    assert difference([0.5, 0.5], [0.4, 0.4]) == pytest.approx((0.1, 0.0))
