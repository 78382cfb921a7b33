"""Where models are kept with all that made them, and which one is in charge; MLflow does the keeping."""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

from geofence.times import format_time
from models.errors import NoSuchModel, RegistryUnusable
from models.regional import AnyModel, load_model

NAME: Final = "service-times"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
REPORT: Final = "report"
DATABASE: Final = "mlflow.db"
ALIASES: Final = (CHAMPION, CHALLENGER, PREVIOUS)


@dataclass(frozen=True, slots=True)
class Passport:
    """What is kept beside a model: where it comes from and how it did.

    `features` describes each column of its matrix (`FeatureSpec.schema`), `report` is a folder.
    """

    data_version: str
    code_version: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    features: tuple[Mapping[str, Any], ...] = ()
    report: Path | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered version."""

    version: int
    created_ms: int
    fingerprint: str
    data_version: str
    code_version: str
    aliases: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)


class Registry:
    """Versions of one model and the aliases champion, challenger and previous."""

    def __init__(self, address: str, name: str = NAME) -> None:
        """Open the registry in a directory (made when missing), or at an MLflow tracking URL.

        Raises RegistryUnusable when that cannot be.
        """
        self.address = address
        self.name = name
        self._uri, self._artifacts = _locate(address)
        with _alone(self._uri):
            self._client = _client(self._uri)
            self._experiment = self._asked(self._experiment_id)

    def register(self, model: AnyModel, passport: Passport) -> Entry:
        """Keep a model; the new version becomes the challenger."""
        entry: Entry = self._asked(lambda: self._register(model, passport))
        return entry

    def entries(self) -> list[Entry]:
        """All versions, newest first."""
        found = self._asked(lambda: self._client.search_model_versions(f"name='{self.name}'"))
        aliases = self._aliases()
        return sorted((self._entry(v, aliases) for v in found), key=lambda e: -e.version)

    def entry(self, which: str | int) -> Entry:
        """The version of that number or alias. Raises NoSuchModel."""
        number = self._number(which)
        for entry in self.entries():
            if entry.version == number:
                return entry
        raise NoSuchModel(f"{self.address}: has no model {which}")

    def has(self, alias: str) -> bool:
        """Whether some version has that alias."""
        return alias in self._aliases()

    def load(self, which: str | int = CHAMPION) -> tuple[AnyModel, Entry]:
        """The model of that number or alias. Raises NoSuchModel."""
        entry = self.entry(which)
        source = self._client.get_model_version(self.name, str(entry.version)).source
        place = urlparse(source)
        if place.scheme in {"", "file"}:
            return load_model(Path(unquote(place.path))), entry
        with tempfile.TemporaryDirectory() as folder:
            from mlflow.artifacts import download_artifacts

            got = download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=self._uri)
            return load_model(Path(got)), entry

    def promote(self, which: str | int) -> Entry:
        """Put a version in charge; the champion so far becomes `previous`."""
        chosen = self.entry(which)
        aliases = self._aliases()
        if aliases.get(CHAMPION) == chosen.version:
            return chosen
        if CHAMPION in aliases:
            self._point(PREVIOUS, aliases[CHAMPION])
        self._point(CHAMPION, chosen.version)
        if aliases.get(CHALLENGER) == chosen.version:
            self._client.delete_registered_model_alias(self.name, CHALLENGER)
        return self.entry(chosen.version)

    def rollback(self) -> Entry:
        """Put the previous champion in charge again; the two change places. Raises NoSuchModel."""
        aliases = self._aliases()
        if PREVIOUS not in aliases or CHAMPION not in aliases:
            raise NoSuchModel(f"{self.address}: has no previous champion to go back to")
        self._point(CHAMPION, aliases[PREVIOUS])
        self._point(PREVIOUS, aliases[CHAMPION])
        return self.entry(CHAMPION)

    def passport(self, which: str | int) -> dict[str, Any]:
        """Everything kept beside a version: data, code, configuration, features, metrics."""
        entry = self.entry(which)
        run = self._client.get_run(self._client.get_model_version(self.name, str(entry.version)).run_id)
        return {
            "version": entry.version,
            "aliases": list(entry.aliases),
            "fingerprint": entry.fingerprint,
            "data_version": entry.data_version,
            "code_version": entry.code_version,
            "metrics": dict(run.data.metrics),
            "config": json.loads(run.data.tags["config"]),
            "features": json.loads(run.data.tags["features"]),
            "created_at": format_time(entry.created_ms),
            "artifacts": run.info.artifact_uri,
            "report": f"{run.info.artifact_uri}/{REPORT}/evaluation.html",
        }

    def _register(self, model: AnyModel, passport: Passport) -> Entry:
        tags = {"data_version": passport.data_version, "code_version": passport.code_version}
        config = {
            "config": json.dumps(passport.config, sort_keys=True),
            "features": json.dumps(passport.features),
        }
        run = self._client.create_run(self._experiment, tags={**tags, **config})
        for key, value in sorted(passport.metrics.items()):
            self._client.log_metric(run.info.run_id, key, float(value))
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            self._client.log_artifacts(run.info.run_id, folder, "model")
        if passport.report is not None:
            self._client.log_artifacts(run.info.run_id, str(passport.report), REPORT)
        self._client.set_terminated(run.info.run_id)
        version = self._client.create_model_version(
            self.name,
            source=f"{run.info.artifact_uri}/model",
            run_id=run.info.run_id,
            tags={**tags, "fingerprint": model.fingerprint},
        )
        self._point(CHALLENGER, int(version.version))
        return self.entry(int(version.version))

    def _entry(self, version: Any, aliases: Mapping[str, int]) -> Entry:
        number = int(version.version)
        return Entry(
            version=number,
            created_ms=int(version.creation_timestamp),
            fingerprint=version.tags.get("fingerprint", ""),
            data_version=version.tags.get("data_version", ""),
            code_version=version.tags.get("code_version", ""),
            aliases=tuple(alias for alias in ALIASES if aliases.get(alias) == number),
            metrics=dict(self._client.get_run(version.run_id).data.metrics),
        )

    def _aliases(self) -> dict[str, int]:
        found = self._asked(lambda: self._client.get_registered_model(self.name).aliases)
        return {alias: int(version) for alias, version in found.items()}

    def _number(self, which: str | int) -> int:
        if isinstance(which, int) or which.isdigit():
            return int(which)
        aliases = self._aliases()
        if which not in aliases:
            raise NoSuchModel(f"{self.address}: has no {which} model yet")
        return aliases[which]

    def _point(self, alias: str, version: int) -> None:
        self._client.set_registered_model_alias(self.name, alias, str(version))

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self.name)
        if found is None:
            new = self._client.create_experiment(self.name, artifact_location=self._artifacts)
            self._client.create_registered_model(self.name)
            return str(new)
        try:
            self._client.get_registered_model(self.name)
        except MlflowException:
            self._client.create_registered_model(self.name)
        return str(found.experiment_id)

    def _asked(self, question: Any) -> Any:
        """The answer; what goes wrong between here and there is one of this project's errors."""
        from mlflow.exceptions import MlflowException

        try:
            return question()
        except MlflowException as error:
            raise RegistryUnusable(f"{self.address}: {str(error).splitlines()[0]}") from error


