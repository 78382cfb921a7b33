"""Who may have been served from one standstill: each customer alone, and planned neighbours together.

Compiled: it runs for every standstill, with every customer near it.
"""

from math import exp, log
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean
from geofence.evidence import parked
from geofence.hypotheses import (
    G_ID,
    G_SIZE,
    G_START,
    GROUP_COLUMNS,
    GROUP_ID,
    LAST,
    M_CANDIDATE,
    M_CUSTOMER,
    M_NUMBER,
    M_STOPS,
    M_STOPS_END,
    MEMBER_COLUMNS,
    PENDING,
    SCORE,
    STRAY,
    UNSERVED,
    Beam,
    Groups,
    Stand,
)
from geofence.onward import AGAIN, all_orders, seen_before, share_chance
from geofence.order import best_prior, put
from geofence.plan import PlannedStop
from geofence.walk import Walk

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GROUP: Final = 7  # customers at most served from one standstill
NEAREST: Final = 12  # customers looked at for one standstill, at most ...
SURELY: Final = 7  # ... so many in any case ...
PROMISES_LESS: Final = 8.0  # ... and no more that are so much less likely than the best, as a logarithm
LEADING: Final = 3  # hypotheses that say which customers are worth a look
WORTH: Final = -9.0  # what is less likely than this before any fix is seen is not looked at
SHARED_UNPLANNED: Final = log(0.2)  # one more customer served that no route names
UNSEEN: Final = 0.25  # chance that a long silence hides a move to the next customer ...
SEEN_S: Final = 30.0  # ... while one so short hides none ...
UNSEEN_S: Final = 90.0  # ... what long is ...
UNSEEN_M: Final = 80.0  # ... and how far the next door may be
ALONE: Final = 3  # of so many customers any two are looked at together where there is no plan

# columns of Near.real: middle of the fence, its spread, least dwell
X, Y, SPREAD_M, NEEDED_S = range(4)
# columns of Near.whole: numbers of customer and fence, and rows of the customer's planned stops
CUSTOMER, FENCE, STOPS, STOPS_END = range(4)


class Target(NamedTuple):
    """Who is served: a customer's fence, and the planned stop when there is one."""

    customer_id: str
    fence_id: str
    planned: PlannedStop | None


class Near(NamedTuple):
    """The customers near a standstill, a row each; the numbers of their planned stops, and their needs.

    A need is how long a stop should take by its order, relative to others.
    """

    real: Floats
    whole: Ints
    stops: Ints
    needs: Floats


class Table(NamedTuple):
    """The customers that a day came near, a row each: columns of `Near.whole`, and the least dwell.

    And the numbers of their planned stops, with their needs.
    """

    whole: Ints
    needed_s: Floats
    stops: Ints
    needs: Floats


@kernel()
def likeliest(beam: Beam, table: Table, rows: Ints, at: Floats, stand: Stand) -> Any:
    """The customers worth a look, of those in these rows of the table and so placed; and their numbers."""
    near, numbers = _near(table, rows, at), np.arange(len(rows))
    if len(rows) > SURELY:
        promises = _promises(beam, near, stand)
        numbers = np.argsort(-promises, kind="mergesort")[:NEAREST]
        least, count = promises[numbers[0]] - PROMISES_LESS, SURELY
        while count < len(numbers) and promises[numbers[count]] > least:
            count += 1
        numbers = numbers[:count]
        near = _near(table, rows[numbers], at[numbers])
    return near, numbers


@kernel()
def _near(table: Table, rows: Ints, at: Floats) -> Near:
    count = 0
    for row in rows:
        count += table.whole[row, STOPS_END] - table.whole[row, STOPS]
    real, whole = np.empty((len(rows), 4)), table.whole[rows]
    stops, needs = np.empty(count, np.int64), np.empty(count)
    begin = 0
    for n in range(len(rows)):
        real[n, X], real[n, Y], real[n, SPREAD_M] = at[n, X], at[n, Y], at[n, SPREAD_M]
        real[n, NEEDED_S] = table.needed_s[rows[n]]
        own = table.whole[rows[n], STOPS]
        whole[n, STOPS] = begin
        while own < table.whole[rows[n], STOPS_END]:
            stops[begin], needs[begin] = table.stops[own], table.needs[own]
            own, begin = own + 1, begin + 1
        whole[n, STOPS_END] = begin
    return Near(real, whole, stops, needs)


@kernel()
def _promises(beam: Beam, near: Near, stand: Stand) -> Floats:
    """How much each customer promises: well placed, and planned next by any of the best hypotheses.

    Or held to have been served by one: then perhaps it was another, and this one comes only now.
    """
    found = np.empty(len(near.real))
    top = min(LEADING, len(beam.real))
    planned = np.zeros_like(beam.served[0])
    for stop in near.stops:
        put(planned, stop)
    for n in range(len(found)):
        at, whole = near.real[n], near.whole[n]
        place = max(
            parked(stand.park_x, stand.park_y, stand.noise_m, at[X], at[Y], at[SPREAD_M]),
            parked(stand.door_x, stand.door_y, stand.noise_m, at[X], at[Y], at[SPREAD_M]),
        )
        prior = stand.unnamed
        if whole[STOPS] < whole[STOPS_END]:
            stops = near.stops[whole[STOPS] : whole[STOPS_END]]
            best, whole_of_best = beam.real[:top], beam.whole[:top]
            next_ones = best_prior(
                beam.served[:top], whole_of_best[:, LAST], whole_of_best[:, PENDING], best[:, STRAY],
                whole_of_best[:, UNSERVED], stops, planned,
            )  # fmt: skip
            prior = max(prior, next_ones)
        for h in range(top):
            if seen_before(beam, h, whole[CUSTOMER]):
                prior = max(prior, AGAIN)
        found[n] = place + prior
    return found


