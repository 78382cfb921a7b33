"""When one customer's part of a standing ended and the next one's began."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.walk import MOMENTS, _change

chances = st.lists(st.floats(0.001, 1.0), min_size=MOMENTS, max_size=MOMENTS).map(np.array)


@given(chances)
def test_a_change_is_as_likely_before_its_estimate_as_after(chances):
    chances = chances / chances.sum()
    at, low, high = _change(chances)
    edges = np.arange(MOMENTS + 1) - 0.5  # each moment stands for the time about it
    median = np.interp(0.5, np.concatenate(([0.0], np.cumsum(chances))), edges)
    assert at == pytest.approx(min(max(median, 0.0), MOMENTS - 1.0) / (MOMENTS - 1), abs=1e-9)
    assert 0.0 <= low <= at <= high <= 1.0


def test_a_few_unlikely_moments_far_away_do_not_draw_the_estimate():
    chances = np.zeros(MOMENTS)
    chances[4], chances[20] = 0.8, 0.2
    assert _change(chances)[0] == pytest.approx(4 / (MOMENTS - 1), abs=0.02)
