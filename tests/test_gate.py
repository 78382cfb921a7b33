"""The promotion gate: what a new model has to show."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.gate import GateRules, judge
from models.proof import LEVELS, Proof

N = 1_000
RNG = np.random.default_rng(4)
ACTUAL = RNG.uniform(100, 500, N)
SIGN = np.where(np.arange(N) % 2 == 0, 1.0, -1.0)
RURAL = np.arange(N) < 200


def off_by(seconds: float | np.ndarray) -> np.ndarray:
    return ACTUAL + SIGN * seconds


def bounds(nth: int) -> np.ndarray:
    """Quantiles that every nth visit exceeds."""
    return np.tile(ACTUAL + np.where(np.arange(N) % nth == 0, -1.0, 1.0), (len(LEVELS), 1))


def proof(**changes: object) -> Proof:
    made = Proof(
        stops=pd.DataFrame(),
        actual_s=ACTUAL,
        predicted_s={
            "model": off_by(40.0),
            "rule": off_by(90.0),
            "rule_adjusted": off_by(80.0),
            "historical_mean": off_by(60.0),
        },
        quantiles_s=bounds(10),
        expected_s=ACTUAL,
        sd_s=ACTUAL,
        visits_before=ACTUAL,
        groups={"area rural": RURAL, "area urban": ~RURAL},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_better_than_everything_is_let_through() -> None:
    assert judge(proof(), champion_s=off_by(45.0)).allowed


def test_no_better_than_the_champion_is_held_back() -> None:
    verdict = judge(proof(), champion_s=off_by(40.0))
    assert verdict.reasons == ("MAE 40.0 s is not below that of the champion, 40.0 s",)
    assert not verdict.allowed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rule", "the seven-minute rule"),
        ("rule_adjusted", "the rule adjusted by hand"),
        ("historical_mean", "the historical mean"),
    ],
)
def test_each_baseline_must_be_beaten(name: str, said: str) -> None:
    predicted = {**proof().predicted_s, name: off_by(30.0)}
    verdict = judge(proof(predicted_s=predicted, groups={}))
    assert verdict.reasons == (f"MAE 40.0 s is not below that of {said}, 30.0 s",)


def test_a_group_that_is_served_much_worse_holds_it_back() -> None:
    model = off_by(np.where(RURAL, 58.0, 30.0))
    verdict = judge(proof(predicted_s={**proof().predicted_s, "model": model}), champion_s=off_by(50.0))
    assert verdict.reasons == ("area rural: MAE 58.0 s instead of 50.0 s",)


def test_a_group_that_is_a_little_worse_or_tiny_does_not() -> None:
    model = off_by(np.where(RURAL, 54.0, 30.0))
    assert judge(proof(predicted_s={**proof().predicted_s, "model": model}), off_by(50.0)).allowed
    tiny = np.arange(N) < 20
    model = off_by(np.where(tiny, 200.0, 30.0))
    found = proof(predicted_s={**proof().predicted_s, "model": model}, groups={"new": tiny})
    assert judge(found, off_by(50.0)).allowed


def test_intervals_that_do_not_hold_keep_it_back() -> None:
    verdict = judge(proof(quantiles_s=bounds(4)))
    assert verdict.reasons == ("P90 covers 75.0 % of visits instead of 90 %",)


def test_a_gain_can_be_asked_for() -> None:
    assert not judge(proof(), off_by(41.0), GateRules(least_gain=0.05)).allowed
