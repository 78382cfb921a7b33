"""What a plan costs on the day: minutes that customers wait for a late driver, and that drivers wait idle."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prices:
    """What a minute costs, in any currency."""

    late_per_minute: float = 1.0
    idle_per_minute: float = 0.5

    @property
    def best_level(self) -> float:
        """The quantile at which one stop is best planned (the newsvendor's)."""
        return self.late_per_minute / (self.late_per_minute + self.idle_per_minute)


@dataclass(frozen=True, slots=True)
class PlanCost:
    """Minutes a stop on average, and their price."""

    late_minutes: float
    idle_minutes: float
    price: float


def plan_cost(stops: pd.DataFrame, actual_s: Floats, planned_s: Floats, prices: Prices) -> PlanCost:
    """What plans with these service times would have cost a stop, had driving gone as planned.

    A driver starts each stop when it is planned, or late when the stop before took too long: lateness adds up
    along the route and is made good by stops that end early (Lindley's recursion); what remains is idle time.
    `stops` has `route_id` and `sequence`; stops without a route are left out.
    """
    table = _by_route(stops, actual_s - planned_s)
    late = np.zeros(len(table))
    late_s = idle_s = 0.0
    for column in table.T:
        there = ~np.isnan(column)
        behind = late + np.where(there, column, 0.0)
        idle_s += float(np.maximum(-behind, 0.0).sum())
        late = np.maximum(behind, 0.0)
        late_s += float(late[there].sum())
    count = max(1, int((~np.isnan(table)).sum()))
    late_min, idle_min = late_s / 60 / count, idle_s / 60 / count
    return PlanCost(late_min, idle_min, prices.late_per_minute * late_min + prices.idle_per_minute * idle_min)


def _by_route(stops: pd.DataFrame, overrun_s: Floats) -> Floats:
    """Overruns as a table: a row a route, stops in their sequence, NaN after the last."""
    frame = pd.DataFrame(
        {"route": stops["route_id"].to_numpy(), "at": stops["sequence"].to_numpy(), "overrun": overrun_s}
    )
    frame = frame[frame["route"].notna()].sort_values(["route", "at"], kind="stable")
    row = pd.factorize(frame["route"])[0]
    column = frame.groupby("route").cumcount().to_numpy()
    table = np.full((row.max() + 1 if len(row) else 0, column.max() + 1 if len(column) else 0), np.nan)
    table[row, column] = frame["overrun"].to_numpy()
    return table
