"""Where a run of standing rows ends, and where it falls apart because the van was moved."""

from math import sqrt

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean
from geofence.motion import DRIVE, HIDDEN_MOVE, STAND
from geofence.rows import mean_place, step_m

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

RETURN_S = 45.0  # an excursion so brief ...
RETURN_M = 8.0  # ... that ends so near its beginning (beside noise) is none
HOP_MPS = 2.0  # a van's short move is faster than a walk ...
HOP_M = 9.0  # ... and leads further than this beside noise
BACK_M = 5.0  # so near where it was the van has come back
FAST_MPS = 4.2  # no walk
CLOSE_S = 90.0  # nothing later than this after a standstill is looked at


@lean()
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


@kernel()
def jitter_m(x: Floats, y: Floats, i: int, j: int) -> float:
    """Noise of a step while standing, one axis: from the calmer steps of the rows i..j themselves."""
    if j - i < 3:
        return 3.0
    steps = np.empty(j - i)
    for k in range(i, j):
        steps[k - i] = step_m(x, y, k, k + 1)
    return max(0.5, np.quantile(steps, 0.4) / 1.01)


@lean()
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


@lean()
def hop_end(t: Floats, x: Floats, y: Floats, jitter: float, k: int, j: int) -> int:
    """Last row of the fast steps that follow one another after row k, at most row j; k when there is none."""
    while k < j and step_m(x, y, k, k + 1) > HOP_MPS * (t[k + 1] - t[k]) + 2.0 * jitter:
        k += 1
    return k


@lean()
def _comes_back(x: Floats, y: Floats, a: int, k: int, end: int, j: int) -> bool:
    """Whether some rows of end..j are where the van stood (rows from a on) or was left (rows up to k).

    Then the driver walked fast, or the van was moved aside and back: one service all the same.
    """
    lx, ly = mean_place(x, y, max(end, j - 2), j)
    for fx, fy in (mean_place(x, y, a, min(k, a + 2)), mean_place(x, y, max(a, k - 2), k)):
        if sqrt((lx - fx) ** 2 + (ly - fy) ** 2) < BACK_M:
            return True
    return False
