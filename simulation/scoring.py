"""Detection quality: records of visits judged against the truth of who was served when."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any

from geofence.events import ServiceTime, VisitStatus


@dataclass(frozen=True, slots=True)
class Served:
    """One row of truth: the vehicle stood from `arrived_s` to `departed_s` (epoch seconds) for this customer.

    `edge` marks stands cut by the begin or end of the driver's data: they are not scored. `group` counts the
    customers served from the same standstill; `law_s` is the time that the simulator's law expects.
    """

    driver_id: str
    stop_id: str | None
    customer_id: str
    arrived_s: float
    departed_s: float
    edge: bool = False
    group: int = 1
    law_s: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a record says: this customer was served by this driver from `arrived_s` to `departed_s`."""

    visit_id: str
    driver_id: str
    customer_id: str
    stop_id: str | None
    arrived_s: float
    departed_s: float
    service_time_s: float
    confidence: float | None = None
    arrived_between_s: tuple[float, float] | None = None
    departed_between_s: tuple[float, float] | None = None
    revision: int = 1
    retracted: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every claim and every truth that counts, sorted into right and wrong.

    `misnamed` claims overlap a true visit of their customer but name another stop.
    """

    right: list[tuple[Claim, Served]]
    misnamed: list[tuple[Claim, Served]]
    extra: list[Claim]
    missed: list[Served]


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Claims with a confidence in [low, high), in the last bin up to 1, and how many of them were right."""

    low: float
    high: float
    claims: int
    mean_confidence: float
    right_share: float


