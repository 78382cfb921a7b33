"""What any model has to beat."""

import numpy as np
import pandas as pd
import pytest
from learning_town import small_town

from models.baselines import BY_HAND, HistoricalMean, Linear, SevenMinutes
from models.features import histories


def stop(**facts: object) -> pd.DataFrame:
    plain = {
        "order_weight_kg": 20.0,
        "order_items": 5,
        "parking_difficulty": 1.0,
        "floor": 0.0,
        "elevator": False,
    }
    return pd.DataFrame([{**plain, **facts}])


def test_the_rule_gives_every_stop_seven_minutes() -> None:
    assert SevenMinutes().predict(small_town().frame().head(3)).tolist() == [420.0] * 3


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ({}, 420.0),
        ({"order_weight_kg": 5.0}, 330.0),
        ({"order_weight_kg": 5.0, "order_items": 2}, 270.0),
        ({"order_weight_kg": 60.0}, 540.0),
        ({"order_weight_kg": 200.0}, 720.0),
        ({"floor": 4.0}, 480.0),
        ({"floor": 4.0, "elevator": True}, 420.0),
        ({"floor": 4.0, "elevator": None}, 480.0),
        ({"parking_difficulty": 5.0}, 480.0),
        ({"order_weight_kg": None, "order_items": None, "floor": None}, 420.0),
    ],
)
def test_dispatchers_adjust_it_by_hand(facts: dict[str, object], seconds: float) -> None:
    assert SevenMinutes(adjustments=BY_HAND).predict(stop(**facts)).tolist() == [seconds]


def test_the_historical_mean_knows_only_visits_that_had_ended() -> None:
    visits = small_town().frame()
    predicted = HistoricalMean.of(visits).predict(visits, histories(visits).customers)
    mine = visits[visits["customer_id"] == "customer-0-1"]
    overall = visits["service_time_s"].mean()
    found = predicted[mine.index]
    assert found[0] == overall
    assert found[1] == mine["service_time_s"].iloc[0]
    assert found[2] == pytest.approx(mine["service_time_s"].iloc[:2].mean())


def test_the_linear_model_finds_a_line_in_spite_of_gaps() -> None:
    rng = np.random.default_rng(2)
    features = np.column_stack([rng.uniform(0, 10, 500), rng.integers(0, 3, 500).astype(float)])
    actual = 100 + 20 * features[:, 0] + 50 * (features[:, 1] == 2)
    features[:30, 0] = np.nan
    features[30:40, 1] = np.nan
    predicted = Linear([1]).fit(features, actual, np.ones(500)).predict(features)
    np.testing.assert_allclose(predicted[40:], actual[40:], atol=8)
    assert np.isfinite(predicted).all()
