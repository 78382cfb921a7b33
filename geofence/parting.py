"""Where a run of standing rows ends, and where it falls apart because the van was moved."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from geofence import rows, unseen
from geofence.compiling import kernel
from geofence.motion import DRIVE, HIDDEN_MOVE, STAND
from geofence.rows import mean_place, step_m
from geofence.unseen import CRUISE_MPS, travel_s

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

RETURN_S = 45.0  # an excursion so brief ...
RETURN_M = 8.0  # ... that ends so near its beginning (beside noise) is none
MOVED_M = 15.0  # the van's places before and after a move that no step shows lie so far apart
MOVED_S = 25.0
HOP_MPS = 2.0  # a van's short move is faster than a walk ...
HOP_M = 9.0  # ... and leads further than this beside noise
BACK_M = 5.0  # so near where it was the van has come back
FAST_MPS = 4.2  # no walk
CLOSE_S = 90.0  # nothing later than this after a standstill is looked at


@kernel(rows, lean=True)
def with_returns(
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
            moving = moving or speed_mps[k] > FAST_MPS
            k += 1
            if states[k - 1] == STAND:
                k -= 1
                break
        if k >= n or moving or states[k] != STAND or t[k] - t[j] > RETURN_S:
            return j
        end = k
        while end + 1 < n and states[end + 1] == STAND and kinds[end + 1] != HIDDEN_MOVE:
            end += 1
        bx, by = mean_place(x, y, max(i, j - 3), j)
        few = k
        while few < min(end, k + 3) and t[few + 1] - t[j] <= CLOSE_S:
            few += 1
        ex, ey = mean_place(x, y, k, few)
        if sqrt((ex - bx) ** 2 + (ey - by) ** 2) > RETURN_M + 1.5 * noise_m[k]:
            return j
        j = end


@kernel(rows)
def jitter_m(x: Floats, y: Floats, i: int, j: int) -> float:
    """Noise of a step while standing, one axis: from the calmer steps of the rows i..j themselves."""
    if j - i < 3:
        return 3.0
    steps = np.empty(j - i)
    for k in range(i, j):
        steps[k - i] = step_m(x, y, k, k + 1)
    return max(0.5, np.quantile(steps, 0.4) / 1.01)


@kernel(rows, lean=True)
def hop_after(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, jitter: float, a: int, j: int
) -> int:
    """Last row before the van hops to another place, within the standing rows a..j; j when it does not."""
    k = a
    while k < j:
        end = hop_end(t, x, y, jitter, k, j)
        if end == k:
            k += 1
            continue
        bx, by = mean_place(x, y, max(a, k - 2), k)
        ex, ey = mean_place(x, y, end, min(j, end + 2))
        fastest = 0.0
        for m in range(k, end + 1):
            fastest = max(fastest, speed_mps[m]) if speed_mps[m] == speed_mps[m] else np.inf
        far = sqrt((ex - bx) ** 2 + (ey - by) ** 2) > HOP_M + max(2.0 * jitter, 3.0 * noise_m[k])
        if fastest > HOP_MPS and far and not _comes_back(x, y, a, k, end, j):
            return k
        k = end
    return j


@kernel(rows, lean=True)
def hop_end(t: Floats, x: Floats, y: Floats, jitter: float, k: int, j: int) -> int:
    """Last row of the fast steps that follow one another after row k, at most row j; k when there is none."""
    while k < j and step_m(x, y, k, k + 1) > HOP_MPS * (t[k + 1] - t[k]) + 2.0 * jitter:
        k += 1
    return k


@kernel(rows, lean=True)
def _comes_back(x: Floats, y: Floats, a: int, k: int, end: int, j: int) -> bool:
    """Whether some rows of end..j are where the van stood (rows from a on) or was left (rows up to k).

    Then the driver walked fast, or the van was moved aside and back: one service all the same.
    """
    lx, ly = mean_place(x, y, max(end, j - 2), j)
    for fx, fy in (mean_place(x, y, a, min(k, a + 2)), mean_place(x, y, max(a, k - 2), k)):
        if sqrt((lx - fx) ** 2 + (ly - fy) ** 2) < BACK_M:
            return True
    return False


@kernel(rows, unseen)
def left_for_good(t: Floats, x: Floats, y: Floats, noise_m: Floats, speed_mps: Floats, a: int, b: int) -> int:
    """Last row before the van was moved unseen within the standing rows a..b; b when it was not.

    A driver begins and ends at the van: when the rows end elsewhere than they began, it was moved in between,
    where the rows fall best into two places, and no reported speed speaks against it.
    """
    if t[b] - t[a] < 2 * MOVED_S:
        return b
    first = a
    while first < b and t[first + 1] - t[a] <= 15.0:
        first += 1
    last = b
    while last > a and t[b] - t[last - 1] <= 15.0:
        last -= 1
    bx, by = mean_place(x, y, a, first)
    ex, ey = mean_place(x, y, last, b)
    noise = min(0.5 * (noise_m[a] + noise_m[b]), 12.0)
    way_m = sqrt((ex - bx) ** 2 + (ey - by) ** 2)
    if way_m <= MOVED_M + 4.0 * noise:
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
        if not _may_have_moved(t, speed_mps, a, a + k - 1, b, way_m):
            continue
        m = n - k
        dx = sums[k, 0] / k - (sums[n, 0] - sums[k, 0]) / m
        dy = sums[k, 1] / k - (sums[n, 1] - sums[k, 1]) / m
        between = (dx * dx + dy * dy) * k * m / n
        if between > best:
            best = between
            at = a + k - 1
    return at


@kernel(unseen, lean=True)
def _may_have_moved(t: Floats, speed_mps: Floats, a: int, k: int, b: int, way_m: float) -> bool:
    """Whether the van may have gone so far about the step from row k to the next, within the rows a..b.

    Speed is measured by Doppler shift: where it is reported, a drive shows, unless it fits between two fixes.
    """
    if t[k + 1] - t[k] >= 2.0 * travel_s(0.5 * way_m, CRUISE_MPS):
        return True
    shown = False
    for m in range(max(k - 2, a), min(k + 4, b + 1)):
        shown = shown or not speed_mps[m] <= HOP_MPS  # none reported either
    return shown
