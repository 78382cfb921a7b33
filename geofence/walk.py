"""Whose door the driver walked to while the van stood, and when one customer's part ended and the next began.

Every fix is taken at the van or at the door of the customer being served. One standing may serve several, one
after the other: the moments of change follow from how long the orders should take, from which door is nearer
to the fixes, and from when the driver was back at the van.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
LENGTH_LOG_SD: Final = 0.35  # how the lengths of services vary beside what their orders need
MOMENTS: Final = 25  # moments of change that are looked at
NEAR_SD_M: Final = 3.0  # the driver at the van, beside noise
RINGS_M: Final = (10.0, 18.0, 30.0, 50.0)  # ... and away from it
VAN_S: Final = 40.0  # mean time at the van ...
AWAY_S: Final = 120.0  # ... and away from it
ON_THE_WAY: Final = 0.1  # share of changes without a return to the van
BOUND_TAIL: Final = 0.01  # chance that a change lies beyond each of its bounds
BOUND_SD: Final = 2.33  # the same in standard deviations
IMPOSSIBLE: Final = -1e18


Change = tuple[float, float, float]
"""When one customer's part ends and the next begins: the estimate, and bounds; fractions of the time."""


@dataclass(frozen=True, slots=True)
class Split:
    """How a standing is shared: log likelihood ratio against serving nobody, and the changes in between."""

    score: float
    changes: tuple[Change, ...]


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
    _splits: dict[tuple[Any, ...], Split] = field(default_factory=dict)
    _sums: dict[tuple[float, float, float], Floats] = field(default_factory=dict)
    _weights: Floats | None = None
    _at_moments: tuple[Floats, Floats] | None = None

    def split(self, doors: Sequence[tuple[float, float, float]], needs: Sequence[float]) -> Split:
        """How well serving these doors (x, y, spread in metres) in this order explains the fixes, and when.

        `needs` are the relative lengths that the services are expected to take.
        """
        share = np.asarray(needs, dtype=np.float64) / sum(needs)
        if len(self.t) == 0 or (len(doors) > 1 and self.end_s - self.begin_s < len(doors)):
            return Split(0.0, tuple(_by_need(share)))
        key = (*doors, *needs)
        found = self._splits.get(key)
        if found is None:
            found = self._single(doors[0]) if len(doors) == 1 else self._several(doors, share)
            self._splits[key] = found
        return found

    def _single(self, door: tuple[float, float, float]) -> Split:
        gain = _gain(self.x, self.y, *self.park, self.noise_m, *door)
        return Split(_single_score(gain, self._weighed()), ())

    def _several(self, doors: Sequence[tuple[float, float, float]], share: Floats) -> Split:
        if self._at_moments is None:
            self._at_moments = _moments(
                self.t, self.x, self.y, self._weighed(), self.begin_s, self.end_s, *self.park, self.noise_m
            )
        weight, van = self._at_moments
        gains = np.stack([self._summed_gain(d) for d in doors])
        score, changes = _one_by_one(self.begin_s, self.end_s, gains, weight, van, share)
        return Split(float(score), tuple(map(tuple, changes.tolist())))

    def _summed_gain(self, door: tuple[float, float, float]) -> Floats:
        """Log likelihood ratio, up to each moment, of serving this door against nobody."""
        found = self._sums.get(door)
        if found is None:
            gain = _gain(self.x, self.y, *self.park, self.noise_m, *door)
            found = _up_to_moments(self.t, self._weighed() * gain, self.begin_s, self.end_s)
            self._sums[door] = found
        return found

    def _weighed(self) -> Floats:
        """How many independent looks each fix counts for."""
        if self._weights is None:
            self._weights = _weights(self.t, self.begin_s, self.end_s)
        return self._weights


def _by_need(share: Floats) -> list[Change]:
    """Changes where the fixes tell nothing: by what the orders need, with the spread of such services."""
    found = []
    for at in np.cumsum(share)[:-1].tolist():
        spread = BOUND_SD * LENGTH_LOG_SD * sqrt(2) * at * (1 - at)
        found.append((at, max(0.0, at - spread), min(1.0, at + spread)))
    return found


