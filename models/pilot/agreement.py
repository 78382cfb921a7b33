"""How far two ways of measuring service times agree: bias, errors, and Bland and Altman's limits."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from math import sqrt
from typing import Any, Final

import numpy as np

from geofence.events import ServiceTime
from models.pilot.matching import Matching, Pair

LIMIT_SDS: Final = 1.96
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Measured less manual service times, in seconds.

    95 % of differences lie between the limits (Bland and Altman 1986); `bias_error_s` and `limit_error_s` are
    half the widths of their 95 % confidence intervals; `trend` is the change of the difference a second of
    service.
    """

    pairs: int
    bias_s: float
    bias_error_s: float
    sd_s: float
    low_limit_s: float
    high_limit_s: float
    limit_error_s: float
    trend: float
    mae_s: float
    median_ae_s: float
    within_60s: float
    bias_arrive_s: float
    bias_depart_s: float


@dataclass(frozen=True, slots=True)
class Group:
    """Visits and manual records with something in common; `missed` is None where it cannot be told."""

    kind: str
    name: str
    pairs: Sequence[Pair] = field(repr=False)
    missed: int | None
    extra: int
    agreement: Agreement | None

    @property
    def matched(self) -> int:
        """Visits that were written down."""
        return len(self.pairs)

    def as_dict(self) -> dict[str, Any]:
        """The figures by name."""
        told = {"kind": self.kind, "name": self.name, "matched": self.matched, "missed": self.missed}
        return {**told, "extra": self.extra, "agreement": self.agreement and asdict(self.agreement)}


def agreement(pairs: Sequence[Pair]) -> Agreement | None:
    """The figures of these pairs; None when there are none."""
    if not pairs:
        return None
    off = np.array([p.service_s for p in pairs])
    mean = np.array([(p.visit.service_time_s + p.note_s) / 2 for p in pairs])
    n = len(off)
    bias, sd = float(off.mean()), float(off.std(ddof=1)) if n > 1 else 0.0
    spread = float(((mean - mean.mean()) ** 2).sum())
    return Agreement(
        pairs=n,
        bias_s=bias,
        bias_error_s=LIMIT_SDS * sd / sqrt(n),
        sd_s=sd,
        low_limit_s=bias - LIMIT_SDS * sd,
        high_limit_s=bias + LIMIT_SDS * sd,
        limit_error_s=LIMIT_SDS * sqrt(3 / n) * sd,
        trend=float(((mean - mean.mean()) * (off - bias)).sum()) / spread if spread > 0 else 0.0,
        mae_s=float(np.abs(off).mean()),
        median_ae_s=float(np.median(np.abs(off))),
        within_60s=float((np.abs(off) <= 60).mean()),
        bias_arrive_s=float(np.mean([p.arrive_s for p in pairs])),
        bias_depart_s=float(np.mean([p.depart_s for p in pairs])),
    )


def groups(matching: Matching, region_of: Mapping[str, str]) -> list[Group]:
    """Figures by region of the customer (where known), by driver and by the quality of the pings."""
    found = []
    if region_of:
        found += _of_whom(matching, "region", lambda c, _d: region_of.get(c, "unknown"))
    found += _of_whom(matching, "driver", lambda _c, d: d)
    for kind, quality in QUALITIES.items():
        found += _of_quality(matching, kind, quality)
    return found


def _of_whom(matching: Matching, kind: str, name: Callable[[str, str], str]) -> list[Group]:
    pairs: dict[str, list[Pair]] = defaultdict(list)
    missed: dict[str, int] = defaultdict(int)
    extra: dict[str, int] = defaultdict(int)
    for pair in matching.pairs:
        pairs[name(pair.note.customer_id, pair.note.driver_id)].append(pair)
    for note in matching.missed:
        missed[name(note.customer_id, note.driver_id)] += 1
    for visit in matching.extra:
        extra[name(visit.customer_id, visit.driver_id)] += 1
    names = sorted({*pairs, *missed, *extra})
    return [Group(kind, n, pairs[n], missed[n], extra[n], agreement(pairs[n])) for n in names]


def _of_quality(matching: Matching, kind: str, quality: Callable[[ServiceTime], str]) -> list[Group]:
    pairs: dict[str, list[Pair]] = defaultdict(list)
    extra: dict[str, int] = defaultdict(int)
    for pair in matching.pairs:
        pairs[quality(pair.visit)].append(pair)
    for visit in matching.extra:
        extra[quality(visit)] += 1
    names = [n for n in (*_names(BOUNDS[kind]), UNKNOWN) if n in pairs or n in extra]
    return [Group(kind, n, pairs[n], None, extra[n], agreement(pairs[n])) for n in names]


def _in_band(kind: str, value: float | None) -> str:
    """The band of a value: up to the first bound, up to the second, above."""
    if value is None:
        return UNKNOWN
    names = _names(BOUNDS[kind])
    return names[int(np.searchsorted(BOUNDS[kind], value, side="left"))]


def _names(bounds: Sequence[float]) -> list[str]:
    first, last = f"up to {bounds[0]:g}", f"above {bounds[-1]:g}"
    between = [f"above {a:g} up to {b:g}" for a, b in pairwise(bounds)]
    return [first, *between, last]


BOUNDS: Final[Mapping[str, Sequence[float]]] = {
    "pings in the visit": (5, 20),
    "longest gap, s": (15, 60),
    "accuracy, m": (10, 25),
    "confidence": (0.6, 0.9),
}
"""Bands of the quality of the pings."""

QUALITIES: Final[Mapping[str, Callable[[ServiceTime], str]]] = {
    "pings in the visit": lambda v: _in_band("pings in the visit", v.pings),
    "longest gap, s": lambda v: _in_band("longest gap, s", v.max_gap_s),
    "accuracy, m": lambda v: _in_band("accuracy, m", v.median_accuracy_m),
    "confidence": lambda v: _in_band("confidence", v.confidence),
}
