"""What kind of day it is: holidays by country, and how far Christmas is."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

FAR_DAYS: Final = 30.0
"""Distances to a holiday or to Christmas are not told apart beyond this."""


@lru_cache(maxsize=256)
def holidays_of(country: str, year: int) -> Days:
    """The public holidays of a country (ISO 3166, with a subdivision as in `DE-BY`) in a year, sorted.

    Raises ValueError when the country is unknown.
    """
    import holidays

    code, _, part = country.partition("-")
    try:
        found = holidays.country_holidays(code, subdiv=part or None, years=year)
    except NotImplementedError as error:
        raise ValueError(f"no holidays are known for {country!r}") from error
    return np.array(sorted(found), dtype="datetime64[D]")


def day_features(days: Days, country: str) -> Mapping[str, Floats]:
    """For local dates: `is_holiday`, `days_to_holiday`, `days_since_holiday`, `days_to_christmas`.

    Distances stop at 30 days; `days_to_christmas` counts to 24 December. NaT gives NaN.
    """
    unique, place = np.unique(days, return_inverse=True)
    columns = {
        "is_holiday": np.full(len(unique), np.nan),
        "days_to_holiday": np.full(len(unique), np.nan),
        "days_since_holiday": np.full(len(unique), np.nan),
        "days_to_christmas": np.full(len(unique), np.nan),
    }
    known = ~np.isnat(unique)
    if known.any():
        off = _holidays_around(unique[known], country)
        to_next, since_last = _distances(unique[known], off)
        columns["is_holiday"][known] = to_next == 0
        columns["days_to_holiday"][known] = np.minimum(to_next, FAR_DAYS)
        columns["days_since_holiday"][known] = np.minimum(since_last, FAR_DAYS)
        columns["days_to_christmas"][known] = _to_christmas(unique[known])
    return {name: values[place] for name, values in columns.items()}


def _holidays_around(days: Days, country: str) -> Days:
    years = days.astype("datetime64[Y]").astype(int) + 1970
    return np.concatenate([holidays_of(country, int(y)) for y in range(years.min() - 1, years.max() + 2)])


def _distances(days: Days, off: Days) -> tuple[Floats, Floats]:
    """Days to the next holiday (0 on one) and since the last one."""
    after = np.searchsorted(off, days, side="left")
    before = np.searchsorted(off, days, side="right") - 1
    return (off[after] - days).astype(float), (days - off[before]).astype(float)


def _to_christmas(days: Days) -> Floats:
    year = days.astype("datetime64[Y]")
    eve = year.astype("datetime64[D]") + (
        (year + 1).astype("datetime64[D]") - year.astype("datetime64[D]") - np.timedelta64(8, "D")
    )
    ahead = (eve - days).astype(float)
    return np.where(ahead < 0, FAR_DAYS, np.minimum(ahead, FAR_DAYS))
