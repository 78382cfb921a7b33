"""Holidays and the distance to Christmas."""

import numpy as np
import pytest

from models.days import day_features, holidays_of


def found(day: str, country: str = "DE") -> dict[str, float]:
    return {k: float(v[0]) for k, v in day_features(np.array([day], "datetime64[D]"), country).items()}


def test_a_holiday_is_no_day_away_from_itself() -> None:
    assert found("2026-10-03") == {
        "is_holiday": 1.0,
        "days_to_holiday": 0.0,
        "days_since_holiday": 0.0,
        "days_to_christmas": 30.0,
    }


def test_the_day_after_a_holiday_remembers_it() -> None:
    assert found("2026-10-05")["days_since_holiday"] == 2.0


@pytest.mark.parametrize(
    ("day", "days"),
    [("2026-12-24", 0), ("2026-12-23", 1), ("2026-11-24", 30), ("2026-07-01", 30), ("2026-12-25", 30)],
)
def test_days_to_christmas_count_down_to_the_eve(day: str, days: float) -> None:
    assert found(day)["days_to_christmas"] == days


def test_new_year_is_near_on_the_last_of_december() -> None:
    assert found("2026-12-31")["days_to_holiday"] == 1.0


def test_countries_and_their_parts_differ() -> None:
    assert found("2026-07-14", "FR")["is_holiday"] == 1.0
    assert found("2026-07-14", "DE")["is_holiday"] == 0.0
    assert found("2026-01-06", "DE-BY")["is_holiday"] == 1.0
    assert found("2026-01-06", "DE-BE")["is_holiday"] == 0.0


def test_an_unknown_day_gives_nothing() -> None:
    assert np.isnan(list(found("NaT").values())).all()


def test_an_unknown_country_is_named() -> None:
    with pytest.raises(ValueError, match="'XX'"):
        holidays_of("XX", 2026)
