"""Whose door the driver walked to while the van stood: how well customers explain the fixes, in what order.

Every fix is taken at the van or at the door of the customer being served. One standing may serve several, one
after the other; the best moments of change are found by dynamic programming over the fixes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]

AT_VAN: Final = 0.4  # share of the time that a driver is at the van
VAN_SD_M: Final = 6.0
DOOR_SD_M: Final = 13.0  # a place of work about the geocoded door
ELSEWHERE_SD_M: Final = 35.0  # a driver who serves nobody may be anywhere near
NOWHERE: Final = 1e-6  # density of a fix that nothing explains
CORRELATED_S: Final = 25.0  # fixes closer than this tell the same
MOST_WEIGHT: Final = 2.0  # independent looks at one door at most: its geocode is wrong once for all
LENGTH_LOG_SD: Final = 0.7  # how the lengths of services served together vary
SHORTEST_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Split:
    """How a standing is shared: log likelihood ratio against serving nobody, and the shares of its time."""

    score: float
    shares: tuple[float, ...]


@dataclass(slots=True)
class Walk:
    """The fixes of one standing (`t` in seconds, `x`, `y` in metres), the van's place and the noise."""

    t: Floats
    x: Floats
    y: Floats
    park: tuple[float, float]
    noise_m: float
    begin_s: float
    end_s: float
    _gains: dict[tuple[float, float, float], Floats] = field(default_factory=dict)
    _splits: dict[tuple[Any, ...], Split] = field(default_factory=dict)

    def split(self, doors: Sequence[tuple[float, float, float]], needs: Sequence[float]) -> Split:
        """The best way to serve these doors (x, y, spread in metres) in this order.

        `needs` are the relative lengths that the services are expected to take.
        """
        if len(self.t) == 0:
            return Split(0.0, tuple(n / sum(needs) for n in needs))
        key = (*doors, *needs)
        found = self._splits.get(key)
        if found is None:
            gains = np.stack([self._gain(d) for d in doors])
            weights = self._weights()
            share = np.asarray(needs, dtype=np.float64) / sum(needs)
            score, changes = _best_split(self.t, gains, weights, share, self.begin_s, self.end_s)
            edges = [self.begin_s, *changes.tolist(), self.end_s]
            whole = max(self.end_s - self.begin_s, 1e-3)
            found = Split(float(score), tuple((b - a) / whole for a, b in pairwise(edges)))
            self._splits[key] = found
        return found

    def _gain(self, door: tuple[float, float, float]) -> Floats:
        """Log likelihood ratio of each fix: serving this door against nobody."""
        gain = self._gains.get(door)
        if gain is None:
            gain = _gain(self.x, self.y, self.park[0], self.park[1], self.noise_m, *door)
            self._gains[door] = gain
        return gain

    def _weights(self) -> Floats:
        edges = np.concatenate([[self.begin_s], 0.5 * (self.t[1:] + self.t[:-1]), [self.end_s]])
        return np.clip(np.diff(edges), 0.1, CORRELATED_S) / CORRELATED_S


@njit(cache=True)
def _normal(d2: float, sd: float) -> float:
    return np.exp(-0.5 * d2 / (sd * sd)) / (2 * np.pi * sd * sd)


@njit(cache=True)
def _gain(
    x: Floats, y: Floats, px: float, py: float, noise_m: float, cx: float, cy: float, spread_m: float
) -> Floats:
    van_sd = sqrt(VAN_SD_M**2 + noise_m**2)
    door_sd = sqrt(DOOR_SD_M**2 + noise_m**2 + spread_m**2)
    free_sd = sqrt(ELSEWHERE_SD_M**2 + noise_m**2)
    out = np.empty(len(x))
    for k in range(len(x)):
        to_van = (x[k] - px) ** 2 + (y[k] - py) ** 2
        to_door = (x[k] - cx) ** 2 + (y[k] - cy) ** 2
        van = _normal(to_van, van_sd)
        served = AT_VAN * van + (1 - AT_VAN) * _normal(to_door, door_sd)
        nobody = AT_VAN * van + (1 - AT_VAN) * _normal(to_van, free_sd)
        out[k] = np.log(served + NOWHERE) - np.log(nobody + NOWHERE)
    return out


@njit(cache=True)
def _length_score(seconds: float, expected_s: float) -> float:
    if seconds < SHORTEST_S:
        return -6.0
    return -0.5 * (np.log(seconds / expected_s) / LENGTH_LOG_SD) ** 2


@njit(cache=True)
def _best_split(
    t: Floats, gains: Floats, weights: Floats, share: Floats, begin_s: float, end_s: float
) -> Any:
    """Score and moments of change of the best split into consecutive parts, one a row of `gains`."""
    members, n = gains.shape
    sums = np.zeros((members, n + 1))
    for m in range(members):
        for k in range(n):
            sums[m, k + 1] = sums[m, k] + weights[k] * gains[m, k]
    weight = np.zeros(n + 1)
    for k in range(n):
        weight[k + 1] = weight[k] + weights[k]
    edge = np.empty(n + 1)
    edge[0], edge[n] = begin_s, end_s
    for k in range(1, n):
        edge[k] = 0.5 * (t[k - 1] + t[k])
    best = np.full((members + 1, n + 1), -1e18)
    back = np.zeros((members + 1, n + 1), np.int64)
    best[0, 0] = 0.0
    for m in range(members):
        last = m == members - 1
        for k in range(n if last else 1, n + 1):
            for j in range(k + 1):
                if best[m, j] < -1e17:
                    continue
                w = weight[k] - weight[j]
                gain = (sums[m, k] - sums[m, j]) * (min(1.0, MOST_WEIGHT / w) if w > 0 else 0.0)
                if members > 1:
                    gain += _length_score(edge[k] - edge[j], share[m] * (end_s - begin_s))
                if best[m, j] + gain > best[m + 1, k]:
                    best[m + 1, k] = best[m, j] + gain
                    back[m + 1, k] = j
    changes = np.empty(members - 1)
    k = n
    for m in range(members, 1, -1):
        k = back[m, k]
        changes[m - 2] = edge[k]
    return best[members, n], changes
