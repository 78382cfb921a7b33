"""The training table (Delta Lake): each visit once, at its highest revision, however often delivered."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from models.errors import NoTrainingData
from models.quality import Refused, Row, sift
from models.schema import QUARANTINE, TRAINING, WITHDRAWN

ATTEMPTS: Final = 20
COMPACT_EVERY: Final = 100
"""So many commits of small batches are followed by a compaction."""

NEWER: Final = "source.revision > target.revision"


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of a batch: `reasons` counts the quarantined rows' reasons by field and kind."""

    written: int
    quarantined: int
    reasons: Mapping[str, int]
    skipped: bool
    version: int


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One commit of the table."""

    version: int
    ts_ms: int
    operation: str


def upsert(
    table_uri: str, rows: Sequence[Row], app_id: str | None = None, version: int | None = None
) -> Upserted:
    """Put rows (`models.rows.training_row`) into the table, created when missing.

    With `app_id` and `version` (one sink's partition, and its last input offset + 1) the batch is one
    application transaction: a version at or below the committed one changes nothing. Even without it a
    repeated batch changes nothing, since only a higher revision replaces a row. Rows that break an
    expectation go to the quarantine table; an earlier revision that such a row replaces is withdrawn.
    """
    sound, refused = sift(rows)
    if refused and not _is_done(_open(table_uri), app_id, version):
        _merge(quarantine_uri(table_uri), _quarantine_table(refused), None, None, newer=None)
    withdrawn = [_withdrawal(row) for row, _ in refused if _is_key(row)]
    batch = pa.Table.from_pylist([*sound, *withdrawn], schema=TRAINING)
    done, at = _merge(table_uri, batch, app_id, version)
    if done and at % COMPACT_EVERY == 0:
        with suppress(CommitFailedError):  # others write: the next one tries again
            compact(table_uri)
    reasons = Counter(_kind(reason) for _, found in refused for reason in found)
    return Upserted(len(sound) if done else 0, len(refused) if done else 0, reasons, not done, at)


def committed_version(table_uri: str, app_id: str) -> int | None:
    """The `version` of the last batch of this `app_id` that the table holds: where its sink resumes."""
    table = _open(table_uri)
    found = None if table is None else table.transaction_version(app_id)
    return None if found is None else int(found)


def read(
    table_uri: str, version: int | None = None, columns: Sequence[str] | None = None, withdrawn: bool = False
) -> pd.DataFrame:
    """The visits that hold, by arrival and visit id; as of a table version when one is given.

    Columns that an older table lacks are null. Retracted visits are left out unless `withdrawn`.
    Raises NoTrainingData when there is no table or no such version.
    """
    table = _existing(table_uri, version)
    wanted = list(columns) if columns is not None else list(TRAINING.names)
    needed = [*dict.fromkeys([*wanted, "status", "arrived_at", "visit_id"])]
    there = {field.name for field in table.schema().fields}
    stored = table.to_pyarrow_table(columns=[name for name in needed if name in there])
    for name in needed:
        if name not in there:
            kind = TRAINING.field(name).type if name in TRAINING.names else pa.null()
            stored = stored.append_column(name, pa.nulls(stored.num_rows, kind))
    frame: pd.DataFrame = stored.select(needed).to_pandas()
    if not withdrawn:
        frame = frame[~frame["status"].isin(WITHDRAWN)]
    return frame.sort_values(["arrived_at", "visit_id"], kind="stable", ignore_index=True).loc[:, wanted]


def versions(table_uri: str) -> list[TableVersion]:
    """All commits that the log still knows, oldest first."""
    entries = _existing(table_uri).history()
    found = [TableVersion(e["version"], e["timestamp"], e.get("operation", "?")) for e in entries]
    return sorted(found, key=lambda v: v.version)


def require(table_uri: str, version: int | None = None) -> None:
    """Raises NoTrainingData when there is no table, or no such version of it."""
    _existing(table_uri, version)


def current_version(table_uri: str) -> int:
    """The number of the newest commit."""
    return int(_existing(table_uri).version())


def quarantine_uri(table_uri: str) -> str:
    """Where the refused rows of a table are kept: beside it."""
    return table_uri.rstrip("/") + "-quarantine"


def quarantined(table_uri: str) -> pd.DataFrame:
    """The refused rows with their reasons: visit_id, revision, reasons, the row as JSON."""
    table = _open(quarantine_uri(table_uri))
    frame: pd.DataFrame = (
        QUARANTINE.empty_table() if table is None else table.to_pyarrow_table()
    ).to_pandas()
    return frame.sort_values(["visit_id", "revision"], ignore_index=True)


def quarantine_reasons(table_uri: str) -> dict[str, int]:
    """How often each expectation was broken, the most frequent first."""
    reasons = Counter(_kind(reason) for found in quarantined(table_uri)["reasons"] for reason in found)
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def compact(table_uri: str, keep_hours: int | None = None) -> int:
    """Rewrite small files as large ones; returns how many went.

    With `keep_hours` files that only older versions need are deleted, which ends time travel beyond that.
    """
    table = _existing(table_uri)
    removed = int(table.optimize.compact()["numFilesRemoved"])
    table.create_checkpoint()
    if keep_hours is not None:
        table.vacuum(keep_hours, dry_run=False, enforce_retention_duration=False)
    return removed


def forget_driver(table_uri: str, driver_id: str) -> int:
    """Delete a driver's rows here and in quarantine, from every version; their number. Ends time travel."""
    quoted = driver_id.replace("'", "''")
    return _delete(table_uri, f"driver_id = '{quoted}'")


def forget_before(table_uri: str, moment: datetime) -> int:
    """Delete the visits that arrived before a moment, from every version; their number. Ends time travel."""
    return _delete(table_uri, f"arrived_at < '{moment.astimezone(UTC).isoformat()}'")


def _delete(table_uri: str, predicate: str) -> int:
    deleted = 0
    for table in (_open(table_uri), _open(quarantine_uri(table_uri))):
        if table is not None:
            deleted += int(table.delete(predicate)["num_deleted_rows"] or 0)
            table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    return deleted


def _open(table_uri: str, version: int | None = None) -> DeltaTable | None:
    try:
        return DeltaTable(table_uri, version=version)
    except TableNotFoundError:
        return None


def _existing(table_uri: str, version: int | None = None) -> DeltaTable:
    try:
        table = _open(table_uri, version)
    except DeltaError as error:
        raise NoTrainingData(f"{table_uri}: has no version {version}") from error
    if table is None:
        raise NoTrainingData(f"{table_uri}: is no training table (servicetime replay --table makes one)")
    return table


def _is_done(table: DeltaTable | None, app_id: str | None, version: int | None) -> bool:
    if table is None or app_id is None or version is None:
        return False
    committed = table.transaction_version(app_id)
    return committed is not None and committed >= version


def _merge(
    uri: str, batch: pa.Table, app_id: str | None, version: int | None, newer: str | None = NEWER
) -> tuple[bool, int]:
    """Merge by visit in one commit; whether it was still to do, and the table version that holds it.

    The check and the write use one handle, so that a rival's commit in between fails ours, which is tried
    again from the check on.
    """
    marks = None
    if app_id is not None and version is not None:
        marks = CommitProperties(app_transactions=[Transaction(app_id, version)])
    for attempt in range(ATTEMPTS):
        table = _open(uri) or _created(uri, batch.schema)
        if _is_done(table, app_id, version):
            return False, int(table.version())
        try:
            _execute(table, batch, newer, marks)
        except CommitFailedError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return True, int(table.version())
    raise AssertionError("unreachable")


def _execute(table: DeltaTable, batch: pa.Table, newer: str | None, marks: CommitProperties | None) -> None:
    merger = table.merge(
        batch,
        "target.visit_id = source.visit_id" + ("" if newer else " AND target.revision = source.revision"),
        source_alias="source",
        target_alias="target",
        merge_schema=True,
        commit_properties=marks,
    )
    if newer:
        merger = merger.when_matched_update_all(newer)
    merger.when_not_matched_insert_all("source.status <> 'quarantined'" if newer else None).execute()


def _created(uri: str, schema: pa.Schema) -> DeltaTable:
    if "://" not in uri:
        Path(uri).mkdir(parents=True, exist_ok=True)
    return DeltaTable.create(uri, schema, mode="ignore", name="service times")


def _is_key(row: Row) -> bool:
    return isinstance(row.get("visit_id"), str) and isinstance(row.get("revision"), int)


def _withdrawal(row: Row) -> Row:
    """What marks in the table that a visit's new revision was refused."""
    return {"visit_id": row.get("visit_id"), "revision": row.get("revision"), "status": "quarantined"}


def _quarantine_table(refused: Sequence[Refused]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "visit_id": _text(row.get("visit_id")),
                "revision": row.get("revision") if isinstance(row.get("revision"), int) else None,
                "driver_id": _text(row.get("driver_id")),
                "arrived_at": arrived if isinstance(arrived := row.get("arrived_at"), datetime) else None,
                "reasons": reasons,
                "row_json": json.dumps(row, default=str, sort_keys=True),
            }
            for row, reasons in refused
        ],
        schema=QUARANTINE,
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _kind(reason: str) -> str:
    """A reason without the value that broke it."""
    return reason.split(" (")[0]
