"""What the phone reports: fixes at its own pace, with noise, silence, loss, nonsense and late delivery."""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from geofence.geometry import METRES_PER_DEGREE
from simulation.day import Happened
from simulation.profiles import Profile, Range
from simulation.scoring import Served
from simulation.streets import Metres
from simulation.town import District

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Phone:
    """One driver's phone and habits."""

    spacing_s: float
    loose: float
    slow_when_still: float
    noise_m: float
    jitter: float
    drift_s: float
    indoor_factor: float
    multipath_m: float
    multipath_share: float
    silent: bool
    carried: bool
    says_accuracy: bool
    says_speed: bool
    modest: float
    gps_losses_per_day: float
    stop_loss_share: float
    network_losses_per_day: float
    teleport_share: float
    null_island_share: float
    stale_per_day: float
    clock_jumps_per_day: float
    duplicate_share: float
    disorder_share: float


@dataclass(frozen=True, slots=True)
class Fixes:
    """Columns of one driver's day; `arrives_s` (since midnight) is when the fix reaches the server."""

    ts_ms: npt.NDArray[np.int64]
    lat: Metres
    lon: Metres
    accuracy_m: Metres
    speed_mps: Metres
    arrives_s: Metres

    def take(self, rows: npt.NDArray[np.int64] | Flags) -> "Fixes":
        """Those rows, in that order."""
        return Fixes(*(getattr(self, f.name)[rows] for f in fields(self)))


def draw_phone(profile: Profile, spacing_s: float | None, rng: np.random.Generator) -> Phone:
    """A phone of this profile; `spacing_s` fixes the spacing of its pings."""
    names = {f.name for f in fields(Phone)}
    drawn = {
        f.name: float(rng.uniform(*_range(profile, f.name)))
        for f in fields(profile)
        if f.name in names and f.name != "spacing_s"
    }
    low, high = profile.spacing_s
    spacing = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if spacing > 2:
        spacing = float(round(spacing))
    silent, in_van, accuracy, speed = rng.random(4)
    return Phone(
        spacing_s=spacing if spacing_s is None else spacing_s,
        loose=float(rng.choice([0.01, 0.05, 0.3])),
        slow_when_still=float(rng.choice([1.0, 1.0, 1.0, 3.0])),
        drift_s=float(rng.uniform(10, 60)),
        silent=bool(silent < profile.silent_share),
        carried=bool(in_van >= profile.in_van_share),
        says_accuracy=bool(accuracy < profile.accuracy_share),
        says_speed=bool(speed < profile.speed_share),
        modest=float(rng.uniform(0.6, 1.6)),
        **drawn,
    )


def observe(
    profile: Profile,
    district: District,
    phone: Phone,
    happened: Happened,
    day_ms: int,
    rng: np.random.Generator,
) -> tuple[Fixes, list[Served]]:
    """The day's fixes in the order they arrive, and the truth, cut where the data begins and ends."""
    first_s, last_s = _awake(profile, happened, day_ms, rng)
    t = _times(phone, first_s, last_s, rng)
    segment = np.clip(np.searchsorted(happened.t_s, t, side="right") - 1, 0, len(happened.t_s) - 2)
    x, y = (np.interp(t, happened.t_s, happened.xy[:, k]) for k in (0, 1))
    step_s = np.maximum(np.diff(happened.t_s), 1e-3)
    pace = np.hypot(*np.diff(happened.xy, axis=0).T) / step_s
    speed, inside = pace[segment], happened.inside[segment]
    kept = _heard(phone, t, speed, rng) & ~_lost(profile, phone, happened, t, day_ms, rng)
    kept[[0, -1]] = True
    t, xy, speed, inside = t[kept], np.column_stack([x, y])[kept], speed[kept], inside[kept]
    error, scale = _noise(phone, t, inside, rng)
    lat, lon = district.degrees(xy + error)
    accuracy = np.maximum(1.0, phone.modest * scale * rng.lognormal(0, 0.25, len(t)))
    told_speed = np.maximum(0.0, np.where(speed < 0.2, 0.0, speed) + rng.normal(0, 0.25, len(t)))
    arrives = _delivered(phone, t, rng)
    fixes = Fixes((day_ms + np.round(t * 1000)).astype(np.int64), lat, lon, accuracy, told_speed, arrives)
    fixes = _spoilt(phone, fixes, rng)
    if not phone.says_accuracy:
        fixes = replace(fixes, accuracy_m=np.full_like(fixes.accuracy_m, np.nan))
    if not phone.says_speed:
        fixes = replace(fixes, speed_mps=np.full_like(fixes.speed_mps, np.nan))
    ordered = fixes.take(np.lexsort((fixes.ts_ms, fixes.arrives_s)))
    return ordered, _cut(happened.truth, day_ms / 1000 + float(t[0]), day_ms / 1000 + float(t[-1]))


