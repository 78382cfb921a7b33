"""Figures of a proof as plain values: errors, coverage, groups, route totals, what plans would have cost."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.costs import PlanCost, Prices, plan_cost
from models.proof import LEVELS, Proof, mae_s
from models.totals import RouteCalibration
from models.truth import KnownTruth

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Table = list[dict[str, Any]]

RIVALS: Final = ("rule", "rule_adjusted", "historical_mean", "linear")
MUCH_WORSE: Final = 1.25
"""A group is warned of from so many times the overall error on, both relative to the mean service time."""

COVERAGE_SLACK: Final = 0.05
BUFFERS: Final = tuple(round(0.7 + 0.05 * step, 2) for step in range(27))
"""Factors from 0.7 to 2."""

FEWEST: Final = 50
BEFORE: Final = ((0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, 10**9))
"""Numbers of known visits that cold start is shown for."""


def errors(proof: Proof, truth: KnownTruth | None = None) -> Table:
    """A row for each predictor: errors in seconds; the law's row is on the visits whose law is known.

    With `truth` there is `true_mae_s` too: errors against how long visits really took, where that is known.
    """
    rows = [_error_row(name, s, proof.actual_s) for name, s in proof.predicted_s.items()]
    if truth is None or not (known := np.isfinite(truth.law_s)).any():
        return rows
    row = _error_row("law", truth.law_s[known], proof.actual_s[known])
    model_s = mae_s(proof.predicted_s["model"][known], proof.actual_s[known])
    rows = [*rows, {**row, "visits": int(known.sum()), "model_mae_s": model_s}]
    known &= np.isfinite(truth.true_s)
    for row in rows:
        seconds = proof.predicted_s.get(row["predictor"], truth.law_s)
        row["true_mae_s"] = mae_s(seconds[known], truth.true_s[known])
    return rows


def labels(proof: Proof, truth: KnownTruth | None) -> dict[str, Any]:
    """How far detected service times are from the true ones, and how often P90 covers the true one."""
    if truth is None or not (known := np.isfinite(truth.true_s)).any():
        return {"visits": 0}
    off = proof.actual_s[known] - truth.true_s[known]
    return {
        "visits": int(known.sum()),
        "mae_s": float(np.abs(off).mean()),
        "median_s": float(np.median(np.abs(off))),
        "bias_s": float(off.mean()),
        "p90_coverage": _share(truth.true_s[known] <= proof.p90_s[known]),
    }


def _error_row(name: str, predicted_s: Floats, actual_s: Floats) -> dict[str, Any]:
    off = predicted_s - actual_s
    return {
        "predictor": name,
        "mae_s": float(np.abs(off).mean()),
        "median_s": float(np.median(np.abs(off))),
        "rmse_s": float(np.sqrt((off**2).mean())),
        "bias_s": float(off.mean()),
    }


def coverage(proof: Proof) -> Table:
    """Stated and found shares below each quantile, and inside each interval."""
    below = [
        {"what": f"P{100 * level:.0f}", "stated": level, "found": _share(proof.actual_s <= bound)}
        for level, bound in zip(LEVELS, proof.quantiles_s, strict=True)
    ]
    inside = []
    for low, high in ((0.25, 0.75), (0.1, 0.9), (0.05, 0.95)):
        within = (proof.actual_s > proof.quantile_s(low)) & (proof.actual_s <= proof.quantile_s(high))
        what = f"P{100 * low:.0f} to P{100 * high:.0f}"
        inside.append({"what": what, "stated": round(high - low, 2), "found": _share(within)})
    return [*below, *inside]


def groups(proof: Proof) -> tuple[Table, list[str]]:
    """A row for each group of stops, and a sentence for each that is served worse than the rest."""
    overall = mae_s(proof.predicted_s["model"], proof.actual_s) / proof.actual_s.mean()
    rows, warnings = [], []
    for name, members in proof.groups.items():
        row = _group_row(proof, name, members)
        rows.append(row)
        if row["visits"] < FEWEST:
            continue
        if row["relative"] > MUCH_WORSE * overall:
            warnings.append(
                f"{name}: the error is {100 * row['relative']:.0f} % of the mean service time, "
                f"against {100 * overall:.0f} % overall"
            )
        if abs(row["p90_coverage"] - 0.9) > COVERAGE_SLACK:
            warnings.append(f"{name}: P90 covers {100 * row['p90_coverage']:.0f} % of visits")
    return rows, warnings


def _group_row(proof: Proof, name: str, members: Mask) -> dict[str, Any]:
    actual_s = proof.actual_s[members]
    found = {p: mae_s(s[members], actual_s) for p, s in proof.predicted_s.items()}
    return {
        "group": name,
        "visits": int(members.sum()),
        "mean_s": float(actual_s.mean()),
        "mae_s": found["model"],
        "relative": found["model"] / float(actual_s.mean()),
        "historical_mean_mae_s": found["historical_mean"],
        "rule_mae_s": found["rule"],
        "p90_coverage": _share(actual_s <= proof.p90_s[members]),
    }


def cold_start(proof: Proof) -> Table:
    """Errors by how many visits of the customer were known beforehand."""
    rows = []
    for low, high in BEFORE:
        members = (proof.visits_before >= low) & (proof.visits_before <= high)
        if members.any():
            name = f"{low}" if low == high else f"{low} or more" if high > 10**6 else f"{low} to {high}"
            rows.append({**_group_row(proof, name, members), "known_visits": name})
    return rows


def route_totals(proofs: Sequence[tuple[RouteCalibration, Proof]]) -> dict[str, Any]:
    """How far off the totals of routes are, beside what single stops are off, and whether intervals hold."""
    parts = [_route_part(calibration, proof) for calibration, proof in proofs]
    parts = [part for part in parts if len(part["actual"])]
    if not parts:
        return {"routes": 0}
    all_ = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    actual_s, stops = all_["actual"], np.concatenate([proof.actual_s for _, proof in proofs])
    stop_s = mae_s(np.concatenate([proof.predicted_s["model"] for _, proof in proofs]), stops)
    found = {name: mae_s(all_[name], actual_s) for name in ("model", *RIVALS)}
    return {
        "routes": len(actual_s),
        "stops_a_route": float(all_["stops"].mean()),
        "mean_total_s": float(actual_s.mean()),
        "mae_s": found,
        "relative_stop_error": stop_s / float(stops.mean()),
        "relative_route_error": found["model"] / float(actual_s.mean()),
        "correlation": float(np.mean([calibration.correlation for calibration, _ in proofs])),
        "p90_coverage": _share(actual_s <= all_["p90"]),
        "p10_to_p90_coverage": _share((actual_s > all_["p10"]) & (actual_s <= all_["p90"])),
        "p90_margin_s": float((all_["p90"] - all_["model"]).mean()),
        "p90_margin_if_errors_added_s": float(all_["added"].mean()),
    }


def _route_part(calibration: RouteCalibration, proof: Proof) -> dict[str, Floats]:
    known = proof.stops["route_id"].notna().to_numpy()
    routes = proof.stops["route_id"][known]
    totals = calibration.totals(routes, proof.expected_s[known], proof.sd_s[known])
    return {
        "actual": _sums(routes, proof.actual_s[known]),
        "stops": totals.stops,
        "model": totals.expected_s,
        **{name: _sums(routes, proof.predicted_s[name][known]) for name in RIVALS},
        "p10": calibration.quantile(totals, 0.1),
        "p90": calibration.quantile(totals, 0.9),
        "added": _sums(routes, (proof.p90_s - proof.predicted_s["model"])[known]),
    }


def costs(proofs: Sequence[Proof], prices: Prices, law: Sequence[Floats] | None = None) -> Table:
    """What plans made with each predictor would have cost a stop, plain and with the buffer that suits it.

    The buffer, a factor on all planned times, is the one that was cheapest in the first half of the windows;
    all costs are those of the second half. With one window there is no buffered plan, without routes no plan.
    """
    if not any(proof.stops["route_id"].notna().any() for proof in proofs):
        return []
    half = len(proofs) // 2
    planned = [_planned(proof, prices, None if law is None else law[i]) for i, proof in enumerate(proofs)]
    rows = []
    for name in planned[0]:
        earlier = [(p, plans[name]) for p, plans in zip(proofs[:half], planned[:half], strict=True)]
        later = [(p, plans[name]) for p, plans in zip(proofs[half:], planned[half:], strict=True)]
        row: dict[str, Any] = {"predictor": name, **asdict(_cost(later, prices, 1.0))}
        if earlier:
            buffer = min(BUFFERS, key=lambda factor: _cost(earlier, prices, factor).price)
            row |= {"buffer": buffer, "buffered_price": _cost(later, prices, buffer).price}
        rows.append(row)
    return rows


def _planned(proof: Proof, prices: Prices, law_s: Floats | None) -> dict[str, Floats]:
    best = min(LEVELS, key=lambda level: abs(level - prices.best_level))
    planned = {
        **proof.predicted_s,
        "model_expected": proof.expected_s,
        f"model_p{100 * best:.0f}": proof.quantile_s(best),
    }
    if law_s is not None:
        planned["law"] = np.where(np.isnan(law_s), proof.expected_s, law_s)
    return planned


def _cost(pairs: Sequence[tuple[Proof, Floats]], prices: Prices, factor: float) -> PlanCost:
    """The mean cost of a stop over several proofs, each with its planned times."""
    found = [plan_cost(proof.stops, proof.actual_s, factor * seconds, prices) for proof, seconds in pairs]
    weights = [len(proof.actual_s) for proof, _ in pairs]
    late, idle, price = (
        float(np.average([getattr(cost, name) for cost in found], weights=weights))
        for name in ("late_minutes", "idle_minutes", "price")
    )
    return PlanCost(late, idle, price)


def _sums(routes: Any, values: Floats) -> Floats:
    return pd.Series(values).groupby(routes.to_numpy()).sum().to_numpy(float)


def _share(mask: Mask) -> float:
    return float(np.mean(mask))
