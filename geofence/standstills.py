"""Where and when a vehicle stood: intervals with best estimates and bounds, cut out of a decoded track."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence import runs
from geofence.compiling import kernel, lean
from geofence.decoding import KIND, NOISE_M, SPEED_MPS, STATE, T, X, Y
from geofence.describing import describe
from geofence.motion import DRIVE, HIDDEN_MOVE, HIDDEN_STOP, STAND
from geofence.moving import first_move
from geofence.parting import CLOSE_S, hop_after, hop_end, jitter_m, with_returns
from geofence.searching import beyond, standing_part
from geofence.unseen import hidden_stop

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

ALL = 1 << 40
CONTEXT = 160  # believed fixes before a standstill that its description may look at


class Standstill(NamedTuple):
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
    parted: bool  # from the standstill before, which goes on into this one but for a change of place


@lean()
def _certain(t: Floats, after: int, final: int) -> bool:
    """Whether nothing can change any more what ended before row `after`."""
    return final > len(t) or (after < final and t[final - 1] >= t[after] + CLOSE_S)


@lean()
def progress(t: Floats, states: Bytes, kinds: Bytes, begin: int, final: int) -> Any:
    """Whether a standstill from row `begin` on may have closed, and from which row on to look for the next.

    A standstill lasts at least as long as its first standing rows follow one another; it is closed when
    `CLOSE_S` after it are final. Final rows that only drive need not be looked at again.
    """
    i = _driven_on(states, kinds, begin, final)
    after = i + 1
    if i < final and states[i] == STAND:
        while after < final and states[after] == STAND and kinds[after] != HIDDEN_MOVE:
            after += 1
    return _certain(t, after, final), i


@lean()
def _driven_on(states: Bytes, kinds: Bytes, begin: int, final: int) -> int:
    """The first row from `begin` on, of those that are final, that does not only drive."""
    i = begin
    while i < min(final, len(states)) and states[i] == DRIVE and kinds[i] != HIDDEN_STOP:
        i += 1
    return i


@kernel()
def _runs(
    t: Floats,
    x: Floats,
    y: Floats,
    noise_m: Floats,
    speed_mps: Floats,
    states: Bytes,
    kinds: Bytes,
    begin: int,
    final: int,
) -> Any:
    """Rows of numbers, one a standstill, and the row from which on to look for more."""
    n = len(t)
    most = 0
    for i in range(begin, n):
        most += states[i] == STAND or kinds[i] == HIDDEN_STOP
    out = np.empty((most, runs.COLUMNS), np.float64)
    count = 0
    i = ahead = begin
    while i < n:
        if states[i] == DRIVE:
            if i > 0 and kinds[i] == HIDDEN_STOP and states[i - 1] == DRIVE:
                if not _certain(t, i + 1, final):
                    break
                hidden_stop(t, x, y, states, i, out[count])
                count, ahead = count + 1, i + 1
            i += 1
            continue
        j = i
        while j + 1 < n and states[j + 1] == STAND and kinds[j + 1] != HIDDEN_MOVE:
            j += 1
        j = with_returns(t, x, y, noise_m, speed_mps, states, kinds, i, j)
        if not _certain(t, j + 1, final):
            break
        count += _describe_places(t, x, y, noise_m, speed_mps, states, kinds, i, j, out[count:])
        i = ahead = j + 1
    return out[:count], ahead


@kernel()
def _describe_places(
    t: Floats,
    x: Floats,
    y: Floats,
    noise_m: Floats,
    speed_mps: Floats,
    states: Bytes,
    kinds: Bytes,
    i: int,
    j: int,
    out: Floats,
) -> int:
    """Write a row for each place where the van stood within the standing rows i..j; returns how many."""
    states = states.copy()  # what drives slowly is noted in it
    since, until = i, j
    i, j = standing_part(t, x, y, noise_m, speed_mps, states, i, j)
    jitter = jitter_m(x, y, i, j)
    count = 0
    a, left = i, i
    while a <= j:
        b = hop_after(t, x, y, noise_m, speed_mps, jitter, a, j)
        b = first_move(t, x, y, noise_m, speed_mps, a, b)
        stands = max(b + 1, hop_end(t, x, y, jitter, b, j))
        first, last = standing_part(t, x, y, noise_m, speed_mps, states, a, b)
        if first <= last:
            before, slow = left, a
            if a == i:
                before, slow = _driven_since(states, kinds, since - 1), since
            if first > slow:
                before = beyond(t, first, slow)
            after, slow = stands, b
            if b == j:
                after, slow = _driven_until(states, kinds, until + 1), until
            if last < slow:
                after = beyond(t, last, slow)
            describe(t, x, y, noise_m, speed_mps, states, before, first, last, after, jitter, out[count])
            out[count, runs.PARTED] = count > 0
            count += 1
        a, left = stands, b
    return count


@lean()
def _driven_since(states: Bytes, kinds: Bytes, row: int) -> int:
    """The last row up to that one that stands, or before which the vehicle stood unseen; or the first."""
    while row > 0 and states[row] == DRIVE and kinds[row] != HIDDEN_STOP:
        row -= 1
    return row


@lean()
def _driven_until(states: Bytes, kinds: Bytes, row: int) -> int:
    """The first row from that one on that stands, or after which it stood unseen; or the last."""
    while row < len(states) - 1 and states[row] == DRIVE:
        if states[row + 1] == DRIVE and kinds[row + 1] == HIDDEN_STOP:
            break
        row += 1
    return row


@kernel()
def find_runs(
    floats: Floats, small: Bytes, count: int, begin: int, final: int, all_of_them: bool = False
) -> Any:
    """Rows of numbers, one a standstill that begins at or after fix number `begin` (see `to_standstill`).

    And the fix from which on to look for the next: see `progress`.

    Of the decoded fixes (see `decoding`) those up to `count` are looked at. The first standstill that may
    change when more follow than the `final` fixes ends the search, unless `all_of_them` are wanted.
    """
    since = max(begin - CONTEXT, 0)
    t, x, y = floats[T, since:count], floats[X, since:count], floats[Y, since:count]
    noise_m, speed_mps = floats[NOISE_M, since:count], floats[SPEED_MPS, since:count]
    states, kinds = small[STATE, since:count], small[KIND, since:count]
    certain = ALL if all_of_them else final - since
    out, ahead = _runs(t, x, y, noise_m, speed_mps, states, kinds, begin - since, certain)
    for k in range(len(out)):
        out[k, runs.FIRST] += since
        out[k, runs.LAST] += since
    return out, _driven_on(states, kinds, ahead, final - since) + since


def to_standstill(run: Floats, origin_ms: int) -> Standstill:
    """The row of `runs` as a Standstill; seconds since the origin become milliseconds since 1970."""
    first, last, *s, search_s, x, y, door_x, door_y, walked, max_gap_s, noise_m, how, parted = run.tolist()
    times = [origin_ms + round(1000 * seconds) for seconds in s]
    return Standstill(
        first=int(first),
        last=int(last),
        arrived_ms=times[0],
        departed_ms=times[1],
        arrived_between_ms=(times[2], times[3]),
        departed_between_ms=(times[4], times[5]),
        search_ms=round(1000 * search_s),
        park=(x, y),
        door=(door_x, door_y),
        walked=walked > 0,
        pings=max(0, int(last - first) + 1),
        max_gap_s=max_gap_s,
        hidden=how == runs.HIDDEN,
        open_ended=how == runs.OPEN_ENDED,
        noise_m=noise_m,
        parted=parted > 0,
    )
