"""Figures of the benchmark as text with ratios, and as docs/performance.md with plots."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.throughput import STEADY_S

GOALS: Final = {
    "kafka": ("bare aiokafka consumer", {"this project's worker": 0.25}),
    "kafka_cpu": ("bare aiokafka consumer", {"this project's worker": 0.25}),
    "replay": ("msgspec decodes the file alone", {"servicetime replay, JSON Lines": 0.15}),
    "replay_cpu": ("msgspec decodes the file alone", {}),
    "replay_days": ("msgspec decodes the file alone", {"servicetime replay, JSON Lines": 0.15}),
    "replay_days_cpu": ("msgspec decodes the file alone", {}),
}
TITLES: Final = {
    "kafka": "Through Kafka, one process unless said, 4 partitions, about 400 drivers",
    "kafka_cpu": "The same by processor time",
    "replay": "A day's file, whole processes on all cores",
    "replay_cpu": "A day's file by processor time",
    "replay_days": "A file of four days, whole processes on all cores",
    "replay_days_cpu": "A file of four days by processor time",
    "offline": "Without Kafka, one process (processor time; Tile38: both cores)",
}
GROWS: Final = {
    "fences": "fences",
    "drivers": "drivers",
    "batch": "pings a batch",
    "late": "late pings of a hundred, in batches of 1,000",
}
P99_GOAL_S: Final = 0.25

HEAD: Final = """# Performance

Measured by `make bench ARGS="--write docs"` in one run, on {cores} cores; Tile38 where `--tile38`
names its server binary. Compare ratios: other work on the machine moves all figures, so rates are also
given by processor time; ratios of single runs differ by a tenth and more. Every piece can be run alone
(`--only kafka`, `replay`, `offline`, `growth`), faster with `--small`. Machines differ in ratios too.

"""


def write(figures: Mapping[str, Any], directory: Path | None) -> str:
    """The report as Markdown, also put into a directory with its plots, if one is given."""
    text = HEAD.format(cores=os.cpu_count())
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    for name in TITLES:
        if name in figures:
            text += _rates(name, figures[name])
    if "p99_s" in figures:
        text += _delay(figures["p99_s"])
    for name, what in GROWS.items():
        if name in figures:
            text += _growth(name, what, figures[name], directory is not None)
            if directory is not None:
                _plot(directory / f"cost-by-{name}.svg", what, figures[name])
    text += _worse(figures)
    if directory is not None:
        (directory / "performance.md").write_text(text)
    return text


def _rates(name: str, rates: Mapping[str, float | None]) -> str:
    against, goals = GOALS.get(name, (next(iter(rates)), {}))
    whole = rates[against]
    lines = [
        f"## {TITLES[name]}\n",
        "| what | pings a second | ratio | goal |",
        "| --- | ---: | ---: | --- |",
    ]
    for what, rate in rates.items():
        if rate is None or whole is None:
            lines.append(f"| {what} | not measured: no binary given | | |")
            continue
        goal = goals.get(what)
        said = "" if goal is None else f"{goal:.0%}: {'reached' if rate >= goal * whole else 'not reached'}"
        lines.append(f"| {what} | {rate:,.0f} | {rate / whole:.1%} | {said} |")
    return "\n".join(lines) + "\n\n"


def _delay(p99_s: Mapping[Any, float]) -> str:
    lines = [
        "## Delay\n",
        "From the arrival in Kafka of the first ping that may have settled a visit to the commit of its "
        "record, at 5,000 pings a second. The larger fleet drives at true speed; the smaller one drives as "
        "many times faster, and each driver's steps of work come as many times as often. What comes in the "
        f"first {STEADY_S:.0f} seconds, when all drivers come back at once, does not count.\n",
        "| drivers | 99 of 100 within, ms | goal |",
        "| ---: | ---: | --- |",
    ]
    for drivers, p99 in p99_s.items():
        said = f"{1000 * P99_GOAL_S:.0f}: {'reached' if p99 <= P99_GOAL_S else 'not reached'}"
        lines.append(f"| {int(drivers):,} | {1000 * p99:,.0f} | {said} |")
    return "\n".join(lines) + "\n\nThose are upper ends of the histogram's buckets.\n\n"


def _growth(name: str, what: str, found: Mapping[Any, Mapping[str, float]], plotted: bool) -> str:
    lines = [f"## Detection's cost by {what}\n"]
    if plotted:
        lines.append(f"![Microseconds a ping by {what}](cost-by-{name}.svg)\n")
    lines += [
        f"| {what} | µs a ping | memory of the process, MB | s to load |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for n, one in found.items():
        lines.append(f"| {n:,} | {one['us']:.1f} | {one['memory_mb']:,.0f} | {one['load_s']:.1f} |")
    text = "\n".join(lines) + "\n\n"
    if name == "fences" and 1_000_000 in found:
        most = found[1_000_000]
        more = most["us"] / found[10_000]["us"] - 1
        text += (
            f"1,000,000 fences cost {more:+.0%} a ping beside 10,000 (goal below +25 %) and "
            f"{most['memory_mb'] / 1000:.2f} GB (goal below 1.5 GB).\n\n"
        )
    return text


def _worse(figures: Mapping[str, Any]) -> str:
    """Which peers are faster than this project's worker."""
    worker = figures.get("kafka", {}).get("this project's worker")
    if worker is None:
        return ""
    peers = {**figures["kafka"], **figures.get("offline", {})}
    faster = [f"{k} ({v / worker:.1f} times)" for k, v in peers.items() if v is not None and v > worker]
    return (
        "## Where it does worse\n\nFaster than the worker were: "
        + (", ".join(faster) or "none")
        + ". They do "
        "less: no standing and leaving, no choice between neighbours, no revisions, no exactly-once state.\n"
    )


def _plot(path: Path, what: str, found: Mapping[Any, Mapping[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "servicetime"
    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    axes.plot(list(found), [one["us"] for one in found.values()], marker="o")
    axes.set(xscale="log", xlabel=what, ylabel="µs a ping", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
