"""A street network in metres: quickest ways between places beside its streets, with speed limits."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

Metres = npt.NDArray[np.float64]
STEP_M = 10.0
"""Distance of the points of a street's polyline."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on a street: the street's number and the metres from its first end."""

    street: int
    along_m: float


@dataclass(frozen=True, slots=True)
class Leg:
    """A way to drive: points (n, 2) in metres, the speed limit there, and whether the point is a light."""

    xy: Metres
    limit_mps: Metres
    light: npt.NDArray[np.bool_]


class Streets:
    """Streets between crossings: `ends` (streets, 2) are their numbers, `lines` lead from first to second."""

    def __init__(
        self,
        crossings: Metres,
        ends: npt.NDArray[np.int64],
        lines: list[Metres],
        speed_mps: Metres,
        lights: npt.NDArray[np.bool_],
    ) -> None:
        self.crossings = crossings
        self.ends = ends
        self.lines = lines
        self.marks_m = [_marks(line) for line in lines]
        self.length_m = np.array([m[-1] for m in self.marks_m])
        self.speed_mps = speed_mps
        self.lights = lights
        self._wholes: dict[tuple[int, bool], Leg] = {}
        self._street_between: dict[tuple[int, int], int] = {}
        for number, (a, b) in enumerate(ends.tolist()):
            self._street_between[a, b] = number
            self._street_between[b, a] = number

    @cached_property
    def _shortest(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.signedinteger]]:
        n = len(self.crossings)
        cost = self.length_m / self.speed_mps
        graph = csr_array((cost, (self.ends[:, 0], self.ends[:, 1])), shape=(n, n))
        seconds, before = dijkstra(graph, directed=False, return_predecessors=True)
        return seconds.astype(np.float32), before.astype(np.int16 if n < 32_000 else np.int32)

    def place(self, spot: Spot) -> Metres:
        """Where the spot is."""
        marks, line = self.marks_m[spot.street], self.lines[spot.street]
        return np.array(
            [np.interp(spot.along_m, marks, line[:, 0]), np.interp(spot.along_m, marks, line[:, 1])]
        )

    def seconds_between(self, spots: list[Spot]) -> Metres:
        """Free driving time between all pairs, to the nearest crossing of each."""
        crossing = np.array(
            [self.ends[s.street, int(s.along_m > self.length_m[s.street] / 2)] for s in spots]
        )
        rest = np.array([min(s.along_m, self.length_m[s.street] - s.along_m) for s in spots])
        rest = rest / self.speed_mps[[s.street for s in spots]]
        seconds = self._shortest[0][np.ix_(crossing, crossing)] + rest[:, None] + rest[None, :]
        xy = np.array([self.place(s) for s in spots])
        apart = np.hypot(*(xy[:, None, :] - xy[None, :, :]).transpose(2, 0, 1))
        near = np.equal.outer([s.street for s in spots], [s.street for s in spots])
        return np.asarray(np.where(near, apart / self.speed_mps.min(), seconds))

    def way(self, start: Spot, goal: Spot) -> Leg:
        """The quickest way from one spot to another."""
        if start.street == goal.street:
            return self._piece(start.street, start.along_m, goal.along_m)
        seconds, _ = self._shortest
        first, last = self._exits(start), self._exits(goal)
        _, a, b = min((cost_a + seconds[a, b] + cost_b, a, b) for a, cost_a in first for b, cost_b in last)
        pieces = [self._piece(start.street, start.along_m, self._end_m(start.street, a))]
        crossings = self._crossings_between(a, b)
        for here, there in pairwise(crossings):
            street = self._street_between[here, there]
            pieces.append(self._whole(street, backward=self.ends[street, 0] != here))
        pieces.append(self._piece(goal.street, self._end_m(goal.street, b), goal.along_m))
        return join(pieces)

    def _exits(self, spot: Spot) -> list[tuple[int, float]]:
        a, b = self.ends[spot.street].tolist()
        speed = float(self.speed_mps[spot.street])
        return [(a, spot.along_m / speed), (b, (float(self.length_m[spot.street]) - spot.along_m) / speed)]

    def _end_m(self, street: int, crossing: int) -> float:
        return 0.0 if self.ends[street, 0] == crossing else float(self.length_m[street])

    def _crossings_between(self, a: int, b: int) -> list[int]:
        before = self._shortest[1]
        found = [b]
        while found[-1] != a:
            found.append(int(before[a, found[-1]]))
        return found[::-1]

    def _whole(self, street: int, backward: bool) -> Leg:
        """All of a street, kept for the next time."""
        key = (street, bool(backward))
        if key not in self._wholes:
            length_m = float(self.length_m[street])
            self._wholes[key] = self._piece(street, *((length_m, 0.0) if backward else (0.0, length_m)))
        return self._wholes[key]

    def _piece(self, street: int, from_m: float, to_m: float) -> Leg:
        """Along one street; the light of a crossing belongs to the piece that reaches it."""
        marks, line = self.marks_m[street], self.lines[street]
        low, high = min(from_m, to_m), max(from_m, to_m)
        inside = marks[(marks > low + 0.5) & (marks < high - 0.5)]
        at = np.concatenate([[low], inside, [high]])
        xy = np.column_stack([np.interp(at, marks, line[:, 0]), np.interp(at, marks, line[:, 1])])
        light = np.zeros(len(at), dtype=np.bool_)
        if to_m > from_m:
            light[-1] = to_m == marks[-1] and self.lights[self.ends[street, 1]]
        else:
            xy = xy[::-1]
            light[-1] = to_m == 0.0 and self.lights[self.ends[street, 0]]
        return Leg(xy, np.full(len(at), self.speed_mps[street]), light)


def join(pieces: list[Leg]) -> Leg:
    """Pieces that follow each other as one; points where they meet appear once."""
    xy = np.concatenate([p.xy for p in pieces])
    limit = np.concatenate([p.limit_mps for p in pieces])
    light = np.concatenate([p.light for p in pieces])
    keep = np.append(np.hypot(*np.diff(xy, axis=0).T) > 1e-6, True)
    keep[:-1] |= light[:-1] & ~light[1:]
    keep[-1] = True
    return Leg(xy[keep], limit[keep], light[keep])


def _marks(line: Metres) -> Metres:
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
