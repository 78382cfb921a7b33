"""Speed of this project and its peers on the same work, side by side in one run, with ratios.

make bench [ARGS="--small --only kafka,replay --tile38 /path/to/tile38-server --write docs"]
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import throughput
from benchmarks.report import write
from benchmarks.town import Town, fleet, repeated, simulated, spacing_s
from streams.broker import choose_broker
from streams.topics import delete_topics
from streams.worker import use_uvloop

RATE_PER_S: Final = 5_000.0
FEW: Final = 2_000
BEFORE_S: Final = 300.0
"""By its own time, a fleet is under way so long before the delay is measured."""

TOWN_DRIVERS: Final = 33
"""The town has just under 10,000 customers then: of more fences, none lie where anybody drives."""

FENCES: Final = (1_000, 10_000, 100_000, 1_000_000)
DRIVERS: Final = (100, 1_000, 10_000, 100_000)
BATCHES: Final = (100, 1_000, 10_000, 100_000)
LATE: Final = (0.1, 1.0, 10.0)
"""Hundredths of all pings."""
DECODE: Final = """
import sys
from msgspec import Struct, json

class Ping(Struct, gc=False):
    driver_id: str
    ts: str
    lat: float
    lon: float
    accuracy_m: float | None = None
    speed_mps: float | None = None

decode = json.Decoder(Ping).decode
for line in open(sys.argv[1], "rb"):
    decode(line)
"""
"""Decoding a file alone, as a whole process."""

TIMES: Final = 3
"""Whole processes are timed so often, in turn; the middle one counts."""


@dataclass
class Run:
    """One run of the benchmark: what it works on, and the figures so far."""

    directory: Path
    small: bool
    bootstrap: str | None
    tile38: str | None
    town: Town
    figures: dict[str, Any] = field(default_factory=dict)

    def size(self, full: int) -> int:
        """So many pings, fewer in a small run."""
        return full // 5 if self.small else full

    def fleets(self) -> tuple[int, ...]:
        """Sizes of the fleets whose records' delay is measured: few that drive faster, and at true speed."""
        return (FEW,) if self.small else (FEW, round(RATE_PER_S * spacing_s(self.town)))

    def pings(self, drivers: int, count: int, days: int = 1) -> Town:
        """About that many pings a day of that many drivers."""
        return repeated(self.town, self.directory / f"{drivers}-{count}-{days}.jsonl", drivers, count, days)


def kafka(run: Run) -> None:
    """Bare consumer, worker, ordinary Faust agent with a table, Quix Streams with state; then the delay."""
    made = run.pings(400, run.size(600_000))
    files = {"pings": made.pings, "fences": made.fences}
    with choose_broker(run.bootstrap, run.directory / "kafka") as broker:
        bootstrap = broker.bootstrap_servers
        topics = throughput.new_topics(bootstrap)
        try:
            count = asyncio.run(throughput.publish(bootstrap, topics, files))
            bare = max(asyncio.run(throughput.bare_rate(bootstrap, topics, count)) for _ in range(2))
            with throughput.worker(bootstrap, topics) as addresses:
                worker = throughput.rate_until(addresses, count)
            pings = topics.name("gps-pings")
            found = {"bare aiokafka consumer": bare.wall, "this project's worker": worker.wall}
            by_cpu = {"bare aiokafka consumer": bare.cpu, "this project's worker": worker.cpu}
            longer = run.pings(400, run.size(600_000), days=4)  # both take a while to share the partitions
            both = _on_both_cores(bootstrap, files | {"pings": longer.pings})
            found["this project's worker, --concurrency 2"] = both.wall
            by_cpu["this project's worker, --concurrency 2"] = both.cpu
            found["Faust agent with a table"] = _peer("faust_table", bootstrap, pings, run.size(30_000))
            found["Quix Streams with state"] = _peer("quix_state", bootstrap, pings, run.size(200_000))
        finally:
            delete_topics(bootstrap, topics)
        run.figures |= {"kafka": found, "kafka_cpu": by_cpu}
        run.figures["p99_s"] = {drivers: _delay_s(run, bootstrap, drivers) for drivers in run.fleets()}


def _on_both_cores(bootstrap: str, files: dict[str, str]) -> throughput.Rate:
    """The worker as two processes, on topics of its own."""
    topics = throughput.new_topics(bootstrap)
    try:
        count = asyncio.run(throughput.publish(bootstrap, topics, files))
        with throughput.worker(bootstrap, topics, 2) as addresses:
            return throughput.rate_until(addresses, count)
    finally:
        delete_topics(bootstrap, topics)


def _delay_s(run: Run, bootstrap: str, drivers: int) -> float:
    """The 99th percentile of the delay with so many drivers."""
    seconds = (20 if run.small else 60) * RATE_PER_S * spacing_s(run.town) / drivers
    made = fleet(run.town, run.directory / f"fleet-{drivers}.jsonl", drivers, BEFORE_S + seconds)
    _say(f"{drivers:,} drivers for {BEFORE_S:.0f} s and {seconds:.0f} s")
    return throughput.delay_s(bootstrap, {"pings": made.pings, "fences": made.fences}, RATE_PER_S, BEFORE_S)