@njit(cache=True)
def _edges(t: Floats, begin_s: float, end_s: float) -> Floats:
    """The time that each fix stands for lies between two of these."""
    edges = np.empty(len(t) + 1)
    edges[0], edges[len(t)] = begin_s, end_s
    for k in range(1, len(t)):
        edges[k] = 0.5 * (t[k] + t[k - 1])
    return edges


@njit(cache=True)
def _weights(t: Floats, begin_s: float, end_s: float) -> Floats:
    edges = _edges(t, begin_s, end_s)
    weights = np.empty(len(t))
    for k in range(len(t)):
        weights[k] = min(max(edges[k + 1] - edges[k], 0.1), CORRELATED_S) / CORRELATED_S
    return weights


@njit(cache=True)
def _single_score(gain: Floats, weights: Floats) -> float:
    """Log likelihood ratio of serving one door all the time."""
    score = whole = 0.0
    for k in range(len(gain)):
        score += weights[k] * gain[k]
        whole += weights[k]
    return float(score * min(1.0, MOST_WEIGHT / whole))


@njit(cache=True)
def _up_to_moments(t: Floats, values: Floats, begin_s: float, end_s: float) -> Floats:
    """Sums of values of the fixes up to each moment."""
    summed = np.zeros(len(t) + 1)
    for k in range(len(t)):
        summed[k + 1] = summed[k] + values[k]
    return np.interp(np.linspace(begin_s, end_s, MOMENTS), _edges(t, begin_s, end_s), summed)


@njit(cache=True)
def _change(chances: Floats) -> Any:
    """Mean and bounds of a change with those chances at moments evenly spread over the time."""
    step = 1 / (MOMENTS - 1)
    summed = np.cumsum(chances)
    low = np.searchsorted(summed, BOUND_TAIL * summed[-1]) - 1
    high = np.searchsorted(summed, (1 - BOUND_TAIL) * summed[-1]) + 1
    at = 0.0
    for k in range(MOMENTS):
        at += chances[k] * k
    return at * step, max(0.0, low * step), min(1.0, high * step)


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
def _later(p: float, seconds: float) -> float:
    """Chance of being at the van after so many seconds."""
    rest = VAN_S / (VAN_S + AWAY_S)
    return rest + (p - rest) * np.exp(-(1 / VAN_S + 1 / AWAY_S) * seconds)


@njit(cache=True)
def _at_van(t: Floats, x: Floats, y: Floats, weights: Floats, px: float, py: float, noise_m: float) -> Floats:
    """Chance that the driver was at the van at each fix: a hidden Markov chain (Rabiner 1989)."""
    n = len(t)
    sd = sqrt(NEAR_SD_M**2 + noise_m**2)
    here, away, chance = np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        r = sqrt((x[k] - px) ** 2 + (y[k] - py) ** 2)
        ring = 0.0
        for radius in RINGS_M:
            z = (r - radius) / sd
            ring += 0.25 * np.exp(-0.5 * z * z) / (2 * np.pi * radius * sd * 2.5066)
        here[k] = (_normal(r * r, sd) + NOWHERE) ** weights[k]
        away[k] = (ring + NOWHERE) ** weights[k]
    p = 0.8
    for k in range(n):
        if k > 0:
            p = _later(p, t[k] - t[k - 1])
        p = p * here[k] / (p * here[k] + (1 - p) * away[k])
        chance[k] = p
    b_here, b_away = 0.8, 0.2
    for k in range(n - 1, -1, -1):
        if k < n - 1:
            stay, back = _later(1.0, t[k + 1] - t[k]), _later(0.0, t[k + 1] - t[k])
            h, a = b_here * here[k + 1], b_away * away[k + 1]
            b_here, b_away = stay * h + (1 - stay) * a, back * h + (1 - back) * a
            whole = b_here + b_away
            b_here, b_away = b_here / whole, b_away / whole
        p = chance[k] * b_here
        chance[k] = p / (p + (1 - chance[k]) * b_away)
    return chance


