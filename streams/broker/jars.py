"""The Java archives of Apache Kafka: pinned with hashes in jars.json, fetched once, checked at every start.

`python -m streams.broker.jars` resolves the roots named in jars.json again and rewrites the pins.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from streams.broker.errors import DownloadFailed

DOWNLOADS_AT_ONCE: Final = 8
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Pins:
    """Which files make up the broker: Maven coordinates (group:artifact:version) and their SHA-256."""

    kafka_version: str
    sha256: Mapping[str, str]


def pinned() -> Pins:
    """The pins of jars.json, beside this module."""
    lock = json.loads(_lock_text())
    return Pins(lock["kafka"], lock["jars"])


def cache_dir() -> Path:
    """Where the archives are kept: below XDG_CACHE_HOME, else ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "servicetime" / f"kafka-{pinned().kafka_version}"


def missing(pins: Pins, directory: Path) -> list[str]:
    """The coordinates whose file is absent from `directory` or is not the pinned one."""
    return [name for name, digest in pins.sha256.items() if _sha256(directory / _file(name)) != digest]


def class_path(
    *,
    pins: Pins | None = None,
    directory: Path | None = None,
    repositories: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """The archives, in a stable order; what is missing is fetched first, from Maven Central by default.

    `on_progress` is told (files fetched, files to fetch). Raises DownloadFailed, naming the file.
    """
    pins = pins or pinned()
    directory = directory or cache_dir()
    absent = missing(pins, directory)
    if absent:
        directory.mkdir(parents=True, exist_ok=True)
        fetch = partial(_fetch, pins=pins, directory=directory, repositories=repositories or _repositories())
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            for done, _ in enumerate(pool.map(fetch, absent), start=1):
                if on_progress is not None:
                    on_progress(done, len(absent))
    return [directory / _file(name) for name in sorted(pins.sha256)]


def _fetch(name: str, *, pins: Pins, directory: Path, repositories: Mapping[str, str]) -> None:
    """Put one file in place whole: two processes may do so at once, and nothing is left half done."""
    reason = ""
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=directory) as scratch:
            try:
                fetched = _download(name, Path(scratch), repositories)
            except Exception as error:  # whatever the resolver or the network raises
                reason = str(error) or type(error).__name__
                continue
            if _sha256(fetched) == pins.sha256[name]:
                fetched.replace(directory / _file(name))
                return
            reason = "the file received is not the one pinned (its SHA-256 differs)"
    raise DownloadFailed(
        f"cannot fetch {_file(name)} of Apache Kafka {pins.kafka_version}: {_brief(reason)}; "
        "check the network and see `servicetime doctor`"
    )


def _download(name: str, scratch: Path, repositories: Mapping[str, str]) -> Path:
    group, artifact, version = name.split(":")
    component = _maven(scratch, repositories).project(group, artifact).at_version(version)
    return Path(component.artifact().resolve())


def _maven(repo_cache: Path, repositories: Mapping[str, str]) -> Any:
    from jgo.maven import MavenContext

    logging.getLogger("jgo").addHandler(logging.NullHandler())  # its warnings end in our errors
    return MavenContext(repo_cache=repo_cache, remote_repos=dict(repositories), timeout=30)


def _repositories() -> dict[str, str]:
    """The mirror that SERVICETIME_MAVEN names, else those of the jgo configuration and Maven Central."""
    mirror = os.environ.get("SERVICETIME_MAVEN")
    if mirror:
        return {"mirror": mirror.rstrip("/")}
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL

    return {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}


def unreachable(within_s: float = 5.0) -> str | None:
    """Why the archives cannot be fetched now; None when a repository answers."""
    import requests

    group, artifact, version = next(iter(pinned().sha256)).split(":")
    path = f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"
    reason = "no repository configured"
    for repository in _repositories().values():
        try:
            answer = requests.head(f"{repository}/{path}", timeout=within_s, allow_redirects=True)
        except requests.RequestException as error:
            reason = type(error).__name__
        else:
            if answer.ok:
                return None
            reason = f"HTTP status {answer.status_code}"
    return reason


def _file(name: str) -> str:
    _, artifact, version = name.split(":")
    return f"{artifact}-{version}.jar"


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _brief(reason: str, limit: int = 300) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _lock_text() -> str:
    return (files("streams.broker") / "jars.json").read_text("utf-8")


def resolve_again() -> dict[str, Any]:
    """The content of jars.json with the dependencies of its roots resolved and hashed anew."""
    lock = json.loads(_lock_text())
    with tempfile.TemporaryDirectory() as scratch:
        context = _maven(Path(scratch), _repositories())
        roots, others = context.resolver.resolve([context.create_dependency(root) for root in lock["roots"]])
        needed = [*roots, *(d for d in others if d.scope in {"compile", "runtime"})]
        jars = {
            f"{d.groupId}:{d.artifactId}:{d.version}": _sha256(Path(d.artifact.resolve())) for d in needed
        }
    return {**lock, "jars": dict(sorted(jars.items()))}


if __name__ == "__main__":
    target = Path(__file__).with_name("jars.json")
    target.write_text(json.dumps(resolve_again(), indent=2) + "\n", "utf-8")
