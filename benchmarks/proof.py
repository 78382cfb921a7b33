"""What learning is worth: towns simulated, detected, learned from and proven by the commands, then judged."""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from streams.cli.simulate import PROFILES

Figures = Mapping[str, Any]


@click.command()
@click.option("--profile", type=click.Choice(PROFILES), default="suburb", show_default=True)
@click.option("--drivers", default=40, show_default=True)
@click.option("--days", default=60, show_default=True)
@click.option("--seed", default=5, show_default=True)
@click.option("--start-date", default="2026-03-02", show_default=True)
@click.option("--regions", default=1, show_default=True)
@click.option("--trials", default=50, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep town, table, models and report here.")
def main(keep: Path | None, trials: int, **town: Any) -> None:
    """Simulate a town, detect its visits, train, evaluate; print the figures beside those asked for."""
    with TemporaryDirectory() as folder:
        place = keep or Path(folder)
        trained, cpu_s = learn(place, trials, town)
        report = evaluated(place)
    show(report, trained, cpu_s)


def learn(place: Path, trials: int, town: Mapping[str, Any]) -> tuple[Figures, float]:
    """The summary of the training and its processor time; what is there already is kept."""
    if not (place / "truth.jsonl").exists():
        options = [
            word for name, value in town.items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        run("simulate", "--out", str(place), *options)
    if not (place / "visits.jsonl").exists():
        files = [f"--{n}={place / f}" for n, f in (("pings", "pings.jsonl.gz"), ("fences", "fences.geojson"))]
        files += [f"--{name}={place / f'{name}.jsonl'}" for name in ("routes", "weather")]
        run("replay", *files, "--out", str(place / "visits.jsonl"), *_at(place, "table"))
    before_s = _children_s()
    said = run("train", *_at(place, "table", "registry"), f"--trials={trials}", "--json")
    return json.loads(said), _children_s() - before_s


def evaluated(place: Path) -> Figures:
    """The report of `servicetime evaluate`."""
    truth = f"--truth={place / 'truth.jsonl'}"
    said = run("evaluate", *_at(place, "table", "registry"), truth, f"--out={place / 'report'}", "--json")
    found: Figures = json.loads(said)
    return found


def run(*arguments: str) -> str:
    """What a command of servicetime prints; it ends the benchmark when it fails."""
    command = [sys.executable, "-m", "streams.cli.main", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def show(report: Figures, trained: Figures, cpu_s: float) -> None:
    """Print errors of all predictors, and what was asked for."""
    console = Console()
    table = Table("predictor", title=f"Backtests on {report['visits']:,} visits with detected times")
    for name in ("MAE", "against true times", "bias"):
        table.add_column(name, justify="right")
    for row in report["errors"]:
        cells = (f"{row[key]:.1f} s" for key in ("mae_s", "true_mae_s", "bias_s"))
        table.add_row(row["predictor"], *cells)
    console.print(table)
    wanted = Table("figure", title="What was asked for")
    for name in ("wanted", "found"):
        wanted.add_column(name, justify="right")
    for line in asked(report, trained, cpu_s):
        wanted.add_row(*line)
    console.print(wanted)


def asked(report: Figures, trained: Figures, cpu_s: float) -> list[tuple[str, str, str]]:
    """Each figure with its aim."""
    errors = {row["predictor"]: row for row in report["errors"]}
    model, law, labels = errors["model"], errors["law"], report["labels"]
    rule, mean = (errors[name]["mae_s"] for name in ("rule", "historical_mean"))
    p90 = next(row["found"] for row in report["coverage"] if row["what"] == "P90")
    routes = report["routes"]
    return [
        ("MAE below the seven-minute rule", "30 s", f"{rule - model['mae_s']:.1f} s"),
        ("MAE below the historical mean", "15 %", f"{100 * (1 - model['mae_s'] / mean):.1f} %"),
        ("MAE above the law's", "12 %", f"{100 * (law['model_mae_s'] / law['mae_s'] - 1):.1f} %"),
        ("… both against true times", "12 %", f"{100 * (model['true_mae_s'] / law['true_mae_s'] - 1):.1f} %"),
        ("visits within P90", "90 ± 2 %", f"{100 * p90:.1f} %"),
        ("… true times within P90", "", f"{100 * labels['p90_coverage']:.1f} %"),
        ("error of a stop, of a route", "", _cancelling(routes)),
        (
            f"training, {trained['trials']} trials, {trained['visits_learned']:,} visits",
            "",
            f"{cpu_s:.0f} s CPU",
        ),
        ("promoted by the gate", "", "yes" if trained["promoted"] else "; ".join(trained["reasons"])),
    ]


def _cancelling(routes: Figures) -> str:
    if not routes["routes"]:
        return "no routes"
    return f"{100 * routes['relative_stop_error']:.1f} %, {100 * routes['relative_route_error']:.1f} %"


def _at(place: Path, *names: str) -> list[str]:
    return [f"--{name}={place / ('models' if name == 'registry' else name)}" for name in names]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