def _range(profile: Profile, name: str) -> Range:
    return getattr(profile, name)  # type: ignore[no-any-return]


def _awake(
    profile: Profile, happened: Happened, day_ms: int, rng: np.random.Generator
) -> tuple[float, float]:
    """From when to when the phone reports: switched on late on some days, dead early on others."""
    first_s, last_s = float(happened.t_s[0]), float(happened.t_s[-1])
    share = float(rng.uniform(*profile.dies_share))
    visits = [r for r in happened.truth if r.departed_s - r.arrived_s > 60]
    if visits and rng.random() < share:
        row = visits[-1 - int(rng.integers(min(len(visits), 6)))]
        last_s = float(rng.uniform(row.arrived_s + 20, row.departed_s + 600)) - day_ms / 1000
    if visits and rng.random() < share / 2:
        first_s = float(rng.uniform(visits[0].arrived_s - 60, visits[0].departed_s)) - day_ms / 1000
    first_s, last_s = max(first_s, float(happened.t_s[0])), min(last_s, float(happened.t_s[-1]))
    return (first_s, last_s) if last_s - first_s > 60 else (float(happened.t_s[0]), float(happened.t_s[-1]))


def _times(phone: Phone, first_s: float, last_s: float, rng: np.random.Generator) -> Metres:
    count = int((last_s - first_s) / phone.spacing_s * 1.3) + 8
    gaps = phone.spacing_s * np.maximum(0.2, rng.normal(1, phone.loose, count))
    t = first_s + float(rng.uniform(0, 1)) + np.cumsum(gaps) - gaps[0]
    return np.asarray(t[t <= last_s] if t[1] <= last_s else t[:2])


