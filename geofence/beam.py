"""Hypotheses about a day's standstills, as arrays, and how they grow by one standstill.

A hypothesis says whom each standstill served. It is scored by place, time, order and what is unserved.
Those alike in all that matters later are joined: their weights add up, and so do their beliefs about the
standstills that may still change, so that these come out as by forward smoothing (compare Rabiner 1989).
"""

from math import exp, log, pi
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from geofence.compiling import lean
from geofence.dwell import dwell_score, habit, log_length
from geofence.order import (
    STRAYS,
    Bits,
    has,
    idle_prior,
    jumped,
    mixed_prior,
    more_unnamed,
    order_prior,
    put,
    served_prior,
    strays_now,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BEAM: Final = 24
TOO_UNLIKELY: Final = 8.0  # hypotheses so far below the best are dropped

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

# columns of Beam.real
SCORE, DWELL, NEED, SERVICES, TOTAL, SQUARES, PLACE, PARK_X, PARK_Y, DOOR_X, DOOR_Y, STRAY = range(12)
REAL_COLUMNS: Final = 12
# columns of Beam.whole: the last planned stop, the one jumped over (-1: none); of the latest visit: begin,
# end, how many customers, group (-1: none yet), how often the van was moved within it; how many planned stops
# are unserved, how many customers were served that no route names, how many standstills served nobody
LAST, PENDING, SINCE, UNTIL, SIZE, GROUP_ID, MOVES, UNSERVED, UNNAMED, IDLE = range(10)
# columns of Groups.real
G_PLACE, G_NEED, G_NEEDED_S, G_SHARED, FIRST_X, FIRST_Y, LAST_X, LAST_Y = range(8)
GROUP_COLUMNS: Final = 8
# columns of Groups.whole and Groups.members
G_ID, G_SIZE, G_START = range(3)
M_NUMBER, M_CUSTOMER, M_CANDIDATE, M_STOPS, M_STOPS_END = range(5)
MEMBER_COLUMNS: Final = 5
# columns of Ways.real and Ways.whole: score, and what dwell and place add to it; hypothesis, group, how
WAY_SCORE, WAY_DWELL, WAY_PLACE = range(3)
WAY_OF, WAY_GROUP, WAY_HOW = range(3)
HOW_NOBODY, HOW_VISIT, HOW_RESUMED = range(3)


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


class Ways(NamedTuple):
    """Ways to go on from a hypothesis, a row each."""

    real: Floats
    whole: Ints


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
    moves: int  # in a row that led here: see `creeping`


@njit(cache=True)
def grow(beam: Beam, groups: Groups, orders: Floats, stand: Stand, slot: int) -> Any:
    """The best hypotheses after one more standstill, whose slot is given; `orders` as from `all_orders`."""
    n = len(beam.real) * (2 * len(groups.real) + 1)  # nobody; each group anew, and as one more part
    ways = Ways(np.empty((n, 3)), np.empty((n, 3), np.int64))
    count = _find_ways(ways, beam, groups, orders, stand, slot)
    score = ways.real[:count, WAY_SCORE]
    likely = np.flatnonzero(score >= np.max(score) - TOO_UNLIKELY)
    order = likely[np.argsort(-score[likely], kind="mergesort")]
    most = min(BEAM, len(order))
    kept = Beam(
        np.empty((most, beam.real.shape[1])),
        np.empty((most, beam.whole.shape[1]), np.int64),
        np.empty((most, beam.served.shape[1]), np.uint64),
        np.empty((most, beam.seen.shape[1]), np.uint64),
        np.empty((most, beam.past.shape[1], 2), np.int64),
        np.empty((most, beam.belief.shape[1], beam.belief.shape[2])),
    )
    count = _follow_ways(kept, ways, order, beam, groups, stand, slot)
    if _descends(kept.real[:count, SCORE]):
        return Beam(
            kept.real[:count], kept.whole[:count], kept.served[:count], kept.seen[:count], kept.past[:count],
            kept.belief[:count],
        )  # fmt: skip
    best = np.argsort(-kept.real[:count, SCORE], kind="mergesort")
    return Beam(
        kept.real[best], kept.whole[best], kept.served[best], kept.seen[best], kept.past[best],
        kept.belief[best],
    )  # fmt: skip


@lean()
def _descends(scores: Floats) -> bool:
    ordered = True
    for k in range(1, len(scores)):
        ordered = ordered and scores[k] <= scores[k - 1]
    return ordered


@lean()
def _find_ways(ways: Ways, beam: Beam, groups: Groups, orders: Floats, stand: Stand, slot: int) -> int:
    """Write down all ways to go on; returns how many."""
    count = 0
    seconds = (stand.departed_ms - stand.arrived_ms) / 1000
    for h in range(len(beam.real)):
        real, whole = beam.real[h], beam.whole[h]
        idle = real[SCORE] + stand.idle + ELSEWHERE
        idle += NOBODY if stand.planned else idle_prior(whole[IDLE], whole[UNNAMED])
        if stand.moves > 1 and not stand.planned and slot > 0 and beam.past[h, slot - 1, 0] < 0:
            idle += QUEUES_ON
        count = _put_way(ways, count, h, -1, HOW_NOBODY, idle, 0.0, 0.0)
        services, total, squares = _sums(real, whole)
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


@lean()
def _follow_ways(
    kept: Beam, ways: Ways, order: Ints, beam: Beam, groups: Groups, stand: Stand, slot: int
) -> int:
    """Write down the hypotheses that come of the best ways, those alike joined; returns how many."""
    count = 0
    for k in order[: 6 * BEAM]:
        if count == len(kept.real):
            break
        h, g, how = ways.whole[k, WAY_OF], ways.whole[k, WAY_GROUP], ways.whole[k, WAY_HOW]
        _follow(kept, count, beam, h, groups, g, how, stand, slot)
        twin = _twin(kept, count, slot)
        if twin >= 0:
            _join(kept, twin, beam, h, ways.real[k, WAY_SCORE], slot)
            continue
        _write(kept, count, beam, h, groups, g, how, stand, slot)
        kept.real[count, SCORE] = ways.real[k, WAY_SCORE]
        if how != HOW_NOBODY:
            kept.real[count, DWELL] = ways.real[k, WAY_DWELL]
            kept.real[count, PLACE] = ways.real[k, WAY_PLACE]
        count += 1
    return count


@njit(cache=True)
def share_chance(dx: float, dy: float, noise_m: float) -> float:
    """Chance that the next customer, whose door is so far from the last one's, is served without a move."""
    reach2 = SHARED_REACH_M**2 + (SHARED_REACH_NOISE * noise_m) ** 2
    return SHARED * exp(-(dx * dx + dy * dy) / reach2) + 1e-3


@lean()
def _sums(real: Floats, whole: Ints) -> Any:
    """Sums over the lengths of services, the latest visit included."""
    if whole[GROUP_ID] < 0:
        return real[SERVICES], real[TOTAL], real[SQUARES]
    z = log_length((whole[UNTIL] - whole[SINCE]) / 1000, real[NEED])
    return real[SERVICES] + 1, real[TOTAL] + z, real[SQUARES] + z * z


@lean()
def _unmoved(real: Floats, whole: Ints, stand: Stand) -> bool:
    """Whether the van stands where it stood for the latest visit, just before."""
    return stand.arrived_ms - whole[UNTIL] < SOON_MS and _away2(real, stand) <= SAME_PLACE_M**2


@lean()
def _away2(real: Floats, stand: Stand) -> float:
    """How far the van stands from where it stood for the latest visit, squared metres."""
    away2: float = (stand.park_x - real[PARK_X]) ** 2 + (stand.park_y - real[PARK_Y]) ** 2
    return away2


@njit(cache=True)
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
            pending = jumped(served, last, number)
            put(served, number)
            last = number
        elif _seen(beam, h, customer):
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
    away2 = _away2(real, stand)
    here = away2 <= SAME_PLACE_M**2
    priors = RESUMED_HERE if here else RESUMED_MOVED
    at = np.searchsorted(RESUMED_S, gap_s)
    if at >= len(priors):
        return -np.inf, 0.0, 0.0
    prior = RESUMED_PARTED if stand.parted and not here and at == 0 else priors[at]
    if not here:
        prior += (max(stand.moves - 1, 0) if stand.parted else whole[MOVES]) * MOVED_AGAIN
    where = -log(pi * SAME_PLACE_M**2) if here else -away2 / MOVED_M**2 - log(pi * MOVED_M**2)
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
def _follow(
    kept: Beam, row: int, beam: Beam, h: int, groups: Groups, g: int, how: int, stand: Stand, slot: int
) -> None:
    """Write down what matters later of the hypothesis that comes of one growth: whom was served, and when."""
    copy_row(kept.real[row], beam.real[h])
    copy_row(kept.whole[row], beam.whole[h])
    copy_row(kept.served[row], beam.served[h])
    kept.past[row, slot, 0], kept.past[row, slot, 1] = -1, 0
    if how == HOW_NOBODY:
        kept.whole[row, IDLE] += 1
        return
    real, whole, start = kept.real[row], kept.whole[row], groups.whole[g, G_START]
    kept.past[row, slot, 0], kept.past[row, slot, 1] = groups.whole[g, G_ID], how == HOW_RESUMED
    whole[UNTIL] = stand.departed_ms
    if how == HOW_RESUMED:
        whole[MOVES] += _away2(beam.real[h], stand) > SAME_PLACE_M**2 and not stand.parted
        return
    whole[SINCE], whole[MOVES] = stand.arrived_ms, 0
    whole[SIZE], whole[GROUP_ID] = groups.whole[g, G_SIZE], groups.whole[g, G_ID]
    for m in range(start, start + groups.whole[g, G_SIZE]):
        number = groups.members[m, M_NUMBER]
        if number >= 0:
            ordered = order_prior(kept.served[row], whole[LAST], whole[PENDING], number)
            real[STRAY] = strays_now(real[STRAY], ordered, whole[UNSERVED])
            whole[PENDING] = jumped(kept.served[row], whole[LAST], number)
            whole[LAST] = number
            whole[UNSERVED] -= 1
            put(kept.served[row], number)
        elif not (stand.planned and _seen(beam, h, groups.members[m, M_CUSTOMER])):
            whole[UNNAMED] += 1


@lean()
def _seen(beam: Beam, h: int, customer: int) -> bool:
    """Whether that customer was served before."""
    return bool(customer < 64 * beam.seen.shape[1] and has(beam.seen[h], customer))


@lean()
def _write(
    kept: Beam, row: int, beam: Beam, h: int, groups: Groups, g: int, how: int, stand: Stand, slot: int
) -> None:
    """Write down the rest of it."""
    copy_row(kept.seen[row], beam.seen[h])
    for k in range(beam.past.shape[1]):
        if k != slot:
            copy_row(kept.past[row, k], beam.past[h, k])
        copy_row(kept.belief[row, k], beam.belief[h, k])
    kept.belief[row, slot, :] = 0.0
    if how == HOW_NOBODY:
        return
    real, start = kept.real[row], groups.whole[g, G_START]
    real[PARK_X], real[PARK_Y] = stand.park_x, stand.park_y
    for m in range(start, start + groups.whole[g, G_SIZE]):
        kept.belief[row, slot, groups.members[m, M_CANDIDATE]] = 1.0
        if how == HOW_VISIT:
            put(kept.seen[row], groups.members[m, M_CUSTOMER])
    if how == HOW_VISIT:
        real[SERVICES], real[TOTAL], real[SQUARES] = _sums(beam.real[h], beam.whole[h])
        real[NEED] = groups.real[g, G_NEED]
        real[DOOR_X], real[DOOR_Y] = groups.real[g, LAST_X], groups.real[g, LAST_Y]


@lean()
def copy_row(to: Any, of: Any) -> None:
    """Write one row over another."""
    for k in range(len(of)):
        to[k] = of[k]


@lean()
def _twin(kept: Beam, row: int, slot: int) -> int:
    """The row before this one that is alike in all that matters later, -1 when there is none."""
    for other in range(row):
        if (
            kept.whole[other, LAST] == kept.whole[row, LAST]
            and kept.whole[other, PENDING] == kept.whole[row, PENDING]
            and kept.whole[other, SINCE] == kept.whole[row, SINCE]
            and kept.whole[other, GROUP_ID] == kept.whole[row, GROUP_ID]
            and kept.whole[other, MOVES] == kept.whole[row, MOVES]
            and kept.past[other, slot, 0] == kept.past[row, slot, 0]
            and kept.past[other, slot, 1] == kept.past[row, slot, 1]
            and _same(kept.served[other], kept.served[row])
        ):
            return other
    return -1


@lean()
def _same(a: Bits, b: Bits) -> bool:
    alike = True
    for word in range(len(a)):
        alike = alike and a[word] == b[word]
    return alike


@lean()
def _join(kept: Beam, row: int, beam: Beam, h: int, score: float, slot: int) -> None:
    """Add the weight and the beliefs of another hypothesis, which is no better: what hypothesis h becomes."""
    ratio = np.exp(score - kept.real[row, SCORE])
    kept.real[row, SCORE] += np.log1p(ratio)
    for k in range(slot):
        for c in range(beam.belief.shape[2]):
            mixed = kept.belief[row, k, c] + ratio * beam.belief[h, k, c]
            kept.belief[row, k, c] = mixed / (1 + ratio)


def empty_beam(planned: int, slots: int, candidates: int) -> Beam:
    """One hypothesis that has explained nothing yet."""
    real = np.zeros((1, REAL_COLUMNS))
    real[0, NEED], real[0, DOOR_X], real[0, STRAY] = 1.0, 1e9, STRAYS
    whole = np.array([[-1, -1, 0, 0, 0, -1, 0, planned, 0, 0]], dtype=np.int64)
    return Beam(
        real,
        whole,
        np.zeros((1, planned // 64 + 1), np.uint64),
        np.zeros((1, 1), np.uint64),
        np.full((1, slots, 2), -1, np.int64),
        np.zeros((1, slots, candidates)),
    )
