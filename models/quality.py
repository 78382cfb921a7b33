"""What every row of the training table must hold; rows that do not are set aside with their reasons."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from models.schema import TRAINING, WITHDRAWN

Row = Mapping[str, Any]
Refused = tuple[Row, list[str]]
"""A row that may not enter the table, and why: each reason starts with the column."""

MISFIT: Final = (pa.ArrowException, TypeError, ValueError, OverflowError)

DAY_S: Final = 86_400.0
TEXTS: Final = ("visit_id", "status", "driver_id", "customer_id", "fence_id")
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "service_time_s": (0, DAY_S),
    "parking_search_s": (0, DAY_S),
    "confidence": (0, 1),
    "revision": (1, 2**53),
    "pings": (0, 2**53),
    "max_gap_s": (0, 31 * DAY_S),
    "order_weight_kg": (0, 50_000),
    "order_items": (0, 1_000_000),
    "order_boxes": (0, 1_000_000),
    "floor": (-20, 300),
    "fence_lat": (-90, 90),
    "fence_lon": (-180, 180),
    "temperature_c": (-90, 65),
    "precipitation_mm": (0, 500),
    "snow_depth_cm": (0, 2_000),
    "wind_mps": (0, 120),
}
"""Smallest and largest believable value, both allowed."""

NEEDED: Final = (*TEXTS, "revision", "service_time_s", "confidence", "arrived_at", "departed_at", "as_of")
STATUSES: Final = ("completed", "open_ended", *WITHDRAWN)


def sift(rows: Sequence[Row]) -> tuple[list[Row], list[Refused]]:
    """Of each visit the highest revision: the rows that may enter the table, and those that may not."""
    latest: dict[Any, Row] = {}
    for row in rows:
        held = latest.get(row.get("visit_id"))
        if held is None or _revision(row) > _revision(held):
            latest[row.get("visit_id")] = row
    chosen = list(latest.values())
    found = {**_misfits(chosen), **violations(chosen)}
    sound = [row for i, row in enumerate(chosen) if i not in found]
    return sound, [(chosen[i], reasons) for i, reasons in sorted(found.items())]


def _revision(row: Row) -> int:
    value = row.get("revision")
    return value if isinstance(value, int) else 0


def _misfits(rows: Sequence[Row]) -> dict[int, list[str]]:
    """Rows with values of another type than their column's."""
    try:
        pa.Table.from_pylist(list(rows), schema=TRAINING)
    except MISFIT:
        return {i: reasons for i, row in enumerate(rows) if (reasons := _misfit(row))}
    return {}


def _misfit(row: Row) -> list[str]:
    reasons = []
    for field in TRAINING:
        try:
            pa.array([row.get(field.name)], type=field.type)
        except MISFIT:
            reasons.append(f"{field.name}: is no {field.type}")
    return reasons


def violations(rows: Sequence[Row]) -> dict[int, list[str]]:
    """The reasons, by place of the row in `rows`, why rows may not enter the table; sound rows are absent.

    A withdrawn row (a retraction) needs its key alone, so that it always reaches the visit it ends.
    """
    places = [i for i, row in enumerate(rows) if row.get("status") not in WITHDRAWN]
    reasons = {
        i: ["visit_id: is empty"]
        for i, row in enumerate(rows)
        if row.get("status") in WITHDRAWN and not row.get("visit_id")
    }
    if places:
        frame = _frame([rows[i] for i in places])
        for place, reason in _failures(frame):
            reasons.setdefault(places[place], []).append(reason)
    return {i: sorted(set(found)) for i, found in reasons.items()}


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    columns = dict.fromkeys([*NEEDED, *RANGES])
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns})
    for name in RANGES:
        frame[name] = _numeric(frame[name])
    for name in ("arrived_at", "departed_at", "as_of"):
        frame[name] = pd.to_datetime(frame[name], utc=True, errors="coerce")
    frame["row_id"] = range(len(frame))
    return frame


def _numeric(values: pd.Series) -> pd.Series:
    """Numbers, with what is no number out of every range instead of missing."""
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    numbers[numbers.isna() & values.notna()] = float("inf")
    return numbers


def _failures(frame: pd.DataFrame) -> list[tuple[int, str]]:
    from pandera.errors import SchemaErrors

    try:
        _expectations().validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        return [
            (int(row.index), _reason(row.column, row.check, row.failure_case))
            for row in cases.itertuples(index=False)
            if pd.notna(row.index)
        ]
    return []


def _reason(column: str, check: str, value: Any) -> str:
    if check == "not_nullable":
        return f"{column}: is missing"
    if value == float("inf"):
        return f"{column}: is no number"
    return check if column == "row" or check.startswith("departed_at") else f"{column}: {check} ({value})"


@cache
def _expectations() -> Any:
    import pandera.pandas as pandera

    columns = {
        name: pandera.Column(checks=_checks(pandera, name), nullable=name not in NEEDED) for name in RANGES
    }
    for name in TEXTS:
        columns[name] = pandera.Column(checks=_checks(pandera, name), nullable=False)
    for name in ("arrived_at", "departed_at", "as_of"):
        columns[name] = pandera.Column(nullable=False)
    backwards = pandera.Check(
        lambda frame: ~(frame["departed_at"] < frame["arrived_at"]),
        error="departed_at: is before arrived_at",
        ignore_na=False,
    )
    return pandera.DataFrameSchema(columns, checks=[backwards])


def _checks(pandera: Any, name: str) -> list[Any]:
    if name == "status":
        return [pandera.Check.isin(STATUSES, error="is none of " + ", ".join(STATUSES))]
    if name in TEXTS:
        return [pandera.Check(lambda s: s.map(lambda v: isinstance(v, str) and v != ""), error="is empty")]
    low, high = RANGES[name]
    return [pandera.Check.in_range(low, high, error=f"is not between {low:g} and {high:g}")]