def _heard(phone: Phone, t: Metres, speed: Metres, rng: np.random.Generator) -> Flags:
    """Which fixes are sent: some phones fall silent or slow down while they lie still."""
    moving = speed > 0.3
    last = np.maximum.accumulate(np.where(moving, np.arange(len(t)), 0))
    still_s = t - t[last]
    if phone.silent:
        beat = float(rng.uniform(90, 400))
        return np.asarray(moving | (still_s < 15) | (np.diff(t // beat, prepend=-1) > 0))
    if phone.slow_when_still > 1:
        slow = phone.spacing_s * phone.slow_when_still
        return np.asarray(moving | (still_s < 30) | (np.diff(t // slow, prepend=-1) > 0))
    return np.ones(len(t), dtype=np.bool_)


def _lost(
    profile: Profile, phone: Phone, happened: Happened, t: Metres, day_ms: int, rng: np.random.Generator
) -> Flags:
    """Fixes never made: at any time, or just across an arrival, a departure or within a stop."""
    starts = rng.uniform(t[0], t[-1], int(rng.poisson(phone.gps_losses_per_day))).tolist()
    spans = [(s, s + float(rng.uniform(*profile.loss_s))) for s in starts]
    for row in happened.truth:
        if rng.random() < phone.stop_loss_share:
            begin, end = row.arrived_s - day_ms / 1000, row.departed_s - day_ms / 1000
            length = float(rng.uniform(*profile.loss_s))
            centre = (begin, end, (begin + end) / 2)[int(rng.integers(3))]
            start = centre - length * float(rng.uniform(0.2, 0.8))
            spans.append((start, start + length))
    return _within(t, spans)


def _within(t: Metres, spans: list[tuple[float, float]]) -> Flags:
    found = np.zeros(len(t), dtype=np.bool_)
    for begin, end in spans:
        found[np.searchsorted(t, begin) : np.searchsorted(t, end)] = True
    return found


def _noise(phone: Phone, t: Metres, inside: Flags, rng: np.random.Generator) -> tuple[Metres, Metres]:
    """Errors east and north (n, 2) in metres, and their scale: slow drift (AR(1) at 1 s) and multipath."""
    second = (t - t[0]).astype(np.int64)
    n = int(second[-1]) + 1
    keep = np.exp(-1 / phone.drift_s)
    white = rng.normal(0, np.sqrt(1 - keep**2), (n, 2))
    white[0] = rng.normal(0, 1, 2)
    drift = lfilter([1.0], [1.0, -keep], white, axis=0)[second]
    scale = phone.noise_m * np.where(inside, phone.indoor_factor, 1.0)
    jitter = phone.jitter * rng.normal(0, 1, (len(t), 2))
    bursts = np.zeros((n, 2))
    reflected = np.zeros(n)
    count = int(rng.poisson(n * phone.multipath_share / 40))
    for begin, length in zip(
        rng.integers(0, n, count).tolist(), rng.exponential(40, count).tolist(), strict=True
    ):
        span = slice(begin, begin + int(length) + 1)
        bursts[span] += rng.normal(0, phone.multipath_m / np.sqrt(2), 2)
        reflected[span] = phone.multipath_m
    error = (drift + jitter) * scale[:, None] + bursts[second]
    return error, np.hypot(scale, 0.6 * reflected[second])


def _delivered(phone: Phone, t: Metres, rng: np.random.Generator) -> Metres:
    """When each fix arrives: soon, up to 30 s out of order, or in a burst when the network is back."""
    arrives = t + 0.2 + rng.exponential(0.4, len(t))
    arrives = np.maximum.accumulate(arrives)
    odd = rng.random(len(t)) < phone.disorder_share
    arrives[odd] += rng.uniform(1, 28, int(odd.sum()))
    for _ in range(int(rng.poisson(phone.network_losses_per_day))):
        begin = float(rng.uniform(t[0], t[-1]))
        end = begin + float(np.exp(rng.uniform(np.log(30), np.log(1800))))
        held = (t >= begin) & (t < end)
        arrives[held] = np.maximum(arrives[held], end + np.arange(int(held.sum())) * 0.01)
    return arrives


def _spoilt(phone: Phone, fixes: Fixes, rng: np.random.Generator) -> Fixes:
    """Nonsense put in: jumps, stale positions, (0, 0), wrong clocks, duplicates."""
    spoilt = Fixes(*(getattr(fixes, f.name).copy() for f in fields(Fixes)))
    n = len(spoilt.ts_ms)
    for at in np.flatnonzero(rng.random(n) < phone.teleport_share).tolist():
        _teleport(spoilt, slice(at, at + int(rng.choice([1, 1, 1, 2, 4]))), rng)
    for at in rng.integers(0, n, int(rng.poisson(phone.stale_per_day))).tolist():
        until_ms = spoilt.ts_ms[at] + int(1000 * rng.uniform(10, 60))
        span = slice(at, int(np.searchsorted(spoilt.ts_ms, until_ms)))
        spoilt.lat[span], spoilt.lon[span] = spoilt.lat[at], spoilt.lon[at]
    island = rng.random(n) < phone.null_island_share
    spoilt.lat[island] = spoilt.lon[island] = 0.0
    for at in rng.integers(0, n, int(rng.poisson(phone.clock_jumps_per_day))).tolist():
        off_ms = np.exp(rng.uniform(np.log(300_000), np.log(86_400_000)))
        spoilt.ts_ms[at : at + int(rng.integers(1, 6))] += int(rng.choice([-1, 1]) * off_ms)
    copies = _copies(spoilt, np.flatnonzero(rng.random(n) < phone.duplicate_share), rng)
    return Fixes(*(np.concatenate([getattr(spoilt, f.name), getattr(copies, f.name)]) for f in fields(Fixes)))


def _teleport(fixes: Fixes, span: slice, rng: np.random.Generator) -> None:
    """Some fixes far off at one place, of which the phone is not always aware."""
    angle, far_m = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(120), np.log(20_000)))
    lat, lon = fixes.lat[span.start], fixes.lon[span.start]
    fixes.lat[span] = lat + far_m * np.sin(angle) / METRES_PER_DEGREE
    fixes.lon[span] = lon + far_m * np.cos(angle) / METRES_PER_DEGREE / np.cos(np.radians(lat))
    if rng.random() < 0.4:
        fixes.accuracy_m[span] = rng.uniform(100, 2500)


def _copies(fixes: Fixes, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Fixes:
    """Those fixes once more, up to 20 s later; some differ a little at the same time."""
    copies = fixes.take(rows)
    moved = (rng.random(len(rows)) < 0.3) * 5.0 / METRES_PER_DEGREE
    return replace(
        copies,
        arrives_s=copies.arrives_s + rng.uniform(0, 20, len(rows)),
        lat=copies.lat + moved * rng.normal(0, 1, len(rows)),
        lon=copies.lon + moved * rng.normal(0, 1, len(rows)),
    )


def _cut(truth: list[Served], first_s: float, last_s: float) -> list[Served]:
    """The services that the data can show; those that reach beyond its first or last fix are edges."""
    seen = [r for r in truth if r.departed_s > first_s and r.arrived_s < last_s]
    return [replace(r, edge=r.arrived_s < first_s or r.departed_s > last_s) for r in seen]
