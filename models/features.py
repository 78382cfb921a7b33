"""The features of a stop, defined once: training and serving call the same function on the same columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.days import day_features
from models.history import History, Past
from models.level import Level

Floats = npt.NDArray[np.float64]

ORDER: Final = ("order_weight_kg", "order_items", "order_boxes", "weight_per_item_kg")
PLACE: Final = (
    "region",
    "area_type",
    "fence_density",
    "parking_difficulty",
    "floor",
    "elevator",
    "stairs",
    "sequence",
    "route_share",
)
CUSTOMER: Final = (
    "customer_visits",
    "customer_mean_s",
    "customer_recent_s",
    "customer_last_s",
    "customer_spread",
    "customer_days_since",
    "customer_excess",
)
TIME: Final = (
    "weekday",
    "hour",
    "month",
    "is_holiday",
    "days_to_holiday",
    "days_since_holiday",
    "days_to_christmas",
)
LATELY: Final = ("recent_level",)
WEATHER: Final = ("temperature_c", "precipitation_mm", "snow_depth_cm", "wind_mps")
DRIVER: Final = ("driver_mean_s", "driver_visits")
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "order": ORDER,
    "place": PLACE,
    "customer": CUSTOMER,
    "time": TIME,
    "lately": LATELY,
    "weather": WEATHER,
    "driver": DRIVER,
}
FLAGS: Final = ("elevator", "is_holiday")
RISING: Final = frozenset({"order_weight_kg", "order_items", "order_boxes", "stairs", "parking_difficulty"})
"""Features of which more never makes a service shorter."""

CATEGORIES: Final = ("region", "area_type")
PLAIN: Final = (
    "order_weight_kg",
    "order_items",
    "order_boxes",
    "fence_density",
    "parking_difficulty",
    "floor",
    "elevator",
    "sequence",
    *WEATHER,
)
"""Features that are a column of the stop as it is."""

TIMES: Final = ("as_of", "planned_arrival")
TEXTS: Final = ("stop_id", "route_id", "driver_id", "customer_id", *CATEGORIES)
NUMBERS: Final = (*PLAIN, "route_stops")
STOP_COLUMNS: Final = (*TEXTS, *TIMES, *NUMBERS)
"""What features and baselines need to know of a stop."""


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Settings of the features; `categories` holds the known values, whose place is their code.

    `country` (ISO 3166, or with a subdivision as in `DE-BY`) names the holidays, `countries` those of single
    regions; hours and dates are those of `time_zone`. The driver plays no part unless `driver_aware`, the
    region none unless `regional`.
    """

    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    country: str = "CH"
    countries: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"
    driver_aware: bool = False
    regional: bool = True

    @property
    def names(self) -> list[str]:
        """The features in the order of the matrix's columns."""
        place = [name for name in PLACE if self.regional or name != "region"]
        return [*ORDER, *place, *CUSTOMER, *TIME, *LATELY, *WEATHER, *(DRIVER if self.driver_aware else ())]

    @property
    def schema(self) -> list[dict[str, Any]]:
        """What each feature is, in the same order: its group, kind, and whether more of it never shortens."""
        group_of = {name: group for group, names in GROUPS.items() for name in names}
        kinds = {**dict.fromkeys(CATEGORIES, "category"), **dict.fromkeys(FLAGS, "flag")}
        return [
            {
                "name": name,
                "group": group_of[name],
                "kind": kinds.get(name, "number"),
                "rising": name in RISING,
            }
            for name in self.names
        ]

    def learned(self, stops: pd.DataFrame) -> "FeatureSpec":
        """The same settings with the categories that occur in these stops."""
        found = {name: sorted(stops[name].dropna().astype(str).unique()) for name in CATEGORIES}
        return replace(self, categories=found)


@dataclass(frozen=True, slots=True)
class Histories:
    """Past visits by customer and by driver, and how all of a region took of late."""

    customers: History
    drivers: History
    levels: Level


def usable(visits: pd.DataFrame) -> pd.DataFrame:
    """The visits that history is made of, and that models learn from: completed, with a service time."""
    done = (visits["status"] == "completed") & visits["service_time_s"].notna()
    return visits[done]


