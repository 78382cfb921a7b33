"""The level of late: what the last week's services took beside what was expected, and no later ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.history import FURTHEST
from models.level import LATELY_MS, SHRINKAGE, Level

DAY_MS = 86_400_000
VISITS = st.lists(
    st.tuples(st.sampled_from(["north", "south", None]), st.integers(0, 20 * DAY_MS), st.floats(20, 2_000)),
    max_size=30,
)


def level(visits, expected_s=300.0):
    regions, ended_ms, service_s = zip(*visits, strict=True) if visits else ((), (), ())
    return Level(
        pd.Series(regions, dtype=object),
        np.array(ended_ms, dtype=np.int64),
        np.array(service_s, dtype=float),
        np.full(len(visits), expected_s),
    )


def at(known, region, as_of_ms):
    return known.at(pd.Series([region], dtype=object), np.array([as_of_ms]))[0]


@given(VISITS, st.sampled_from(["north", "south", "east", None]), st.integers(0, 20 * DAY_MS))
def test_it_is_the_mean_over_the_week_before_drawn_to_zero(visits, region, now_ms):
    meant = [s for r, t, s in visits if r == region and now_ms - LATELY_MS <= t < now_ms]
    logs = np.clip(np.log(np.array(meant) / 300.0), -FURTHEST, FURTHEST)
    assert at(level(visits), region, now_ms) == pytest.approx(logs.sum() / (len(meant) + SHRINKAGE))


@given(VISITS, VISITS, st.integers(0, 20 * DAY_MS))
def test_what_ends_later_changes_nothing(visits, others, now_ms):
    later = [(region, now_ms + t, s) for region, t, s in others]
    for region in ("north", "south"):
        assert at(level([*visits, *later]), region, now_ms) == at(level(visits), region, now_ms)
