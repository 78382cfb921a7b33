"""How hypotheses about a day's standstills grow by one standstill.

A hypothesis says whom each standstill served. It is scored by place, time, order and what is unserved.
Those alike in all that matters later are joined: their weights add up, and so do their beliefs about the
standstills that may still change, so that these come out as by forward smoothing (compare Rabiner 1989).
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel, lean
from geofence.hypotheses import (
    DOOR_X,
    DOOR_Y,
    DWELL,
    G_ID,
    G_NEED,
    G_SERVED,
    G_SIZE,
    G_START,
    GROUP_ID,
    IDLE,
    LAST,
    LAST_X,
    LAST_Y,
    M_CANDIDATE,
    M_CUSTOMER,
    M_NUMBER,
    MOVES,
    NEED,
    PARK_X,
    PARK_Y,
    PENDING,
    PLACE,
    SCORE,
    SERVICES,
    SINCE,
    SIZE,
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
from geofence.onward import (
    HOW_NOBODY,
    HOW_RESUMED,
    HOW_VISIT,
    SAME_PLACE_M,
    TOO_UNLIKELY,
    WAY_DWELL,
    WAY_GROUP,
    WAY_HOW,
    WAY_OF,
    WAY_PLACE,
    WAY_SCORE,
    Ways,
    away2,
    find_ways,
    seen_before,
    sums,
)
from geofence.order import Bits, next_pending, order_prior, put, strays_now

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BEAM: Final = 24


@kernel()
def grow(beam: Beam, groups: Groups, orders: Floats, stand: Stand, slot: int) -> Any:
    """The best hypotheses after one more standstill, whose slot is given; `orders` as from `all_orders`."""
    n = len(beam.real) * (2 * len(groups.real) + 1)  # nobody; each group anew, and as one more part
    ways = Ways(np.empty((n, 3)), np.empty((n, 3), np.int64))
    count = find_ways(ways, beam, groups, orders, stand, slot)
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
        whole[MOVES] += away2(beam.real[h], stand) > SAME_PLACE_M**2 and not stand.parted
        return
    whole[SINCE], whole[MOVES] = stand.arrived_ms, 0
    whole[SIZE], whole[GROUP_ID] = groups.whole[g, G_SIZE], groups.whole[g, G_ID]
    for m in range(start, start + groups.whole[g, G_SIZE]):
        number = groups.members[m, M_NUMBER]
        if number >= 0:
            ordered = order_prior(kept.served[row], whole[LAST], whole[PENDING], number)
            real[STRAY] = strays_now(real[STRAY], ordered, whole[UNSERVED])
            whole[PENDING] = next_pending(kept.served[row], whole[LAST], number)
            whole[LAST] = number
            whole[UNSERVED] -= 1
            put(kept.served[row], number)
        elif not (stand.planned and seen_before(beam, h, groups.members[m, M_CUSTOMER])):
            whole[UNNAMED] += 1


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
        real[SERVICES], real[TOTAL], real[SQUARES] = sums(beam.real[h], beam.whole[h])
        real[NEED] = groups.real[g, G_NEED] / groups.real[g, G_SERVED]
        real[DOOR_X], real[DOOR_Y] = groups.real[g, LAST_X], groups.real[g, LAST_Y]


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
