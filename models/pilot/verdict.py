"""The verdict in words: can geofence timestamps replace manual ones, and where not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Final

from models.pilot.agreement import Agreement, Group
from models.pilot.habits import Flaw, Habit
from models.pilot.matching import Matching, Pair
from models.pilot.truth import AgainstTruth

FEWEST_PAIRS: Final = 30
FEWEST_OF_GROUP: Final = 10

COVERED_WELL, COVERED_PARTLY = 0.97, 0.90
"""Shares of the manual records for which a visit must be found."""

TYPICAL_S: Final = 45.0
"""The typical difference that stays when rounding is allowed for."""

BIAS_S: Final = 60.0
GROUP_WORSE: Final = 1.5
"""A group is named when its typical difference is so many times the usual and above what is allowed."""


class Answer(StrEnum):
    """In short."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    TOO_FEW = "too_few"


HEADLINES: Final[Mapping[Answer, str]] = {
    Answer.YES: "Geofence timestamps can replace the manual ones.",
    Answer.PARTLY: "Geofence timestamps can replace the manual ones, but for what is named below.",
    Answer.NO: "Geofence timestamps cannot replace the manual ones yet.",
    Answer.TOO_FEW: "There are too few visits in common to tell.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, its headline, reasons, groups where it is no, and what is short of a yes, in sentences."""

    answer: Answer
    headline: str
    reasons: list[str]
    not_where: list[str]
    short_of: list[str]


def decide(
    matching: Matching,
    careful: Agreement | None,
    pairs: Sequence[Pair],
    habits: Sequence[Habit],
    groups: Sequence[Group],
    truth: AgainstTruth | None,
) -> Verdict:
    """Judge a pilot; `careful` is the agreement of `pairs`, those written down at the stop."""
    rounding_s = rounding_error_s(pairs, habits)
    if careful is None or len(pairs) < FEWEST_PAIRS:
        reasons = [f"{len(pairs)} visits were written down at the stop; {FEWEST_PAIRS} are needed."]
        return Verdict(Answer.TOO_FEW, HEADLINES[Answer.TOO_FEW], reasons, [], [])
    allowed_s = TYPICAL_S + rounding_s
    not_where = _worse(groups, careful, habits)
    apart = _apart(careful, allowed_s, truth)
    answer = _answer(matching.coverage, not apart, bool(not_where))
    reasons = [_coverage(matching), _agreement(careful, rounding_s), *_truth(truth), *_manual(habits)]
    return Verdict(answer, HEADLINES[answer], reasons, not_where, [*_uncovered(matching.coverage), *apart])


def rounding_error_s(pairs: Sequence[Pair], habits: Sequence[Habit]) -> float:
    """What rounding alone is expected to change a service time by: a third of the grid, on average.

    Both times err evenly by up to half a grid; the difference of two such errors is on average a third of it.
    """
    grids = {h.driver_id: h.rounded_to_s for h in habits}
    return fmean(grids.get(p.note.driver_id, 0) / 3 for p in pairs) if pairs else 0.0


def _uncovered(coverage: float) -> list[str]:
    """What is short in the visits found."""
    if coverage >= COVERED_WELL:
        return []
    return [
        f"A visit is needed for {100 * COVERED_WELL:.0f} % of the manual records "
        f"({100 * COVERED_PARTLY:.0f} % to replace them in part); there is one for {100 * coverage:.1f} %."
    ]


def _apart(careful: Agreement, allowed_s: float, truth: AgainstTruth | None) -> list[str]:
    """What is short in the times; the truth decides where it is known."""
    if truth is not None and truth.pairs >= FEWEST_PAIRS:
        if truth.measured_mae_s <= max(truth.manual_mae_s, TYPICAL_S):
            return []
        return [f"The measured times err more than the manual ones, and by more than {TYPICAL_S:.0f} s."]
    found = []
    if careful.median_ae_s > allowed_s:
        found.append(
            f"The typical difference must be at most {allowed_s:.0f} s ({TYPICAL_S:.0f} s and rounding); "
            f"it is {careful.median_ae_s:.0f} s."
        )
    if abs(careful.bias_s) > BIAS_S + careful.bias_error_s:
        found.append(
            f"The bias must be at most {BIAS_S:.0f} s (± {careful.bias_error_s:.0f} s); it is "
            f"{careful.bias_s:+.0f} s. Records begun late make it so too: an observer's times tell (--truth)."
        )
    return found


def _answer(coverage: float, close: bool, exceptions: bool) -> Answer:
    if coverage < COVERED_PARTLY or not close:
        return Answer.NO
    return Answer.YES if coverage >= COVERED_WELL and not exceptions else Answer.PARTLY


def _worse(groups: Sequence[Group], overall: Agreement, habits: Sequence[Habit]) -> list[str]:
    """A sentence for each group that is large enough and served worse than its people's habits explain."""
    found = []
    late_s = {h.driver_id: _lag_s(h) for h in habits}
    for group in groups:
        of = f"{group.kind} {group.name}"
        notes = group.matched + (group.missed or 0)
        if group.missed is not None and notes >= FEWEST_OF_GROUP and group.matched < COVERED_PARTLY * notes:
            share = 100 * group.matched / notes
            found.append(f"{of}: a visit was found for {share:.0f} % of {notes} manual records.")
        told = group.agreement
        if told is None or told.pairs < FEWEST_OF_GROUP:
            continue
        allowed_s = TYPICAL_S + rounding_error_s(group.pairs, habits)
        allowed_s += fmean(late_s.get(p.note.driver_id, 0.0) for p in group.pairs)
        if told.median_ae_s > max(allowed_s, GROUP_WORSE * overall.median_ae_s):
            found.append(
                f"{of}: differences are typically {told.median_ae_s:.0f} s, "
                f"against {overall.median_ae_s:.0f} s overall ({told.pairs} visits)."
            )
    return found


def _lag_s(habit: Habit) -> float:
    """What a driver's usual lateness changes a service time by."""
    return abs((habit.depart_lag_s or 0.0) - (habit.arrive_lag_s or 0.0))


def _coverage(matching: Matching) -> str:
    total = len(matching.pairs) + len(matching.missed)
    return (
        f"A visit was found for {len(matching.pairs)} of {total} manual records "
        f"({100 * matching.coverage:.1f} %); "
        f"{len(matching.extra)} more visits were found that nobody wrote down."
    )


def _agreement(careful: Agreement, rounding_s: float) -> str:
    of_it = f", of which rounding explains about {rounding_s:.0f} s" if rounding_s >= 1 else ""
    return (
        "Of records made at the stop, the service times differ by "
        f"{careful.median_ae_s:.0f} s typically{of_it}; "
        f"on average the measured ones are {abs(careful.bias_s):.0f} s "
        f"{'longer' if careful.bias_s >= 0 else 'shorter'}, and 95 % of the differences lie between "
        f"{careful.low_limit_s:+.0f} s and {careful.high_limit_s:+.0f} s."
    )


def _truth(truth: AgainstTruth | None) -> list[str]:
    if truth is None:
        return []
    told = [
        f"Against the truth the measured service times err by {truth.measured_mae_s:.0f} s on average, "
        f"the manual ones by {truth.manual_mae_s:.0f} s."
    ]
    if truth.extra:
        told.append(f"{truth.extra_real} of the {truth.extra} visits that nobody wrote down did happen.")
    return told


def _manual(habits: Sequence[Habit]) -> list[str]:
    """What is known of the manual records themselves."""
    told = []
    rounded = [h for h in habits if h.rounded_to_s >= 60]
    if rounded:
        grids = ", ".join(f"{g // 60} min" for g in sorted({h.rounded_to_s for h in rounded}))
        told.append(f"{len(rounded)} of {len(habits)} drivers round their times (to {grids}).")
    for what, count in (
        (
            f"entered more than a minute after the vehicle had left, {_batches(habits)}",
            _sum(habits, Flaw.AFTERWARDS),
        ),
        ("begun more than a minute late", _sum(habits, Flaw.LATE)),
    ):
        if count:
            told.append(f"{count} of {sum(h.notes for h in habits)} manual records were {what}.")
    forgotten = sum(h.forgotten for h in habits)
    if forgotten:
        told.append(f"{forgotten} visits to planned stops seem to have been forgotten.")
    return told


def _batches(habits: Sequence[Habit]) -> str:
    return f"{sum(h.in_batches for h in habits)} of them in batches"


def _sum(habits: Sequence[Habit], flaw: Flaw) -> int:
    return sum(h.afterwards if flaw is Flaw.AFTERWARDS else h.late for h in habits)
