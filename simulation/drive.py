"""The vehicle's day: the way it takes, its speed between standstills, and when it stands."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation.plan import Halt
from simulation.profiles import Profile
from simulation.streets import Leg, Metres, Spot, Streets, join

CLEAR_M = 15.0
"""Nobody waits in traffic nearer than this to a place where the vehicle is about to stand, or has stood."""


@dataclass(frozen=True, slots=True)
class Way:
    """A day's way: points, seconds driven up to each, seconds waited there in traffic, where each halt is.

    `stands[h]` are the point indexes of halt h: one, or two where the van moves a little within it.
    """

    xy: Metres
    driven_s: Metres
    traffic_s: Metres
    stands: list[list[int]]


def draw_way(profile: Profile, streets: Streets, halts: list[Halt], rng: np.random.Generator) -> Way:
    """Drive from halt to halt, with lights, jams, halts in traffic, parking search and short moves."""
    pieces, stands = _pieces(streets, halts, rng)
    xy = np.concatenate([p.xy for p in pieces])
    limit = np.concatenate([p.limit_mps for p in pieces])
    light = np.concatenate([p.light for p in pieces])
    halting = np.zeros(len(xy), dtype=np.bool_)
    halting[[s for both in stands for s in both]] = True
    limit, waits = _traffic(profile, limit, light, rng)
    waits[_near(xy, halting)] = 0.0
    limit = np.minimum(limit * _flow(len(xy), rng), _turning(xy))
    return Way(xy, _seconds(xy, limit, halting | (waits > 0), rng), waits, stands)


def _pieces(
    streets: Streets, halts: list[Halt], rng: np.random.Generator
) -> tuple[list[Leg], list[list[int]]]:
    """The legs of the day, and the numbers of the points where the vehicle stands for each halt."""
    here = halts[0].spot
    pieces = [Leg(streets.place(here)[None, :], np.array([5.0]), np.array([False]))]
    stands, points = [[0]], 1
    for halt in halts[1:]:
        pieces.append(_approach(streets, here, halt, rng))
        points += len(pieces[-1].xy)
        stands.append([points - 1])
        here = halt.spot
        if halt.creep_m:
            here = _moved(streets, halt)
            leg = streets.way(halt.spot, here)
            pieces.append(Leg(leg.xy, np.minimum(leg.limit_mps, 2.5), leg.light))
            points += len(leg.xy)
            stands[-1].append(points - 1)
    return pieces, stands


def _approach(streets: Streets, here: Spot, halt: Halt, rng: np.random.Generator) -> Leg:
    leg = streets.way(here, halt.spot)
    if not halt.search:
        return leg
    slow = rng.uniform(2.5, 5.0)
    length = float(streets.length_m[halt.spot.street])
    turns = []
    at = halt.spot
    for _ in range(int(rng.integers(1, 3))):
        beyond = float(np.clip(at.along_m + rng.choice([-1, 1]) * rng.uniform(40, 160), 0, length))
        past = Spot(halt.spot.street, beyond)
        turns += [streets.way(at, past), streets.way(past, halt.spot)]
        at = halt.spot
    tail = [Leg(t.xy, np.minimum(t.limit_mps, slow), t.light) for t in turns]
    near = np.hypot(*(leg.xy - leg.xy[-1]).T) < 60
    head = Leg(leg.xy, np.where(near, np.minimum(leg.limit_mps, slow), leg.limit_mps), leg.light)
    return join([head, *tail])


def _moved(streets: Streets, halt: Halt) -> Spot:
    length = float(streets.length_m[halt.spot.street])
    along = halt.spot.along_m + halt.creep_m
    if not 0 < along < length:
        along = halt.spot.along_m - halt.creep_m
    return Spot(halt.spot.street, float(np.clip(along, 0, length)))


def _traffic(
    profile: Profile,
    limit: Metres,
    light: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[Metres, Metres]:
    """Speed limits lowered by jams, and seconds waited at each point."""
    n = len(limit)
    waits = np.zeros(n)
    red = np.flatnonzero(light & (rng.random(n) < 0.5))
    waits[red] = np.minimum(100, 4 + rng.exponential(28, len(red)))
    limit = limit.copy()
    for _ in range(int(rng.poisson(profile.jams_per_day[0]))):
        at = int(rng.integers(n))
        stretch = np.arange(at, min(n, at + int(rng.integers(8, 30))))
        limit[stretch] = np.minimum(limit[stretch], rng.uniform(1.5, 3.5))
        stuck = stretch[rng.random(len(stretch)) < 0.35]
        waits[stuck] += rng.exponential(18, len(stuck))
    held = rng.integers(0, n, int(rng.poisson(profile.halts_per_day[0])))
    waits[held] += rng.uniform(15, 150, len(held))
    return limit, waits


def _near(xy: Metres, halting: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Points of the way less than CLEAR_M before or after a halt: nobody waits in traffic there."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    halts = s[halting]
    after = np.clip(np.searchsorted(halts, s), 0, len(halts) - 1)
    before = np.maximum(after - 1, 0)
    return np.asarray(np.minimum(abs(halts[after] - s), abs(s - halts[before])) < CLEAR_M)


def _flow(n: int, rng: np.random.Generator) -> Metres:
    """How freely traffic flows along the way: 0.6 to 1.1, changing slowly."""
    coarse = rng.uniform(0.6, 1.1, n // 25 + 2)
    return np.interp(np.arange(n) / 25, np.arange(len(coarse)), coarse)


def _turning(xy: Metres) -> Metres:
    """Highest speed at each point that keeps the sideways acceleration near 2.5 m/s²."""
    step = np.diff(xy, axis=0)
    apart = np.hypot(*step.T)
    heading = np.arctan2(step[:, 1], step[:, 0])
    bend = np.abs((np.diff(heading) + np.pi) % (2 * np.pi) - np.pi)
    fastest = np.full(len(xy), 40.0)
    room = np.minimum(apart[:-1], apart[1:]) + 4.0
    fastest[1:-1] = np.sqrt(2.5 * room / np.maximum(bend, 1e-3))
    return np.asarray(np.clip(fastest, 2.0, 40.0))


def _seconds(xy: Metres, limit: Metres, standing: npt.NDArray[np.bool_], rng: np.random.Generator) -> Metres:
    """Seconds driven up to each point, with bounded acceleration and braking from and to every stand."""
    faster, slower = rng.uniform(1.0, 1.8), rng.uniform(1.3, 2.2)
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    squared = np.where(standing, 0.0, limit) ** 2
    squared = np.minimum.accumulate(squared - 2 * faster * s) + 2 * faster * s
    back = s[-1] - s[::-1]
    squared = (np.minimum.accumulate(squared[::-1] - 2 * slower * back) + 2 * slower * back)[::-1]
    speed = np.sqrt(np.maximum(squared, 0.0))
    apart = np.diff(s)
    mean = np.maximum((speed[1:] + speed[:-1]) / 2, np.sqrt(faster * apart) / 2)
    return np.concatenate(
        [[0.0], np.cumsum(np.divide(apart, mean, where=apart > 0, out=np.zeros_like(apart)))]
    )
