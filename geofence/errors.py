"""The tree of everything that can be wrong with what detection is given."""


class ServicetimeError(Exception):
    """Base of all errors this project raises on purpose."""


class InvalidRecord(ServicetimeError):
    """An input record that cannot be used; `field` names the culprit, None when the whole is unreadable."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason if field is None else f"{field}: {reason}")
        self.reason = reason
        self.field = field


class InvalidPing(InvalidRecord):
    """A ping with an impossible position, time, speed or accuracy."""


class InvalidFence(InvalidRecord):
    """A geofence without a usable shape, id, customer or radius."""


class InvalidRoute(InvalidRecord):
    """A route without a driver, a start or well-formed stops."""


class InvalidSetting(ServicetimeError):
    """A setting outside its range."""