def offline(run: Run) -> None:
    """Loops that know no Kafka: shapely's tree, MovingPandas, Tile38 through its own protocol."""
    from benchmarks.peers import offline as peers
    from benchmarks.peers import tile38

    made = run.pings(400, run.size(100_000))
    lines = Path(made.pings).read_bytes().splitlines()
    some = lines[: run.size(20_000)]
    found: dict[str, float | None] = {
        "shapely-only loop, enter and exit": len(lines) / peers.shapely_loop(lines, made.fences),
        "MovingPandas stop detection": len(some) / peers.moving_pandas(some),
        "Tile38, 10,000 circle fences, pipelined SETs": None,
    }
    if run.tile38 is not None:
        found["Tile38, 10,000 circle fences, pipelined SETs"] = tile38.rate(run.tile38, lines, made.fences)
    run.figures["offline"] = found


def replay(run: Run) -> None:
    """Whole processes: decoding a file alone, `servicetime replay` of it, and of Parquet; a day, and four."""
    for name, days in (("replay", 1), ("replay_days", 4)):
        found = _replayed(run, run.pings(400, run.size(600_000), days))
        run.figures[name], run.figures[f"{name}_cpu"] = found


def _replayed(run: Run, made: Town) -> tuple[dict[str, float], dict[str, float]]:
    """Pings a second by the clock and by processor time."""
    import pyarrow.json
    import pyarrow.parquet

    parquet = str(run.directory / "pings.parquet")
    pyarrow.parquet.write_table(pyarrow.json.read_json(made.pings), parquet)
    words = ["-m", "streams.cli.main", "replay", "--fences", made.fences, "--out", str(run.directory / "out")]
    commands = {
        "msgspec decodes the file alone": ["-c", DECODE, made.pings],
        "servicetime replay, JSON Lines": [*words, "--pings", made.pings],
        "servicetime replay, Parquet": [*words, "--pings", parquet],
    }
    took: dict[str, list[tuple[float, float]]] = {what: [] for what in commands}
    for what, command in [*commands.items()] * TIMES:
        took[what].append(_process_s(command))
    middle = {what: sorted(times)[TIMES // 2] for what, times in took.items()}
    by_clock = {what: made.count / wall_s for what, (wall_s, _) in middle.items()}
    return by_clock, {what: made.count / cpu_s for what, (_, cpu_s) in middle.items()}


def growth(run: Run) -> None:
    """Detection alone by fences, drivers, batch size and how many pings come late."""
    pings = run.pings(400, run.size(200_000))
    fences = FENCES[:3] if run.small else FENCES
    run.figures["fences"] = {n: _growth(pings, n) for n in fences}
    run.figures["drivers"] = {n: _growth(run.pings(n, run.size(200_000)), 10_000) for n in DRIVERS}
    run.figures["batch"] = {n: _growth(pings, 10_000, n) for n in BATCHES}
    run.figures["late"] = {n: _growth(pings, 10_000, 1_000, n / 100) for n in LATE}


PIECES: Final[dict[str, Callable[[Run], None]]] = {
    "kafka": kafka,
    "replay": replay,
    "offline": offline,
    "growth": growth,
}


def _growth(pings: Town, fences: int, batch: int = 50_000, late: float = 0.0) -> dict[str, float]:
    words = ["-m", "benchmarks.growth", pings.pings, pings.fences, "--fences", str(fences)]
    done = _run([*words, "--batch", str(batch), "--late", str(late)])
    found: dict[str, float] = json.loads(done.splitlines()[-1])
    kind = f"{fences:,} fences, {pings.drivers:,} drivers, batches of {batch:,}, {late:.1%} late"
    _say(f"{kind}: {found['us']:.1f} µs a ping")
    return found


def _peer(name: str, bootstrap: str, topic: str, count: int) -> float:
    rates = []
    for line in _run(["-m", f"benchmarks.peers.{name}", bootstrap, topic, str(count)]).splitlines():
        try:
            rates.append(float(line))
        except ValueError:  # what the peer itself prints
            continue
    return rates[-1]


def _run(words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600
    )
    return done.stdout.decode()


def _process_s(words: list[str]) -> tuple[float, float]:
    """Seconds that a whole process takes, by the clock and of processors."""
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    _run(words)
    wall_s, after = time.monotonic() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run the pieces asked for, print figures with ratios, and write docs/performance.md if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help=f"some of {', '.join(PIECES)}, by commas")
    parser.add_argument("--small", action="store_true", help="a fifth of the pings")
    parser.add_argument("--bootstrap", help="Kafka to use; else one of its own")
    parser.add_argument("--tile38", help="path of Tile38's server binary")
    parser.add_argument("--write", metavar="DIR", help="write performance.md and its plots there")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    given = parser.parse_args()
    wanted = given.only.split(",") if given.only else list(PIECES)
    use_uvloop()
    with tempfile.TemporaryDirectory() as directory:
        _say("simulating a town")
        made = simulated(Path(directory, "town"), TOWN_DRIVERS)
        run = Run(Path(directory), given.small, given.bootstrap, given.tile38, made)
        for name in wanted:
            began_s = time.monotonic()
            _say(f"measuring {name}")
            PIECES[name](run)
            _say(f"{name} took {time.monotonic() - began_s:.0f} s")
    if given.json:
        Path(given.json).write_text(json.dumps(run.figures, indent=2))
    print(write(run.figures, None if given.write is None else Path(given.write)))


if __name__ == "__main__":
    main()
