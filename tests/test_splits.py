"""Time splits: learning always ends before proving begins."""

import numpy as np
import pandas as pd
import pytest
from learning_town import DAY_MS, START_MS, small_town

from models.errors import NoTrainingData
from models.features import to_ms
from models.splits import holdout, rolling


def test_the_newest_days_are_kept_apart() -> None:
    visits = small_town().frame()
    split = holdout(visits, newest_days=5)
    assert split.cut_ms == START_MS + 19 * DAY_MS
    assert split.end_ms == START_MS + 24 * DAY_MS


def test_at_most_a_quarter_of_the_days_is_kept_apart() -> None:
    assert holdout(small_town().frame(), newest_days=14).cut_ms == START_MS + 18 * DAY_MS


def test_folds_follow_each_other_up_to_the_cut() -> None:
    visits = small_town().frame()
    cut_ms = START_MS + 18 * DAY_MS
    folds = rolling(visits, cut_ms, folds=3, days=7)
    days = [((f.cut_ms - START_MS) // DAY_MS, (f.end_ms - START_MS) // DAY_MS) for f in folds]
    assert days == [(9, 12), (12, 15), (15, 18)]


def test_nothing_learned_from_was_unfinished_when_proving_begins() -> None:
    visits = small_town().frame()
    split = rolling(visits, START_MS + 18 * DAY_MS)[0]
    as_of_ms, ended_ms = to_ms(visits["as_of"]), to_ms(visits["departed_at"]).copy()
    ended_ms[0] = split.cut_ms + 5  # a visit that a late departure ended after the cut
    learn, prove = split.masks(as_of_ms, ended_ms)
    assert not learn[0]
    assert not prove[0]
    assert (ended_ms[learn] < split.cut_ms).all()
    assert (as_of_ms[prove] >= split.cut_ms).all()
    assert not np.any(learn & prove)


def test_too_few_days_are_said_to_be_too_few() -> None:
    visits = small_town().frame()
    two_days = visits[visits["as_of"] < pd.Timestamp(START_MS + 2 * DAY_MS, unit="ms", tz="UTC")]
    with pytest.raises(NoTrainingData, match="on 2 days are too few"):
        holdout(two_days)
