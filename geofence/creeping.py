"""How often in a row a vehicle has moved on a little in one direction, as it does in a queue."""

from math import hypot
from typing import Final

from geofence.standstills import Standstill

SOON_MS: Final = 30_000
LEAST_M: Final = 6.0
LEAST_NOISE: Final = 1.5  # a move shorter than so many times the noise may be none
MOST_M: Final = 120.0
AHEAD: Final = 0.3  # cosine of the turn between two moves


class Creeping:
    """Follows a driver's standstills, one after the other."""

    def __init__(self) -> None:
        self._last: Standstill | None = None
        self._move = 0.0, 0.0
        self._moves = 0

    def moves(self, standstill: Standstill) -> int:
        """How many moves in a row, each soon after the one before and onwards, led to this standstill."""
        last, self._last = self._last, standstill
        if last is None or standstill.arrived_ms - last.departed_ms > SOON_MS:
            self._moves = 0
            return 0
        east, north = standstill.park[0] - last.park[0], standstill.park[1] - last.park[1]
        way_m = hypot(east, north)
        least_m = max(LEAST_M, LEAST_NOISE * standstill.noise_m)
        ahead_m = (east * self._move[0] + north * self._move[1]) / max(hypot(*self._move), 1e-9)
        onwards = self._moves > 0 and ahead_m >= AHEAD * way_m
        self._moves = (self._moves + 1 if onwards else 1) if least_m <= way_m <= MOST_M else 0
        self._move = east, north
        return self._moves