@njit(cache=True)
def _moments(
    t: Floats,
    x: Floats,
    y: Floats,
    weights: Floats,
    begin_s: float,
    end_s: float,
    px: float,
    py: float,
    noise_m: float,
) -> Any:
    """Weights up to each moment, and the chance of being at the van then."""
    van = _at_van(t, x, y, weights, px, py, noise_m)
    grid = np.linspace(begin_s, end_s, MOMENTS)
    return _up_to_moments(t, weights, begin_s, end_s), np.interp(grid, t, van)


@njit(cache=True)
def _forward(score: Floats) -> Floats:
    """Log sums over all ways to get, member by member, from the first moment to each."""
    members, n, _ = score.shape
    ahead = np.full((members + 1, n), IMPOSSIBLE)
    ahead[0, 0] = 0.0
    for m in range(members):
        for k in range(1, n):
            top = IMPOSSIBLE
            last = k if m > 0 else 1  # the first part begins at the first moment
            for j in range(last):
                top = max(top, ahead[m, j] + score[m, j, k])
            if top > 0.9 * IMPOSSIBLE:
                total = 0.0
                for j in range(last):
                    total += np.exp(ahead[m, j] + score[m, j, k] - top)
                ahead[m + 1, k] = top + np.log(total)
    return ahead


@njit(cache=True)
def _backward(score: Floats) -> Floats:
    """Log sums over all ways to get from each moment to the last."""
    members, n, _ = score.shape
    behind = np.full((members + 1, n), IMPOSSIBLE)
    behind[members, n - 1] = 0.0
    for m in range(members - 1, 0, -1):
        for j in range(n - 1):
            top = IMPOSSIBLE
            for k in range(j + 1, n):
                top = max(top, behind[m + 1, k] + score[m, j, k])
            if top > 0.9 * IMPOSSIBLE:
                total = 0.0
                for k in range(j + 1, n):
                    total += np.exp(behind[m + 1, k] + score[m, j, k] - top)
                behind[m, j] = top + np.log(total)
    return behind


@njit(cache=True)
def _one_by_one(
    begin_s: float, end_s: float, gains: Floats, weight: Floats, van: Floats, share: Floats
) -> Any:
    """Customers served one after another: log likelihood ratio, and where the changes are.

    `gains` (a row each) and `weight` are sums up to each moment, `van` the chance of being at
    the van there. A change is likely where the driver was at the van. Sums over all moments of change;
    returns the score and the changes (a row each: see `Change`).
    """
    members, n = gains.shape
    grid = np.linspace(begin_s, end_s, n)
    whole = grid[n - 1] - grid[0]
    mean = np.mean(van)
    length = np.full((members, n, n), IMPOSSIBLE)
    score = np.full((members, n, n), IMPOSSIBLE)
    for m in range(members):
        for k in range(1, n):
            if (k == n - 1) != (m == members - 1):
                continue
            change = 0.0
            if m < members - 1:
                change = np.log(ON_THE_WAY + (1 - ON_THE_WAY) * van[k])
                change -= np.log(ON_THE_WAY + (1 - ON_THE_WAY) * mean)
            for j in range(k if m > 0 else 1):
                z = np.log(max(grid[k] - grid[j], 1e-3) / (share[m] * whole))
                length[m, j, k] = -0.5 * (z / LENGTH_LOG_SD) ** 2 - z
                w = weight[k] - weight[j]
                gain = (gains[m, k] - gains[m, j]) * (min(1.0, MOST_WEIGHT / w) if w > 0 else 0.0)
                score[m, j, k] = length[m, j, k] + gain + change
    ahead, behind = _forward(score), _backward(score)
    total = ahead[members, n - 1]
    chances = np.exp(ahead[1:members] + behind[1:members] - total)
    changes = np.empty((members - 1, 3))
    for m in range(members - 1):
        changes[m, 0], changes[m, 1], changes[m, 2] = _change(chances[m])
    return total - _forward(length)[members, n - 1], changes
