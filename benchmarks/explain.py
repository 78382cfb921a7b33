"""Says what went wrong in a case: errors counted by kind, with examples to look at."""

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.cases import Case
from geofence.times import format_time
from simulation.scoring import Claim, Judgement, Served


def explain(case: Case, claims: Sequence[Claim], verdict: Judgement, examples: int) -> str:
    """Kinds of errors with their counts, each with some examples."""
    kinds: dict[str, list[str]] = defaultdict(list)
    planned = {(r.driver_id, s.customer_id) for r in case.routes for s in r.stops}
    for claim in verdict.extra:
        kinds[_kind_of_extra(claim, case, planned)].append(_claim(claim))
    for claim, row in verdict.misnamed:
        kinds["misnamed: right customer, other stop"].append(f"{_claim(claim)}, truly {row.stop_id}")
    for row in verdict.missed:
        kinds[_kind_of_missed(row, claims, planned)].append(_row(row))
    for claim, row in verdict.right:
        error_s = claim.service_time_s - (row.departed_s - row.arrived_s)
        if abs(error_s) > 60:
            text = f"{_row(row)}: arrived {claim.arrived_s - row.arrived_s:+.0f} s, departed "
            kinds[f"late or early by over 60 s{' (shared)' if row.group > 1 else ''}"].append(
                f"{text}{claim.departed_s - row.departed_s:+.0f} s"
            )
    lines = [f"  {case.name}: {len(verdict.right)} right"]
    for kind, found in sorted(kinds.items()):
        lines.append(f"  {len(found):5d}  {kind}")
        lines += [f"           {text}" for text in found[:: max(1, len(found) // examples)][:examples]]
    return "\n".join(lines)


def _kind_of_extra(claim: Claim, case: Case, planned: set[tuple[str, str]]) -> str:
    during = [r for r in case.truth if r.driver_id == claim.driver_id and _share_s(claim, r) > 0]
    plan = "planned" if (claim.driver_id, claim.customer_id) in planned else "not planned"
    if any(r.customer_id == claim.customer_id for r in during):
        return f"extra: second record of one service ({plan})"
    if during:
        group = " shared" if max(r.group for r in during) > 1 else ""
        return f"extra: other customer served there{group} ({plan})"
    return f"extra: nobody served ({plan})"


def _kind_of_missed(row: Served, claims: Sequence[Claim], planned: set[tuple[str, str]]) -> str:
    during = [c for c in claims if c.driver_id == row.driver_id and _share_s(c, row) > 0]
    kind = "other customer named" if during else "nothing recorded"
    plan = "planned" if (row.driver_id, row.customer_id) in planned else "not planned"
    return f"missed: {kind}{' (shared)' if row.group > 1 else ''} ({plan})"


def _share_s(claim: Claim, row: Served) -> float:
    return min(claim.departed_s, row.departed_s) - max(claim.arrived_s, row.arrived_s)


def _claim(claim: Claim) -> str:
    confidence = "" if claim.confidence is None else f", confidence {claim.confidence:.2f}"
    return f"{claim.driver_id} {claim.customer_id} {_span(claim.arrived_s, claim.departed_s)}{confidence}"


def _row(row: Served) -> str:
    return f"{row.driver_id} {row.customer_id} {_span(row.arrived_s, row.departed_s)}"


def _span(begin_s: float, end_s: float) -> str:
    return f"{format_time(int(begin_s * 1000))[5:19]} for {end_s - begin_s:.0f} s"
