"""What past visits tell as of a moment, against a slow but obvious way of finding it."""

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.history import FURTHEST, RECENT, History

DAY_MS = 86_400_000
VISITS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.integers(1, 5000).map(float)), max_size=25
)
STOPS = st.lists(st.tuples(st.sampled_from("abcx"), st.integers(-1, 42)), min_size=1, max_size=8)


def history(visits: list[tuple[str, int, float]]) -> History:
    return History(
        pd.Series([v[0] for v in visits], dtype=object),
        np.array([v[1] for v in visits], dtype=np.int64),
        np.array([v[2] for v in visits], dtype=float),
    )


def test_only_visits_that_ended_before_the_moment_are_seen() -> None:
    past = history([("a", 10, 100.0), ("a", 20, 200.0), ("a", 30, 900.0), ("b", 5, 50.0)]).past(
        pd.Series(["a", "a", "a", "b", "c"]), np.array([10, 11, 30, 6, 99])
    )
    assert past.visits.tolist() == [0, 1, 2, 1, 0]
    np.testing.assert_allclose(past.average_s, [math.nan, 100, 150, 50, math.nan])
    np.testing.assert_allclose(past.last_s, [math.nan, 100, 200, 50, math.nan])
    np.testing.assert_allclose(past.mean_s[2], math.sqrt(100 * 200))


def test_days_since_counts_from_the_end_of_the_last_visit() -> None:
    past = history([("a", 0, 60.0)]).past(pd.Series(["a"]), np.array([3 * DAY_MS]))
    assert past.days_since.tolist() == [3.0]


def test_no_history_at_all_gives_no_visits_and_no_times() -> None:
    past = history([]).past(pd.Series(["a"]), np.array([5]))
    assert past.visits.tolist() == [0.0]
    assert np.isnan(past.excess).all()
    assert np.isnan(
        [past.mean_s[0], past.recent_s[0], past.last_s[0], past.spread[0], past.days_since[0]]
    ).all()


def test_excess_is_how_much_longer_than_expected_visits_took() -> None:
    seen = History(pd.Series(["a", "a"]), np.array([1, 2]), np.array([120.0, 80.0]), np.array([100.0, 100.0]))
    past = seen.past(pd.Series(["a", "a"]), np.array([2, 3]))
    np.testing.assert_allclose(past.excess, [math.log(1.2), math.log(1.2 * 0.8) / 2])


def test_an_absurd_visit_counts_as_a_long_one_at_most() -> None:
    seen = History(pd.Series(["a"]), np.array([1]), np.array([9_000.0]), np.array([100.0]))
    assert seen.past(pd.Series(["a"]), np.array([2])).excess.tolist() == [FURTHEST]


@given(VISITS, STOPS)
@settings(max_examples=80)
def test_it_agrees_with_looking_at_every_visit(
    visits: list[tuple[str, int, float]], stops: list[tuple[str, int]]
) -> None:
    past = history(visits).past(
        pd.Series([s[0] for s in stops], dtype=object), np.array([s[1] for s in stops], dtype=np.int64)
    )
    for i, (key, as_of) in enumerate(stops):
        seen = sorted((v[1], v[2]) for v in visits if v[0] == key and v[1] < as_of)
        seconds = [s for _, s in seen]
        assert past.visits[i] == len(seen)
        if seen:
            logs = np.log(seconds)
            np.testing.assert_allclose(past.average_s[i], np.mean(seconds))
            np.testing.assert_allclose(past.mean_s[i], np.exp(np.mean(logs)))
            np.testing.assert_allclose(past.recent_s[i], np.median(seconds[-RECENT:]))
            assert past.last_s[i] == seconds[-1]
        if len(seen) > 1:
            np.testing.assert_allclose(past.spread[i], np.std(logs), atol=1e-6)


@given(VISITS, VISITS, STOPS)
@settings(max_examples=50)
def test_what_comes_later_changes_no_bit_of_the_past(
    visits: list[tuple[str, int, float]], more: list[tuple[str, int, float]], stops: list[tuple[str, int]]
) -> None:
    moment = 20
    later = [(key, ended + moment, seconds) for key, ended, seconds in more]
    keys = pd.Series([s[0] for s in stops], dtype=object)
    as_of = np.array([min(s[1], moment) for s in stops], dtype=np.int64)
    before, after = history(visits).past(keys, as_of), history(visits + later).past(keys, as_of)
    for name in ("visits", "average_s", "mean_s", "recent_s", "last_s", "spread", "days_since", "excess"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
