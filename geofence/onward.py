"""How likely each way to go on from a hypothesis is: by place, time, order and what is unserved."""

from math import exp, log, pi
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean
from geofence.dwell import dwell_score, habit, log_length
from geofence.hypotheses import (
    DOOR_X,
    DOOR_Y,
    DWELL,
    FIRST_X,
    FIRST_Y,
    G_ID,
    G_NEED,
    G_NEEDED_S,
    G_PLACE,
    G_REST,
    G_SHARED,
    G_SIZE,
    G_START,
    GROUP_ID,
    IDLE,
    LAST,
    M_CUSTOMER,
    M_NUMBER,
    M_STOPS,
    M_STOPS_END,
    MOVES,
    NEED,
    PARK_X,
    PARK_Y,
    PENDING,
    PLACE,
    SCORE,
    SERVICES,
    SINCE,
    SQUARES,
    STRAY,
    TOTAL,
    UNNAMED,
    UNSERVED,
    UNTIL,
    Beam,
    Groups,
    Stand,
    copy_row,
)
from geofence.order import (
    Bits,
    has,
    idle_prior,
    mixed_prior,
    more_unnamed,
    next_pending,
    order_prior,
    put,
    served_prior,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOO_UNLIKELY: Final = 6.0  # hypotheses so far below the best are dropped

UNPLANNED: Final = log(0.005)  # any customer near whom the route does not name
AGAIN: Final = log(0.012)  # a second visit that nobody planned
AGAIN_FREE: Final = log(0.12)  # ... where there is no plan
NOBODY: Final = log(0.5)
SHARED: Final = 0.85  # chance that the next customer at the same door is served from the same standing
SHARED_REACH_M: Final = 30.0  # ... and how it falls with the distance of the doors
SHARED_REACH_NOISE: Final = 3.0  # a move of so many times the noise may go unseen
SAME_PLACE_M: Final = 12.0
SOON_MS: Final = 180_000
RESUMED_S: Final = np.array([60.0, 180.0, 600.0, 1800.0])
RESUMED_HERE: Final = np.log((0.15, 0.08, 0.02, 0.002))
RESUMED_MOVED: Final = np.log((0.01, 0.005, 0.001))
RESUMED_PARTED: Final = log(0.1)  # ... where no drive was seen
MOVED_AGAIN: Final = log(0.2)  # ... and for each time it was moved before: a queue moves on and on
RESUMED_DWELL: Final = -log(60.0)  # density of the length of one more part: anything up to minutes ...
RESUMED_LONG_S: Final = 600.0  # ... longer ones are rarer
MOVED_M: Final = 30.0  # a van moved within one service moves about so far
ELSEWHERE: Final = -log(60.0 * 450.0)  # density of a place to stand for nobody: anywhere along the roads
QUEUES_ON: Final = 1.6  # ... but near where it stood before in a queue, where there is no plan
TOO_SHORT: Final = -6.0

# columns of Ways.real and Ways.whole: score, and what dwell and place add to it; hypothesis, group, how
WAY_SCORE, WAY_DWELL, WAY_PLACE = range(3)
WAY_OF, WAY_GROUP, WAY_HOW = range(3)
HOW_NOBODY, HOW_VISIT, HOW_RESUMED = range(3)


class Ways(NamedTuple):
    """Ways to go on from a hypothesis, a row each."""

    real: Floats
    whole: Ints


@lean()
def find_ways(ways: Ways, beam: Beam, groups: Groups, orders: Floats, stand: Stand, slot: int) -> int:
    """Write down all ways to go on; returns how many."""
    count = 0
    seconds = (stand.departed_ms - stand.arrived_ms) / 1000
    for h in range(len(beam.real)):
        real, whole = beam.real[h], beam.whole[h]
        idle = real[SCORE] + stand.idle + ELSEWHERE
        idle += NOBODY if stand.planned else idle_prior(whole[IDLE], whole[UNNAMED])
        if stand.moved_on and not stand.planned and slot > 0 and beam.past[h, slot - 1, 0] < 0:
            idle += QUEUES_ON
        count = _put_way(ways, count, h, -1, HOW_NOBODY, idle, 0.0, 0.0)
        services, total, squares = sums(real, whole)
        of_driver = habit(services, total, squares)
        unmoved = whole[GROUP_ID] >= 0 and _unmoved(real, whole, stand)
        for g in range(len(groups.real)):
            prior = orders[h, g]
            if prior == -np.inf:
                continue
            of = groups.real[g]
            chance = share_chance(of[FIRST_X] - real[DOOR_X], of[FIRST_Y] - real[DOOR_Y], stand.noise_m)
            prior += of[G_SHARED] + log(chance if unmoved else 1 - chance)
            length = dwell_score(of_driver, seconds, of[G_NEED], groups.whole[g, G_SIZE], stand.censored)
            length += TOO_SHORT if seconds < of[G_NEEDED_S] else 0.0
            if stand.planned and of[G_REST] > -np.inf:
                length = np.logaddexp(length, of[G_REST])
            new = real[SCORE] + prior + of[G_PLACE] + length
            if new > idle - TOO_UNLIKELY:
                count = _put_way(ways, count, h, g, HOW_VISIT, new, length, of[G_PLACE])
        for g in range(len(groups.real)):
            if groups.whole[g, G_ID] == whole[GROUP_ID]:
                more, length, where = _resumed(real, whole, groups, g, stand, seconds)
                if more > -np.inf:
                    count = _put_way(ways, count, h, g, HOW_RESUMED, real[SCORE] + more, length, where)
    return count


@lean()
def _put_way(ways: Ways, row: int, h: int, g: int, how: int, score: float, dwell: float, place: float) -> int:
    ways.whole[row, WAY_OF], ways.whole[row, WAY_GROUP], ways.whole[row, WAY_HOW] = h, g, how
    ways.real[row, WAY_SCORE], ways.real[row, WAY_DWELL], ways.real[row, WAY_PLACE] = score, dwell, place
    return row + 1


@kernel()
def share_chance(dx: float, dy: float, noise_m: float) -> float:
    """Chance that the next customer, whose door is so far from the last one's, is served without a move."""
    reach2 = SHARED_REACH_M**2 + (SHARED_REACH_NOISE * noise_m) ** 2
    return SHARED * exp(-(dx * dx + dy * dy) / reach2) + 1e-3


@lean()
def sums(real: Floats, whole: Ints) -> Any:
    """Sums over the lengths of services, the latest visit included."""
    if whole[GROUP_ID] < 0:
        return real[SERVICES], real[TOTAL], real[SQUARES]
    z = log_length((whole[UNTIL] - whole[SINCE]) / 1000, real[NEED])
    return real[SERVICES] + 1, real[TOTAL] + z, real[SQUARES] + z * z


@lean()
def _unmoved(real: Floats, whole: Ints, stand: Stand) -> bool:
    """Whether the van stands where it stood for the latest visit, just before."""
    return stand.arrived_ms - whole[UNTIL] < SOON_MS and away2(real, stand) <= SAME_PLACE_M**2


@lean()
def away2(real: Floats, stand: Stand) -> float:
    """How far the van stands from where it stood for the latest visit, squared metres."""
    apart2: float = (stand.park_x - real[PARK_X]) ** 2 + (stand.park_y - real[PARK_Y]) ** 2
    return apart2


@kernel()
def all_orders(beam: Beam, groups: Groups, stand: Stand) -> Floats:
    """The log chance of each group's order in each hypothesis, a row each."""
    served = np.empty_like(beam.served[0])
    orders = np.empty((len(beam.real), len(groups.whole)))
    _find_orders(orders, beam, groups, stand, served)
    return orders


@lean()
def _find_orders(orders: Floats, beam: Beam, groups: Groups, stand: Stand, served: Bits) -> None:
    for h in range(len(beam.real)):
        unnamed, whole = stand.unnamed, beam.whole[h]
        if stand.planned:
            unnamed += more_unnamed(stand.planned - whole[UNSERVED], whole[UNNAMED])
        else:
            unnamed += served_prior(whole[IDLE], whole[UNNAMED])
        for g in range(len(groups.whole)):
            orders[h, g] = _prior(beam, h, groups, g, stand, served, unnamed)


@lean()
def _prior(beam: Beam, h: int, groups: Groups, g: int, stand: Stand, served: Bits, unnamed: float) -> float:
    """How likely these are served next, in this order; -inf when one of them has been served already."""
    copy_row(served, beam.served[h])
    last, pending, prior = beam.whole[h, LAST], beam.whole[h, PENDING], 0.0
    start = groups.whole[g, G_START]
    for m in range(start, start + groups.whole[g, G_SIZE]):
        number, customer = groups.members[m, M_NUMBER], groups.members[m, M_CUSTOMER]
        if number >= 0:
            if has(served, number):
                return -np.inf
            ordered = order_prior(served, last, pending, number)
            prior += mixed_prior(ordered, beam.real[h, STRAY], beam.whole[h, UNSERVED])
            pending = next_pending(served, last, number)
            put(served, number)
            last = number
        elif seen_before(beam, h, customer):
            prior += AGAIN if stand.planned else AGAIN_FREE
        else:
            for s in range(groups.members[m, M_STOPS], groups.members[m, M_STOPS_END]):
                if not has(served, groups.stops[s]):
                    return -np.inf
            prior += unnamed
    return prior


@lean()
def _resumed(real: Floats, whole: Ints, groups: Groups, g: int, stand: Stand, seconds: float) -> Any:
    """The standstill as one more part of the latest visit: the van was moved, or the driver came back.

    What it adds to the score, and the new scores of dwell and place.
    """
    gap_s = (stand.arrived_ms - whole[UNTIL]) / 1000
    apart2 = away2(real, stand)
    here = apart2 <= SAME_PLACE_M**2
    priors = RESUMED_HERE if here else RESUMED_MOVED
    at = np.searchsorted(RESUMED_S, gap_s)
    if at >= len(priors):
        return -np.inf, 0.0, 0.0
    prior = RESUMED_PARTED if stand.parted and not here and at == 0 else priors[at]
    if not here:
        prior += (stand.moved_on if stand.parted else whole[MOVES]) * MOVED_AGAIN
    where = -log(pi * SAME_PLACE_M**2) if here else -apart2 / MOVED_M**2 - log(pi * MOVED_M**2)
    whole_s, before_s = (stand.departed_ms - whole[SINCE]) / 1000, (whole[UNTIL] - whole[SINCE]) / 1000
    of = groups.real[g]
    of_driver = habit(real[SERVICES], real[TOTAL], real[SQUARES])
    length = dwell_score(of_driver, whole_s, of[G_NEED], groups.whole[g, G_SIZE], stand.censored)
    length += TOO_SHORT if whole_s < of[G_NEEDED_S] else 0.0
    place = (real[PLACE] * before_s + of[G_PLACE] * seconds) / max(before_s + seconds, 1.0)
    more = prior + where + place - real[PLACE] + length - real[DWELL] + RESUMED_DWELL
    more -= log(1 + (seconds / RESUMED_LONG_S) ** 2)
    return more, length, place


@lean()
def seen_before(beam: Beam, h: int, customer: int) -> bool:
    """Whether that customer was served before."""
    return bool(customer < 64 * beam.seen.shape[1] and has(beam.seen[h], customer))
