"""Where and when a vehicle stood: intervals with best estimates and bounds, cut out of a decoded track."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence import edges
from geofence.compiling import sources
from geofence.edges import halt_time
from geofence.motion import DRIVE, HIDDEN_MOVE, HIDDEN_MOVE_MIN_S, HIDDEN_STOP, STAND

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

BRAKE_MPS2 = 1.8  # comfortable braking and pulling away
CRUISE_MPS = 8.0  # when the track tells no speed
ROAD_FACTOR = 1.2  # roads are longer than the straight line
RETURN_S = 45.0  # an excursion so brief ...
RETURN_M = 8.0  # ... that ends so near its beginning (beside noise) is none
MOVED_M = 15.0  # the van's places before and after a move that no step shows lie so far apart
MOVED_S = 25.0
CALM_MPS = 0.9  # slower than a walk
CALM_WITHIN_S = 40.0
WALK_AWAY_M = 8.0  # so far from the van the driver is at the door
SEARCH_MPS = 4.2
SEARCH_REACH_M = 150.0
SEARCH_FIXES = 150  # at most so many are looked at
RUN_COLUMNS = 19
HOP_MPS = 2.0  # a van's short move is faster than a walk ...
HOP_M = 9.0  # ... and leads further than this
BACK_M = 5.0  # so near where it was the van has come back
CRUISE_WITHIN_S = 90.0
CLOSE_S = 90.0  # nothing later than this after a standstill is looked at


@dataclass(frozen=True, slots=True)
class Standstill:
    """One time the vehicle stood; positions are metres east and north in the plane of its track.

    `park` is where the van stands, `door` where the driver spent the time away from it (equal to `park` when
    no walk shows), `noise_m` the noise of the fixes, one axis. `first`, `last` number believed fixes; a stop
    hidden between two of them has first > last.
    """

    first: int
    last: int
    arrived_ms: int
    departed_ms: int
    arrived_between_ms: tuple[int, int]
    departed_between_ms: tuple[int, int]
    search_ms: int
    park: tuple[float, float]
    door: tuple[float, float]
    walked: bool
    pings: int
    max_gap_s: float
    hidden: bool
    open_ended: bool
    noise_m: float


@njit(cache=True)
def travel_s(d: float, speed_mps: float) -> float:
    """Seconds to cover the last d metres to a halt: braking alone when near, cruise before it when far."""
    brake = speed_mps * speed_mps / (2 * BRAKE_MPS2)
    if d <= brake:
        return sqrt(2 * d / BRAKE_MPS2)
    return (d - brake) / speed_mps + speed_mps / BRAKE_MPS2


@njit(cache=True)
def _step(x: Floats, y: Floats, a: int, b: int) -> float:
    return sqrt((x[a] - x[b]) ** 2 + (y[a] - y[b]) ** 2)


@njit(cache=True)
def _cruise(t: Floats, x: Floats, y: Floats, states: Bytes, at: int, direction: int) -> float:
    """Speed of the few driving steps next to row `at`, towards `direction` (-1 before, 1 after)."""
    length = 0.0
    time = 0.0
    k = at
    for _ in range(8):
        m = k + direction
        if (
            m < 0
            or m >= len(t)
            or states[m] != DRIVE
            or states[k] != DRIVE
            or abs(t[m] - t[at]) > CRUISE_WITHIN_S
        ):
            break
        d = _step(x, y, k, m)
        dt = abs(t[m] - t[k])
        if d > 2.0 * dt:
            length += d
            time += dt
        k = m
    if time < 4.0:
        return CRUISE_MPS
    return min(max(length / time, 4.0), 30.0)


@njit(cache=True)
def progress(t: Floats, states: Bytes, kinds: Bytes, begin: int, final: int) -> Any:
    """Whether a standstill from row `begin` on may have closed, and from which row on to look for the next.

    A standstill lasts at least as long as its first standing rows follow one another; it is closed when
    `CLOSE_S` after it are final. Final rows that only drive need not be looked at again.
    """
    i = begin
    while i < final and states[i] == DRIVE and kinds[i] != HIDDEN_STOP:
        i += 1
    after = i + 1
    if i < final and states[i] == STAND:
        while after < final and states[after] == STAND and kinds[after] != HIDDEN_MOVE:
            after += 1
    return after < final and t[final - 1] >= t[after] + CLOSE_S, max(i, begin)


@njit(cache=True)
def _with_returns(
    t: Floats,
    x: Floats,
    y: Floats,
    noise_m: Floats,
    speed_mps: Floats,
    states: Bytes,
    kinds: Bytes,
    i: int,
    j: int,
) -> int:
    """Last row of the standing i..j with all that follows brief excursions back to the same place: noise."""
    n = len(t)
    while True:
        k = j + 1
        moving = False
        while k < n and t[k] - t[j] <= RETURN_S and (states[k] == DRIVE or kinds[k] == HIDDEN_MOVE):
            moving = moving or speed_mps[k] > SEARCH_MPS
            k += 1
            if states[k - 1] == STAND:
                k -= 1
                break
        if k >= n or moving or states[k] != STAND or t[k] - t[j] > RETURN_S:
            return j
        end = k
        while end + 1 < n and states[end + 1] == STAND and kinds[end + 1] != HIDDEN_MOVE:
            end += 1
        bx, by = _mean(x, y, max(i, j - 3), j)
        few = k
        while few < min(end, k + 3) and t[few + 1] - t[j] <= CLOSE_S:
            few += 1
        ex, ey = _mean(x, y, k, few)
        if sqrt((ex - bx) ** 2 + (ey - by) ** 2) > RETURN_M + 1.5 * noise_m[k]:
            return j
        j = end


@njit(cache=True)
def _jitter(x: Floats, y: Floats, i: int, j: int) -> float:
    """Noise of a step while standing, one axis: from the calmer steps of the rows i..j themselves."""
    if j - i < 3:
        return 3.0
    steps = np.empty(j - i)
    for k in range(i, j):
        steps[k - i] = _step(x, y, k, k + 1)
    return max(0.5, np.quantile(steps, 0.4) / 1.01)


@njit(cache=True)
def _hop_after(t: Floats, x: Floats, y: Floats, speed_mps: Floats, jitter: float, a: int, j: int) -> int:
    """Last row before the van hops to another place, within the standing rows a..j; j when it does not."""
    k = a
    while k < j:
        if _step(x, y, k, k + 1) <= HOP_MPS * (t[k + 1] - t[k]) + 2.0 * jitter:
            k += 1
            continue
        end = k + 1
        while end < j and _step(x, y, end, end + 1) > HOP_MPS * (t[end + 1] - t[end]) + 2.0 * jitter:
            end += 1
        bx, by = _mean(x, y, max(a, k - 2), k)
        ex, ey = _mean(x, y, end, min(j, end + 2))
        fastest = 0.0
        for m in range(k, end + 1):
            fastest = max(fastest, speed_mps[m]) if speed_mps[m] == speed_mps[m] else np.inf
        far = sqrt((ex - bx) ** 2 + (ey - by) ** 2) > HOP_M + 2.0 * jitter
        if fastest > HOP_MPS and far and not _comes_back(x, y, a, k, end, j):
            return k
        k = end
    return j


@njit(cache=True)
def _comes_back(x: Floats, y: Floats, a: int, k: int, end: int, j: int) -> bool:
    """Whether some rows of end..j are where the van stood (rows from a on) or was left (rows up to k).

    Then the driver walked fast, or the van was moved aside and back: one service all the same.
    """
    lx, ly = _mean(x, y, max(end, j - 2), j)
    for fx, fy in (_mean(x, y, a, min(k, a + 2)), _mean(x, y, max(a, k - 2), k)):
        if sqrt((lx - fx) ** 2 + (ly - fy) ** 2) < BACK_M:
            return True
    return False


@njit(cache=True)
def _left_for_good(t: Floats, x: Floats, y: Floats, noise_m: Floats, a: int, b: int) -> int:
    """Last row before the van was moved unseen within the standing rows a..b; b when it was not.

    A driver begins and ends at the van: when the rows end elsewhere than they began, it was moved in between,
    where the rows fall best into two places.
    """
    if t[b] - t[a] < 2 * MOVED_S:
        return b
    first = a
    while first < b and t[first + 1] - t[a] <= 15.0:
        first += 1
    last = b
    while last > a and t[b] - t[last - 1] <= 15.0:
        last -= 1
    bx, by = _mean(x, y, a, first)
    ex, ey = _mean(x, y, last, b)
    noise = min(0.5 * (noise_m[a] + noise_m[b]), 12.0)
    if sqrt((ex - bx) ** 2 + (ey - by) ** 2) <= MOVED_M + 3.0 * noise:
        return b
    n = b + 1 - a
    sums = np.zeros((n + 1, 3))
    for k in range(n):
        sums[k + 1, 0] = sums[k, 0] + x[a + k]
        sums[k + 1, 1] = sums[k, 1] + y[a + k]
        sums[k + 1, 2] = sums[k, 2] + 1.0
    best = -1.0
    at = b
    for k in range(1, n):
        if t[a + k - 1] - t[a] < MOVED_S or t[b] - t[a + k] < MOVED_S:
            continue
        m = n - k
        dx = sums[k, 0] / k - (sums[n, 0] - sums[k, 0]) / m
        dy = sums[k, 1] / k - (sums[n, 1] - sums[k, 1]) / m
        between = (dx * dx + dy * dy) * k * m / n
        if between > best:
            best = between
            at = a + k - 1
    return at


@njit(cache=True)
def _mean(x: Floats, y: Floats, a: int, b: int) -> Any:
    return np.mean(x[a : b + 1]), np.mean(y[a : b + 1])


@njit(cache=True)
def _hidden_stop(t: Floats, x: Floats, y: Floats, states: Bytes, i: int, row: Floats) -> None:
    """A stop between two fixes that both drive: what the way between them does not explain is standing."""
    d = _step(x, y, i - 1, i)
    before = _cruise(t, x, y, states, i - 1, -1)
    after = _cruise(t, x, y, states, i, 1)
    half = 0.5 * d * ROAD_FACTOR
    arrive = min(t[i - 1] + travel_s(half, before), 0.5 * (t[i - 1] + t[i]))
    depart = max(t[i] - travel_s(half, after), arrive)
    row[0], row[1] = i, i - 1
    row[2], row[3] = arrive, depart
    row[4], row[5], row[6], row[7] = t[i - 1], t[i], t[i - 1], t[i]
    row[8] = 0.0
    row[9], row[10] = 0.5 * (x[i] + x[i - 1]), 0.5 * (y[i] + y[i - 1])
    row[11], row[12] = row[9], row[10]
    row[13] = 0.0
    row[14] = t[i] - t[i - 1]
    row[15] = 1.0
    row[16], row[17], row[18] = i + 1, t[i], 10.0


@njit(cache=True)
def _calm_row(t: Floats, x: Floats, y: Floats, jitter: float, begin: int, end: int) -> int:
    """First row from `begin` towards `end` where a calm step begins: the van has come to rest.

    A driver gets out only after that, so what is faster at the very start (or, going back, at the very end)
    is still the van. `begin` itself when no step is calm for long.
    """
    direction = 1 if end >= begin else -1
    k = begin
    while k != end and abs(t[k] - t[begin]) <= CALM_WITHIN_S:
        dt = abs(t[k + direction] - t[k])
        if _step(x, y, k, k + direction) <= CALM_MPS * dt + 1.5 * jitter:
            return k
        k += direction
    return begin


def _made_describe(of: int) -> Any:
    """The kernel; its stored code depends on the sources of what it calls."""

    @njit(cache=True)
    def _describe(
        t: Floats,
        x: Floats,
        y: Floats,
        noise_m: Floats,
        speed_mps: Floats,
        states: Bytes,
        before: int,
        i: int,
        j: int,
        after: int,
        jitter: float,
        row: Floats,
    ) -> None:
        """Times, places and evidence of the standing rows i..j."""
        _ = of
        n = len(t)
        a = _calm_row(t, x, y, jitter, i, j)
        b = _calm_row(t, x, y, jitter, j, a)
        middle = a
        while middle < b and t[middle] < 0.5 * (t[a] + t[b]):
            middle += 1
        known = t[b] - t[a] > 40.0
        arrive, lo, since = t[a], t[a], t[a]
        if a > 0 and before == a - 1 and states[before] == STAND and _hides_move(t, x, y, before, a):
            arrive, lo = _moved_by(t, x, y, before, a), t[before]
        elif a > 0:
            begin = max(before, 0)
            ox, oy = _mean_until(t, x, y, b, a)
            cruise = _cruise(t, x, y, states, max(i - 1, 0), -1)
            arrive, lo, since = halt_time(
                t, x, y, noise_m, speed_mps, a, begin, max(middle, a), jitter, cruise, ox, oy, known
            )
        depart, hi, until = t[b], t[b], t[b]
        if b < n - 1 and after == b + 1 and states[after] == STAND and _hides_move(t, x, y, b, after):
            depart, hi = t[b] + t[after] - _moved_by(t, x, y, b, after), t[after]
        elif b < n - 1:
            end = min(after, n - 1)
            ox, oy = _mean_until(t, x, y, a, b)
            cruise = _cruise(t, x, y, states, min(j + 1, n - 1), 1)
            depart, until, hi = halt_time(
                t, x, y, noise_m, speed_mps, b, end, min(max(middle - 1, a), b), jitter, cruise, ox, oy, known
            )
            if depart < arrive:
                depart = arrive
        while a < b and t[a] < arrive:
            a += 1
        while b > a and t[b] > depart:
            b -= 1
        px, py = _park(t, x, y, a, b)
        row[0], row[1] = a, b
        row[2], row[3], row[4], row[5], row[6], row[7] = arrive, depart, lo, since, until, hi
        row[8] = _search(t, x, y, a, px, py)
        row[9], row[10] = px, py
        row[11], row[12], row[13], row[18] = _door(t, x, y, noise_m, jitter, a, b, px, py)
        row[14] = _max_gap(t, t[max(a - 1, 0)], t[min(b + 1, n - 1)], a, b)
        row[15] = 2.0 if b == n - 1 else 0.0

    return _describe


_describe: Final = _made_describe(sources(edges))


@njit(cache=True)
def _door(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, jitter: float, a: int, b: int, px: float, py: float
) -> Any:
    """Where the driver was when away from the van (weighted by time), whether at all, and the noise seen."""
    sx = sy = weight = rough = 0.0
    for k in range(a, b + 1):
        away = sqrt((x[k] - px) ** 2 + (y[k] - py) ** 2)
        rough += noise_m[k] / (b + 1 - a)
        if away > WALK_AWAY_M + 1.5 * max(noise_m[k], jitter):
            w = 0.5 * (t[min(k + 1, b)] - t[max(k - 1, a)])
            w = min(max(w, 0.1), 60.0)
            sx, sy, weight = sx + w * x[k], sy + w * y[k], weight + w
    noise = max(rough, min(jitter, 25.0))
    if weight < 8.0:
        return np.mean(x[a : b + 1]), np.mean(y[a : b + 1]), 0.0, noise
    mx, my = sx / weight, sy / weight
    return mx, my, 1.0, noise


@njit(cache=True)
def _max_gap(t: Floats, lo: float, hi: float, a: int, b: int) -> float:
    gap = max(t[a] - lo, hi - t[b])
    for k in range(a, b):
        gap = max(gap, t[k + 1] - t[k])
    return gap


@njit(cache=True)
def _park(t: Floats, x: Floats, y: Floats, a: int, b: int) -> Any:
    """Where the van stands: the mean of the first and the last fixes, when the driver is at it."""
    sx = sy = 0.0
    count = 0
    for k in range(a, b + 1):
        if t[k] - t[a] <= 15.0 or t[b] - t[k] <= 15.0:
            sx += x[k]
            sy += y[k]
            count += 1
    return sx / count, sy / count


@njit(cache=True)
def _hides_move(t: Floats, x: Floats, y: Floats, a: int, b: int) -> bool:
    """Whether the rows a and b, a step apart, leave open when the move between them was."""
    return t[b] - t[a] > HIDDEN_MOVE_MIN_S and 2.0 * _moved_by(t, x, y, a, b) - t[a] - t[b] < 0.5 * (
        t[b] - t[a]
    )


@njit(cache=True)
def _moved_by(t: Floats, x: Floats, y: Floats, a: int, b: int) -> float:
    """When a move hidden between the rows a and b, a step apart, ended, if it was in the middle."""
    d = _step(x, y, a, b) * ROAD_FACTOR
    took = 2.0 * travel_s(0.5 * d, CRUISE_MPS)
    return 0.5 * (t[a] + t[b] + min(took, t[b] - t[a]))


@njit(cache=True)
def _mean_until(t: Floats, x: Floats, y: Floats, at: int, towards: int) -> Any:
    """Mean place of the rows within 15 s of row `at`, looking towards another row."""
    direction = 1 if towards >= at else -1
    k = at
    sx, sy, count = x[k], y[k], 1.0
    while k != towards and abs(t[k + direction] - t[at]) <= 15.0:
        k += direction
        sx, sy, count = sx + x[k], sy + y[k], count + 1.0
    return sx / count, sy / count


@njit(cache=True)
def _search(t: Floats, x: Floats, y: Floats, a: int, px: float, py: float) -> float:
    """Seconds of slow driving near the place just before standing."""
    k = a
    while k > 0 and a - k < SEARCH_FIXES:
        dt = t[k] - t[k - 1]
        near = sqrt((x[k - 1] - px) ** 2 + (y[k - 1] - py) ** 2) < SEARCH_REACH_M
        if dt > 20.0 or not near or _step(x, y, k, k - 1) > SEARCH_MPS * dt:
            break
        k -= 1
    return t[a] - t[k]


def _made_find_runs(of: int) -> Any:
    """The kernel; its stored code depends on the sources of what it calls."""

    @njit(cache=True)
    def find_runs(
        t: Floats,
        x: Floats,
        y: Floats,
        noise_m: Floats,
        speed_mps: Floats,
        states: Bytes,
        kinds: Bytes,
        begin: int,
    ) -> Any:
        """Rows of numbers, one a standstill that begins at or after row `begin` (see `to_standstill`)."""
        _ = of
        n = len(t)
        most = 0
        for i in range(begin, n):
            most += states[i] == STAND or kinds[i] == HIDDEN_STOP
        out = np.empty((most, RUN_COLUMNS), np.float64)
        count = 0
        i = begin
        while i < n:
            if states[i] == DRIVE:
                if i > 0 and kinds[i] == HIDDEN_STOP and states[i - 1] == DRIVE:
                    _hidden_stop(t, x, y, states, i, out[count])
                    count += 1
                i += 1
                continue
            j = i
            while j + 1 < n and states[j + 1] == STAND and kinds[j + 1] != HIDDEN_MOVE:
                j += 1
            j = _with_returns(t, x, y, noise_m, speed_mps, states, kinds, i, j)
            jitter = _jitter(x, y, i, j)
            a = i
            while a <= j:
                b = _hop_after(t, x, y, speed_mps, jitter, a, j)
                while True:
                    k = _left_for_good(t, x, y, noise_m, a, b)
                    if k == b:
                        break
                    b = k
                begin = i - 1 if a == i else a - 1
                while a == i and begin > 0 and states[begin] == DRIVE:
                    begin -= 1
                end = b + 1
                while b == j and end < n - 1 and states[end] == DRIVE:
                    end += 1
                _describe(t, x, y, noise_m, speed_mps, states, begin, a, b, end, jitter, out[count])
                out[count, 16], out[count, 17] = j + 1, t[j]
                count += 1
                a = b + 1
            i = j + 1
        return out[:count]

    return find_runs


find_runs: Final = _made_find_runs(sources(edges))


def to_standstill(run: Floats, origin_ms: int) -> Standstill:
    """The numbers of one run as a Standstill; seconds since the origin become milliseconds since 1970."""
    v = run.tolist()
    ms = [origin_ms + round(1000 * s) for s in v[2:8]]
    first, last = int(v[0]), int(v[1])
    return Standstill(
        first=first,
        last=last,
        arrived_ms=ms[0],
        departed_ms=ms[1],
        arrived_between_ms=(ms[2], ms[3]),
        departed_between_ms=(ms[4], ms[5]),
        search_ms=round(1000 * v[8]),
        park=(v[9], v[10]),
        door=(v[11], v[12]),
        walked=v[13] > 0,
        pings=max(0, last - first + 1),
        max_gap_s=v[14],
        hidden=v[15] == 1.0,
        open_ended=v[15] == 2.0,
        noise_m=v[18],
    )
