"""The settings of detection, with their defaults and their fingerprint."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from geofence.errors import InvalidSetting


class ServiceStart(StrEnum):
    """What `service_time_s` begins with."""

    STANDING = "standing"
    PARKING_SEARCH = "parking_search"
    FENCE_ENTRY = "fence_entry"


@dataclass(frozen=True, slots=True)
class Rules:
    """How visits are found. Every field is a setting of the command line and the environment too."""

    allowed_lateness_s: float = 30.0
    """Pings may come so late, by their own time, and still be used in place."""

    decide_after_s: float = 90.0
    """A visit is reported so long after its departure, when what follows has been seen."""

    dwell_s: float = 20.0
    """Shorter standing is no visit; a fence's own `dwell_s` overrides it."""

    reach_m: float = 30.0
    """A vehicle may stand so far outside a fence and still serve it."""

    gps_noise_m: float = 4.0
    """Noise of a fix (one axis) when the phone reports no accuracy."""

    worst_accuracy_m: float = 150.0
    """Fixes reported less accurate than this are set aside."""

    shift_gap_s: float = 4 * 3600.0
    """So long a silence separates two working days."""

    day_kept_s: float = 24 * 3600.0
    """Pings are kept so long, to answer late ones with a revision."""

    tell_pass_bys: bool = True
    """Whether `geofence-events` tells of fences that a vehicle only drove through."""

    service_starts_with: ServiceStart = ServiceStart.STANDING
    """What `service_time_s` begins with: `standing`, `parking_search` or `fence_entry`."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, float | int) and not 0 <= value <= 30 * 86_400:
                raise InvalidSetting(f"{name}: {value} is not between 0 and 30 days in seconds (or metres)")
        if self.gps_noise_m <= 0:
            raise InvalidSetting("gps_noise_m: must be above 0")
        if self.day_kept_s < self.allowed_lateness_s:
            raise InvalidSetting("day_kept_s: must not be below allowed_lateness_s")

    @property
    def config_hash(self) -> str:
        """Fingerprint of these settings; equal settings have equal ones on every machine."""
        return _fingerprint(self)


@lru_cache
def _fingerprint(rules: Rules) -> str:
    """`20` and `20.0` seconds are equal, and have to read alike."""
    values = {k: float(v) if type(v) is int else v for k, v in asdict(rules).items()}
    text = repr(sorted((k, str(v)) for k, v in values.items()))
    return blake2b(text.encode(), digest_size=6).hexdigest()
