"""Hypotheses about whom a day's standstills served, as arrays that compiled code works on."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.compiling import lean
from geofence.order import NONE_PENDING, STRAYS, Bits

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# columns of Beam.real
SCORE, DWELL, NEED, SERVICES, TOTAL, SQUARES, PLACE, PARK_X, PARK_Y, DOOR_X, DOOR_Y, STRAY = range(12)
REAL_COLUMNS: Final = 12
# columns of Beam.whole: the last planned stop, what may come out of turn after it (`order.next_pending`); of
# the latest visit: begin, end, how many customers, group (-1: none yet), how often the van was moved within
# it; how many planned stops are unserved, how many customers were served that no route names, how many
# standstills served nobody
LAST, PENDING, SINCE, UNTIL, SIZE, GROUP_ID, MOVES, UNSERVED, UNNAMED, IDLE = range(10)
# columns of Groups.real; G_REST: log likelihood of the standing's length with a break in it (-inf: too short
# for one), G_SERVED: the share of its time that was service
G_PLACE, G_NEED, G_NEEDED_S, G_SHARED, FIRST_X, FIRST_Y, LAST_X, LAST_Y, G_REST, G_SERVED = range(10)
GROUP_COLUMNS: Final = 10
# columns of Groups.whole and Groups.members
G_ID, G_SIZE, G_START = range(3)
M_NUMBER, M_CUSTOMER, M_CANDIDATE, M_STOPS, M_STOPS_END = range(5)
MEMBER_COLUMNS: Final = 5


class Beam(NamedTuple):
    """Hypotheses, a row each, best first; `past` and `belief` have a slot for each standstill still open.

    `past` holds the group served (-1: nobody) and whether it resumed the visit before; `belief` the chance
    that each candidate was served.
    """

    real: Floats
    whole: Ints
    served: Bits  # planned stops
    seen: Bits  # customers
    past: Ints
    belief: Floats


class Groups(NamedTuple):
    """Customers that one standstill may have served together, a row each; members follow one another."""

    real: Floats
    whole: Ints
    members: Ints
    stops: Ints  # planned stops of the members' customers, M_STOPS to M_STOPS_END


class Stand(NamedTuple):
    """What of a standstill matters to all hypotheses alike."""

    arrived_ms: int
    departed_ms: int
    park_x: float
    park_y: float
    door_x: float
    door_y: float
    noise_m: float
    parted: bool  # from the standstill before by a change of place alone, no drive
    censored: bool
    idle: float  # log likelihood of its length when it serves nobody
    planned: int  # how many stops
    unnamed: float  # log chance of each customer near that no route names, by what holds for all hypotheses
    moved_on: int  # how many moves of a queue led here, but the first: see `creeping`


def empty_beam(planned: int, slots: int, candidates: int) -> Beam:
    """One hypothesis that has explained nothing yet."""
    real = np.zeros((1, REAL_COLUMNS))
    real[0, NEED], real[0, DOOR_X], real[0, STRAY] = 1.0, 1e9, STRAYS
    whole = np.array([[-1, NONE_PENDING, 0, 0, 0, -1, 0, planned, 0, 0]], dtype=np.int64)
    return Beam(
        real,
        whole,
        np.zeros((1, planned // 64 + 1), np.uint64),
        np.zeros((1, 1), np.uint64),
        np.full((1, slots, 2), -1, np.int64),
        np.zeros((1, slots, candidates)),
    )


@lean()
def copy_row(to: Any, of: Any) -> None:
    """Write one row over another."""
    for k in range(len(of)):
        to[k] = of[k]