@kernel()
def grouped(near: Near, planned: bool) -> Any:
    """All groups: `Groups.whole`, `Groups.members`, and the need of each member.

    Planned stops alone, customers alone, planned stops that follow one another; any two without a plan.
    """
    of = np.empty(len(near.stops), np.int64)
    for n in range(len(near.whole)):
        of[near.whole[n, STOPS] : near.whole[n, STOPS_END]] = n
    order = np.argsort(near.stops, kind="mergesort")
    most = GROUP * len(order) + len(near.whole) + ALONE
    whole = np.empty((most, 3), np.int64)
    members = np.empty((most * GROUP, MEMBER_COLUMNS), np.int64)
    needs = np.empty(most * GROUP)
    count = rows = 0
    for size in range(1, GROUP + 1):
        for at in range(len(order) - size + 1):
            if near.stops[order[at + size - 1]] - near.stops[order[at]] <= size:
                for stop in order[at : at + size]:
                    _put_member(members, needs, rows, near, of[stop], stop)
                    rows += 1
                whole[count, G_SIZE], whole[count, G_START], count = size, rows - size, count + 1
        if size == 1:
            for n in range(len(near.whole)):
                _put_member(members, needs, rows, near, n, -1)
                whole[count, G_SIZE], whole[count, G_START], count, rows = 1, rows, count + 1, rows + 1
    for a in range(0 if planned else min(ALONE, len(near.whole))):
        for b in range(a + 1, min(ALONE, len(near.whole))):
            _put_member(members, needs, rows, near, a, -1)
            _put_member(members, needs, rows + 1, near, b, -1)
            whole[count, G_SIZE], whole[count, G_START], count, rows = 2, rows, count + 1, rows + 2
    for g in range(count):
        begin = whole[g, G_START]
        whole[g, G_ID] = _identity(near, members[begin : begin + whole[g, G_SIZE]])
    return whole[:count], members[:rows], needs[:rows]


@lean()
def _put_member(members: Ints, needs: Floats, row: int, near: Near, n: int, stop: int) -> None:
    """Write down customer `n` for its planned stop in that row of `Near.stops`, or (-1) for none."""
    members[row, M_NUMBER] = near.stops[stop] if stop >= 0 else -1
    members[row, M_CUSTOMER], members[row, M_CANDIDATE] = near.whole[n, CUSTOMER], n
    members[row, M_STOPS], members[row, M_STOPS_END] = near.whole[n, STOPS], near.whole[n, STOPS_END]
    needs[row] = near.needs[stop] if stop >= 0 else 1.0


@lean()
def _identity(near: Near, members: Ints) -> Any:
    """A number for these fences and stops, the same at any standstill."""
    mixed = np.uint64(0x9E3779B97F4A7C15)  # any but 0, which the first fence would leave as it is
    for m in range(len(members)):
        target = np.uint64(near.whole[members[m, M_CANDIDATE], FENCE]) << np.uint64(24)
        mixed = (mixed ^ (target | np.uint64(members[m, M_NUMBER] + 1))) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
    return np.int64(mixed >> np.uint64(2))


@kernel()
def worthy(beam: Beam, near: Near, walk: Walk, stand: Stand) -> Any:
    """The groups worth a look, yet without scores; their orders in each hypothesis; needs of all members."""
    whole, members, needs = grouped(near, stand.planned > 0)
    orders = all_orders(beam, Groups(np.empty((0, GROUP_COLUMNS)), whole, members, near.stops), stand)
    kept = np.empty(len(whole), np.int64)
    count = 0
    for g in range(len(whole)):
        begin = whole[g, G_START]
        least = WORTH - together(near, members[begin : begin + whole[g, G_SIZE]], walk) + beam.real[0, SCORE]
        for h in range(len(beam.whole)):
            if beam.real[h, SCORE] + orders[h, g] > least or beam.whole[h, GROUP_ID] == whole[g, G_ID]:
                kept[count] = g
                count += 1
                break
    found = Groups(np.empty((count, GROUP_COLUMNS)), whole[kept[:count]], members, near.stops)
    return found, orders[:, kept[:count]], needs


@lean()
def together(near: Near, of: Ints, walk: Walk) -> float:
    """Log chance that these are served in one standing: without a move, or with one that a silence hides."""
    silent_s = max(walk.max_gap_s - SEEN_S, 0.0)
    total = 0.0
    for m in range(1, len(of)):
        a, b = near.real[of[m - 1, M_CANDIDATE]], near.real[of[m, M_CANDIDATE]]
        dx, dy = a[X] - b[X], a[Y] - b[Y]
        hidden = UNSEEN * (1 - exp(-silent_s / UNSEEN_S)) * exp(-(dx * dx + dy * dy) / UNSEEN_M**2)
        total += log(share_chance(dx, dy, walk.noise_m) + hidden)
        total += SHARED_UNPLANNED if of[m, M_NUMBER] < 0 else 0.0
    return total