@dataclass(frozen=True, slots=True)
class Score:
    """Detection quality in figures; times in seconds, shares from 0 to 1, None where nothing was matched."""

    records: int
    truth: int
    hits: int
    precision: float
    recall: float
    f1: float
    mae_s: float | None
    median_ae_s: float | None
    within_30s: float | None
    bias_arrive_s: float | None
    bias_depart_s: float | None
    mae_arrive_s: float | None
    mae_depart_s: float | None
    bounds_hold: float | None
    calibration_error: float | None
    calibration: tuple[ConfidenceBin, ...] = field(default=())

    def rounded(self) -> dict[str, Any]:
        """The figures as a dict, rounded to three digits."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def final_claims(claims: Iterable[Claim]) -> list[Claim]:
    """What holds in the end: the highest revision of each visit, without those that were retracted."""
    last: dict[str, Claim] = {}
    for claim in claims:
        if claim.visit_id not in last or claim.revision >= last[claim.visit_id].revision:
            last[claim.visit_id] = claim
    return [claim for claim in last.values() if not claim.retracted]


def claim_of(record: ServiceTime) -> Claim:
    """What a record of this project says."""
    return Claim(
        record.visit_id,
        record.driver_id,
        record.customer_id,
        record.stop_id,
        record.arrived_ms / 1000,
        record.departed_ms / 1000,
        record.service_time_s,
        record.confidence,
        (record.arrived_between_ms[0] / 1000, record.arrived_between_ms[1] / 1000),
        (record.departed_between_ms[0] / 1000, record.departed_between_ms[1] / 1000),
        record.revision,
        record.status is VisitStatus.RETRACTED,
    )


def judge(claims: Sequence[Claim], truth: Sequence[Served]) -> Judgement:
    """Match claims with truth: same driver and customer, overlapping in time, each truth used once.

    Claims that overlap a stand cut by the data's edge, at the same customer, are left out of the judgement.
    """
    edges = _by_visit(row for row in truth if row.edge)
    open_rows = _by_visit(row for row in truth if not row.edge)
    right: list[tuple[Claim, Served]] = []
    misnamed: list[tuple[Claim, Served]] = []
    extra: list[Claim] = []
    for claim in claims:
        if any(_meet(claim, row) for row in edges[claim.driver_id, claim.customer_id]):
            continue
        rows = open_rows[claim.driver_id, claim.customer_id]
        best = max(rows, key=lambda row: _overlap_s(claim, row), default=None)
        if best is None or _overlap_s(claim, best) <= 0:
            extra.append(claim)
            continue
        rows.remove(best)
        same_stop = claim.stop_id is None or claim.stop_id == best.stop_id
        (right if same_stop else misnamed).append((claim, best))
    matched = {id(row) for _, row in right + misnamed}
    missed = [row for row in truth if not row.edge and id(row) not in matched]
    return Judgement(right, misnamed, extra, missed)


def score(claims: Sequence[Claim], truth: Sequence[Served]) -> Score:
    """Precision, recall, errors of service time, arrival and departure, and calibration of the confidence."""
    return figures(judge(claims, truth))


def pooled(verdicts: Iterable[Judgement]) -> Judgement:
    """Several judgements as one."""
    whole = Judgement([], [], [], [])
    for verdict in verdicts:
        whole.right.extend(verdict.right)
        whole.misnamed.extend(verdict.misnamed)
        whole.extra.extend(verdict.extra)
        whole.missed.extend(verdict.missed)
    return whole


def figures(verdict: Judgement) -> Score:
    """A judgement in figures."""
    hits = len(verdict.right)
    records = hits + len(verdict.misnamed) + len(verdict.extra)
    visits = hits + len(verdict.misnamed) + len(verdict.missed)
    precision, recall = hits / max(1, records), hits / max(1, visits)
    errors = [abs(c.service_time_s - (t.departed_s - t.arrived_s)) for c, t in verdict.right]
    arrive = [c.arrived_s - t.arrived_s for c, t in verdict.right]
    depart = [c.departed_s - t.departed_s for c, t in verdict.right]
    bins = calibration(verdict)
    return Score(
        records=records,
        truth=visits,
        hits=hits,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(1e-9, precision + recall),
        mae_s=_mean(errors),
        median_ae_s=median(errors) if errors else None,
        within_30s=_mean([e <= 30 for e in errors]),
        bias_arrive_s=_mean(arrive),
        bias_depart_s=_mean(depart),
        mae_arrive_s=_mean([abs(e) for e in arrive]),
        mae_depart_s=_mean([abs(e) for e in depart]),
        bounds_hold=_mean(_bounds_hold(verdict)),
        calibration_error=expected_calibration_error(bins),
        calibration=bins,
    )


def calibration(verdict: Judgement, bins: int = 10) -> tuple[ConfidenceBin, ...]:
    """Of claims with about the same confidence, how many were right; bins without a claim are left out."""
    sorted_in: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    judged = [(c, True) for c, _ in verdict.right]
    judged += [(c, False) for c in [*(c for c, _ in verdict.misnamed), *verdict.extra]]
    for claim, is_right in judged:
        if claim.confidence is not None:
            at = min(bins - 1, int(claim.confidence * bins))
            sorted_in[at].append((claim.confidence, is_right))
    return tuple(
        ConfidenceBin(
            at / bins,
            (at + 1) / bins,
            len(inside),
            fmean(confidence for confidence, _ in inside),
            fmean(is_right for _, is_right in inside),
        )
        for at, inside in sorted(sorted_in.items())
    )


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float | None:
    """Mean distance of confidence from the share that was right, weighted by claims (Naeini et al. 2015)."""
    claims = sum(b.claims for b in bins)
    if claims == 0:
        return None
    return sum(b.claims * abs(b.mean_confidence - b.right_share) for b in bins) / claims


def _by_visit(rows: Iterable[Served]) -> Mapping[tuple[str, str], list[Served]]:
    found: dict[tuple[str, str], list[Served]] = defaultdict(list)
    for row in rows:
        found[row.driver_id, row.customer_id].append(row)
    return found


def _meet(claim: Claim, row: Served) -> bool:
    return claim.arrived_s < row.departed_s and claim.departed_s > row.arrived_s


def _overlap_s(claim: Claim, row: Served) -> float:
    return min(claim.departed_s, row.departed_s) - max(claim.arrived_s, row.arrived_s)


def _bounds_hold(verdict: Judgement) -> list[bool]:
    """For each stated bound of a right claim, whether the truth lies within (to the millisecond)."""
    held = []
    for claim, row in verdict.right:
        for between, true_s in (
            (claim.arrived_between_s, row.arrived_s),
            (claim.departed_between_s, row.departed_s),
        ):
            if between is not None:
                held.append(between[0] - 1e-3 <= true_s <= between[1] + 1e-3)
    return held


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_rounded(inner) for inner in value]
    return value