def histories(visits: pd.DataFrame, expected_s: Floats | None = None) -> Histories:
    """Customers' and drivers' history from rows of the training table (`usable` ones)."""
    ended_ms = to_ms(visits["departed_at"])
    service_s = visits["service_time_s"].to_numpy(float)
    return Histories(
        History(visits["customer_id"], ended_ms, service_s, expected_s),
        History(visits["driver_id"], ended_ms, service_s, expected_s),
        Level(visits["region"], ended_ms, service_s, expected_s),
    )


def build(stops: pd.DataFrame, past: Histories, spec: FeatureSpec) -> Floats:
    """The feature matrix (n stops, len(spec.names)) of rows of the training table or of `Facts.of_routes`.

    Every feature is known at the stop's `as_of`; NaN where it is not.
    """
    columns: dict[str, Any] = {name: stops[name] for name in PLAIN}
    columns |= _order(stops) | _place(stops, spec) | _time(stops, spec)
    columns |= _customer(past.customers.past(stops["customer_id"], to_ms(stops["as_of"])))
    columns["recent_level"] = past.levels.at(stops["region"], to_ms(stops["as_of"]))
    if spec.driver_aware:
        driver = past.drivers.past(stops["driver_id"], to_ms(stops["as_of"]))
        columns |= {"driver_mean_s": driver.mean_s, "driver_visits": driver.visits}
    return np.column_stack([_floats(columns[name]) for name in spec.names])


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Stops as a frame of the columns that `build` and baselines read, with the table's dtypes."""
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in STOP_COLUMNS}
    for name in TIMES:
        columns[name] = pd.to_datetime(columns[name], utc=True).astype("datetime64[us, UTC]")
    for name in TEXTS:
        columns[name] = pd.Series(columns[name], dtype="str")
    for name in NUMBERS:
        columns[name] = np.array(columns[name], dtype=np.float64)
    return pd.DataFrame(columns)


def to_ms(times: pd.Series) -> npt.NDArray[np.int64]:
    """Whole milliseconds since 1970."""
    return times.to_numpy(dtype="datetime64[ms]").astype(np.int64)


def _floats(values: Any) -> Floats:
    return pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _order(stops: pd.DataFrame) -> dict[str, Floats]:
    items = _floats(stops["order_items"])
    return {"weight_per_item_kg": _floats(stops["order_weight_kg"]) / np.where(items > 0, items, np.nan)}


def _place(stops: pd.DataFrame, spec: FeatureSpec) -> dict[str, Floats]:
    floor, elevator = _floats(stops["floor"]), _floats(stops["elevator"])
    codes = {name: _codes(stops[name], spec.categories.get(name, ())) for name in CATEGORIES}
    return {
        **codes,
        "stairs": np.where(elevator == 1, 0.0, floor),
        "route_share": _floats(stops["sequence"]) / _floats(stops["route_stops"]),
    }


def _codes(values: pd.Series, known: Sequence[str]) -> Floats:
    codes = pd.Index(known).get_indexer(pd.Index(values)).astype(float)
    return np.where(codes < 0, np.nan, codes)


def _customer(past: Past) -> dict[str, Floats]:
    return {
        "customer_visits": past.visits,
        "customer_mean_s": past.mean_s,
        "customer_recent_s": past.recent_s,
        "customer_last_s": past.last_s,
        "customer_spread": past.spread,
        "customer_days_since": past.days_since,
        "customer_excess": past.excess,
    }


def _time(stops: pd.DataFrame, spec: FeatureSpec) -> dict[str, Any]:
    planned = stops["planned_arrival"].dt.tz_convert(spec.time_zone)
    day = planned.fillna(stops["as_of"].dt.tz_convert(spec.time_zone))
    dates = day.dt.tz_localize(None).to_numpy(dtype="datetime64[D]")
    return {
        "weekday": day.dt.day_of_week,
        "month": day.dt.month,
        "hour": planned.dt.hour + planned.dt.minute / 60,
        **_days(dates, stops["region"], spec),
    }


def _days(dates: npt.NDArray[np.datetime64], regions: pd.Series, spec: FeatureSpec) -> dict[str, Floats]:
    """Holiday features, by the country of each stop's region."""
    found = dict(day_features(dates, spec.country))
    for region, country in spec.countries.items():
        there = (regions == region).to_numpy()
        for name, values in day_features(dates[there], country).items():
            found[name][there] = values
    return found
