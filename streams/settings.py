"""The settings of a worker, checked once, before anything starts."""

from dataclasses import dataclass, field
from pathlib import Path

from geofence.errors import InvalidSetting
from geofence.rules import Rules
from streams.topics import Topics


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a worker process is told."""

    bootstrap: str
    topics: Topics = field(default_factory=Topics)
    rules: Rules = field(default_factory=Rules)

    web_host: str = "127.0.0.1"
    web_port: int | None = None
    """Where `/metrics` and `/healthz` are served; None: nowhere."""

    table: str | None = None
    """Directory or URI of the training table; None: no sink."""

    registry: str | None = None
    """Directory or URL of the model registry; None: predictions come from the fallback."""

    data_dir: Path = Path("servicetime-data")

    visible_within_s: float = 0.07
    """At least so long lies between two checkpoints of a partition that has outputs."""

    checkpoint_every_s: float = 1.0
    """At most so long a change waits for a checkpoint."""

    checkpoint_in_bulk_s: float = 5.0
    """The same while far behind: each driver that changed is written once a checkpoint."""

    uncommitted_messages: int = 200_000
    """So many messages of a partition may await a checkpoint before its intake pauses."""

    idle_s: float = 30.0
    """A partition read to its end and quiet for so long has its open visits reported, as `open_ended`."""

    let_go_after_s: float = 3 * 86_400.0
    """The state of a driver that has not changed for so long is let go."""

    sink_every_s: float = 2.0
    """So often the training table is written to while visits arrive."""

    look_for_models_s: float = 20.0
    """So often the registry is asked for a new champion."""

    session_timeout_s: float = 10.0
    """A worker that is silent for so long loses its partitions to the others."""

    def __post_init__(self) -> None:
        if not self.bootstrap:
            raise InvalidSetting("bootstrap: is empty")
        for name in (
            "visible_within_s",
            "checkpoint_every_s",
            "checkpoint_in_bulk_s",
            "idle_s",
            "let_go_after_s",
            "sink_every_s",
            "look_for_models_s",
            "session_timeout_s",
            "uncommitted_messages",
        ):
            if not getattr(self, name) > 0:
                raise InvalidSetting(f"{name}: must be above 0")
