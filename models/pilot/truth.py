"""Visits and manual records beside the truth, where a pilot has one: an observer, or a simulation."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from models.pilot.matching import Matching


class Witnessed(Protocol):
    """One visit as it was; times in seconds since 1970. `edge`: cut by the begin or end of the data."""

    @property
    def driver_id(self) -> str: ...  # noqa: D102
    @property
    def customer_id(self) -> str: ...  # noqa: D102
    @property
    def arrived_s(self) -> float: ...  # noqa: D102
    @property
    def departed_s(self) -> float: ...  # noqa: D102
    @property
    def edge(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class AgainstTruth:
    """Errors of both ways on the same visits, in seconds, and what the unmatched ones were.

    Of the visits that nobody wrote down `extra_real` did happen; of the manual records without a visit
    `missed_real` did.
    """

    pairs: int
    measured_mae_s: float
    manual_mae_s: float
    measured_bias_s: float
    manual_bias_s: float
    extra: int
    extra_real: int
    missed: int
    missed_real: int


def against_truth(matching: Matching, truth: Iterable[Witnessed]) -> AgainstTruth | None:
    """Both ways beside the truth; None when no pair is in it."""
    rows: dict[tuple[str, str], list[Witnessed]] = defaultdict(list)
    for row in truth:
        rows[row.driver_id, row.customer_id].append(row)
    measured, manual = [], []
    for pair in matching.pairs:
        visit = pair.visit
        of_whom = rows[visit.driver_id, visit.customer_id]
        met = _meeting(of_whom, visit.arrived_ms / 1000, visit.departed_ms / 1000)
        if met is not None and not met.edge:
            actual_s = met.departed_s - met.arrived_s
            measured.append(visit.service_time_s - actual_s)
            manual.append(pair.note_s - actual_s)
    if not measured:
        return None
    extra = [_meeting(rows[v.driver_id, v.customer_id], v.arrived_ms / 1000, v.departed_ms / 1000)
             for v in matching.extra]  # fmt: skip
    missed = [rows[n.driver_id, n.customer_id] for n in matching.missed]
    return AgainstTruth(
        pairs=len(measured),
        measured_mae_s=fmean(map(abs, measured)),
        manual_mae_s=fmean(map(abs, manual)),
        measured_bias_s=fmean(measured),
        manual_bias_s=fmean(manual),
        extra=len(extra),
        extra_real=sum(row is not None for row in extra),
        missed=len(missed),
        missed_real=sum(bool(of_whom) for of_whom in missed),
    )


def _meeting(rows: Sequence[Witnessed], from_s: float, to_s: float) -> Witnessed | None:
    """The row that overlaps that time the most."""
    best = max(rows, key=lambda r: min(to_s, r.departed_s) - max(from_s, r.arrived_s), default=None)
    return best if best is not None and best.arrived_s < to_s and best.departed_s > from_s else None