def is_made(address: str) -> bool:
    """Whether there is a registry at an address; one that is a URL is taken to exist."""
    return "://" in address or (Path(address) / DATABASE).is_file()


def existing(address: str) -> Registry:
    """The registry at an address. Raises NoSuchModel when none was ever made there."""
    if not is_made(address):
        raise NoSuchModel(f"{address}: holds no models (servicetime train makes them)")
    return Registry(address)


def study_storage(address: str) -> str | None:
    """Where searches in progress are kept: beside a registry in a directory, else nowhere."""
    return None if "://" in address else f"sqlite:///{Path(address).resolve() / 'studies.db'}"


def _locate(address: str) -> tuple[str, str | None]:
    """The tracking URI and where artifacts go (None: the server decides)."""
    if address.startswith("file:"):
        raise RegistryUnusable(f"{address}: give the directory itself, without file:")
    if address.startswith("sqlite:///"):
        folder = Path(address.removeprefix("sqlite:///")).resolve().parent
        return address, (folder / "artifacts").as_uri()
    if "://" in address:
        return address, None
    folder = Path(address).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryUnusable(f"{address}: {error.strerror}") from error
    return f"sqlite:///{folder / DATABASE}", (folder / "artifacts").as_uri()


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """One process at a time: two that make the tables of a local database at once break each other's work."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///"))
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        flock(lock, LOCK_EX)
        yield


def _client(uri: str) -> Any:
    """MLflow without telemetry, progress bars and chatter."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)
