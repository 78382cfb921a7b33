"""What can go wrong at the edge: input that cannot be read, services that do not answer."""

from geofence.errors import ServicetimeError


class UnreadableInput(ServicetimeError):
    """A file that cannot be used; the message names the file, the line (from 1) or feature, and the field."""

    exit_status = 2

    def __init__(
        self,
        file: str,
        reason: str,
        *,
        line: int | None = None,
        field: str | None = None,
        what: str = "line",
    ) -> None:
        place = file if line is None else f"{file}, {what} {line}"
        super().__init__(f"{place}: {reason}" if field is None else f"{place}, {field}: {reason}")
        self.file = file
        self.line = line
        self.field = field
        self.reason = reason


class Unavailable(ServicetimeError):
    """A broker, registry, port, disk or program this machine or network does not offer right now."""

    exit_status = 1
