"""Detection quality on simulated towns and real drivers, beside plain geofencing and MovingPandas."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import click
from rich.console import Console
from rich.table import Table

from benchmarks.cases import GOAL, Case, detected, recorded, simulated
from benchmarks.explain import explain
from simulation.baselines import enter_exit, movingpandas_stops
from simulation.profiles import PROFILES
from simulation.scoring import Claim, Judgement, Score, figures, judge, pooled

Method = Callable[[Case], list[Claim]]

METHODS: dict[str, Method] = {
    "servicetime": detected,
    "enter/exit": lambda case: enter_exit(case.pings, case.fences),
    "MovingPandas": lambda case: movingpandas_stops(case.pings, case.fences),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One method on one case, or on all cases of a profile together."""

    case: str
    method: str
    score: Score
    took_s: float


@click.command()
@click.option("--profiles", default=",".join([*PROFILES, GOAL]), show_default=True, help="Comma-separated.")
@click.option("--seeds", default="0", show_default=True, help="Comma-separated seeds of the towns.")
@click.option("--drivers", default=8, show_default=True, help="Drivers of each town.")
@click.option("--days", default=2, show_default=True, help="Days of each town.")
@click.option("--spacing", type=float, help="Seconds between pings.  [default: by profile and driver]")
@click.option("--peers/--no-peers", default=True, help="Whether to run MovingPandas too (slow).")
@click.option("--plain/--no-plain", default=True, help="Whether to run plain enter/exit too.")
@click.option(
    "--explain", "explained", default=0, show_default=True, help="Show so many errors of each kind."
)
@click.option("--calibration/--no-calibration", "curve", default=True, help="Show the calibration curve.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    profiles: str,
    seeds: str,
    drivers: int,
    days: int,
    spacing: float | None,
    peers: bool,
    plain: bool,
    explained: int,
    curve: bool,
    as_json: bool,
) -> None:
    """Measure detection. Figures of several seeds are pooled after the single ones."""
    methods = dict(METHODS)
    if not peers:
        del methods["MovingPandas"]
    if not plain:
        del methods["enter/exit"]
    rows: list[Row] = []
    for profile in profiles.split(","):
        cases = (
            iter([recorded()])
            if profile == GOAL
            else (simulated(profile, int(seed), drivers, days, spacing) for seed in seeds.split(","))
        )
        rows += _measured(profile, cases, methods, explained)
    if as_json:
        print(json.dumps([{"case": r.case, "method": r.method, **r.score.rounded()} for r in rows]))
    else:
        _show(rows, curve)


def _measured(
    profile: str, cases: Iterator[Case], methods: dict[str, Method], explained: int
) -> Iterator[Row]:
    verdicts: dict[str, list[tuple[Judgement, float]]] = {name: [] for name in methods}
    for case in cases:
        for name, method in methods.items():
            start_s = perf_counter()
            claims = method(case)
            took_s = perf_counter() - start_s
            verdict = judge(claims, case.truth)
            verdicts[name].append((verdict, took_s))
            print(f"{case.name}: {name} {took_s:.1f} s", file=sys.stderr)
            if explained and name == "servicetime":
                print(explain(case, claims, verdict, explained), file=sys.stderr)
            yield Row(case.name, name, figures(verdict), took_s)
    for name, found in verdicts.items():
        if len(found) > 1:
            yield Row(f"{profile}, all", name, figures(pooled(v for v, _ in found)), sum(t for _, t in found))


COLUMNS: dict[str, Callable[[Score], float | None]] = {
    "visits": lambda s: s.truth,
    "records": lambda s: s.records,
    "precision": lambda s: s.precision,
    "recall": lambda s: s.recall,
    "F1": lambda s: s.f1,
    "MAE s": lambda s: s.mae_s,
    "median s": lambda s: s.median_ae_s,
    "≤ 30 s": lambda s: s.within_30s,
    "arrive bias": lambda s: s.bias_arrive_s,
    "depart bias": lambda s: s.bias_depart_s,
    "bounds hold": lambda s: s.bounds_hold,
    "ECE": lambda s: s.calibration_error,
}


def _show(rows: list[Row], curve: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 175)
    table = Table(title="Detection against the truth")
    for name in ("case", "method"):
        table.add_column(name, no_wrap=True)
    for name in [*COLUMNS, "took s"]:
        table.add_column(name, justify="right")
    for row in rows:
        cells = (_text(value_of(row.score)) for value_of in COLUMNS.values())
        table.add_row(row.case, row.method, *cells, f"{row.took_s:.1f}")
    console.print(table)
    for row in rows:
        if curve and row.score.calibration:
            console.print(_curve(row))


def _curve(row: Row) -> Table:
    table = Table("confidence", "claims", "mean", "right", title=f"Calibration: {row.method}, {row.case}")
    for b in row.score.calibration:
        bounds = f"{b.low:.1f} to {b.high:.1f}"
        table.add_row(bounds, str(b.claims), f"{b.mean_confidence:.3f}", f"{b.right_share:.3f}")
    return table


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}" if abs(value) <= 1 else f"{value:.1f}"


if __name__ == "__main__":
    main()
