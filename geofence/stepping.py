"""One step of the search in one call of compiled code: customers near a standstill in, hypotheses out."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.beam import grow
from geofence.compiling import kernel, lean
from geofence.dividing import divide
from geofence.groups import Table, likeliest, worthy
from geofence.hypotheses import G_ID, G_SIZE, G_START, SCORE, Beam, Groups, Stand, copy_row
from geofence.order import Bits
from geofence.walk import Walk
from geofence.weighing import weigh

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Used(NamedTuple):
    """The groups that any hypothesis holds to have been served, as in `hypotheses.Groups`.

    `changes` (groups, most members, 3) from each part to the next: see `walk.one_by_one`. `rests`: how many
    customers were served before a break, which is a part too; -1 without one: see `resting.with_rest`.
    """

    whole: Ints
    members: Ints
    changes: Floats
    rests: Ints


@kernel()
def _kept(beam: Beam, found: Groups, slot: int) -> Ints:
    """Rows of the groups that are left in a slot."""
    kept = np.empty(len(found.whole), np.int64)
    count = 0
    for g in range(len(found.whole)):
        for h in range(len(beam.past)):
            if beam.past[h, slot, 0] == found.whole[g, G_ID]:
                kept[count] = g
                count += 1
                break
    return kept[:count]


@kernel()
def _used(found: Groups, kept: Ints, changes: Floats, rests: Ints) -> Used:
    """The groups in those rows alone."""
    whole, rows = found.whole[kept], np.empty(len(found.members), np.int64)
    start = 0
    for g in range(len(whole)):
        begin, size = whole[g, G_START], whole[g, G_SIZE]
        rows[start : start + size] = np.arange(begin, begin + size)
        whole[g, G_START] = start
        start += size
    return Used(whole, found.members[rows[:start]], changes[kept], rests[kept])


@kernel()
def believed(real: Floats, belief: Floats) -> Any:
    """How likely each candidate of each slot was served, in hundredths (slots, candidates)."""
    weights = np.exp(real[:, SCORE] - real[0, SCORE])
    chances = np.zeros(belief.shape[1:])
    for h in range(len(weights)):
        chances += weights[h] * belief[h]
    return np.rint(100.0 * chances / weights.sum()).astype(np.uint8)


@lean()
def _agreed(before: Ints, now: Ints, slots: int) -> int:
    """How many of the first slots of one hypothesis are as they were in another."""
    slot = 0
    while slot < slots and before[slot, 0] == now[slot, 0] and before[slot, 1] == now[slot, 1]:
        slot += 1
    return slot


@kernel()
def _without_oldest(beam: Beam) -> Beam:
    """The hypotheses that agree with the best one on the oldest slot, the others one slot earlier.

    Written over those given.
    """
    count = _move_up(*beam)
    return Beam(
        beam.real[:count], beam.whole[:count], beam.served[:count], beam.seen[:count], beam.past[:count],
        beam.belief[:count],
    )  # fmt: skip


@lean()
def _move_up(real: Floats, whole: Ints, served: Bits, seen: Bits, past: Ints, belief: Floats) -> int:
    """Write the hypotheses that stay over the first ones; returns how many there are."""
    count, slots = 0, past.shape[1]
    group, resumes = past[0, 0, 0], past[0, 0, 1]
    for h in range(len(past)):
        if past[h, 0, 0] == group and past[h, 0, 1] == resumes:
            copy_row(real[count], real[h])
            copy_row(whole[count], whole[h])
            copy_row(served[count], served[h])
            copy_row(seen[count], seen[h])
            for slot in range(1, slots):
                copy_row(past[count, slot - 1], past[h, slot])
                copy_row(belief[count, slot - 1], belief[h, slot])
            count += 1
    return count


@kernel()
def extended(
    beam: Beam, table: Table, rows: Ints, at: Floats, walk: Walk, stand: Stand, slot: int, mean_need: float
) -> Any:
    """The hypotheses after one more standstill, whose slot is given; and the groups these hold.

    Near it are the customers in these `rows` of the table, placed as in `evidence.Nearby.at`.

    When that was the last slot, the oldest is settled and let go: how likely each of its candidates was
    served (see `believed`), the group served and whether it resumed; else nothing, -1 and 0.
    Then the numbers of the likeliest customers, those looked at; last, how many of the first slots the best
    hypothesis still decides as the best one before.
    """
    near, numbers = likeliest(beam, table, rows, at, stand)
    found, orders, needs = worthy(beam, near, walk, stand)
    changes, rests = weigh(found, needs, near, walk, stand, mean_need, beam)
    grown = grow(beam, found, orders, stand, slot)
    kept = _kept(grown, found, slot)
    divide(found, kept, needs, near, walk, rests, changes)
    used, agreed = _used(found, kept, changes, rests), _agreed(beam.past[0], grown.past[0], slot)
    if slot < grown.past.shape[1] - 1:
        return grown, used, np.empty(0, np.uint8), -1, 0, numbers, agreed
    chances, (gid, resumes) = believed(grown.real, grown.belief[:, :1].copy())[0], grown.past[0, 0]
    return _without_oldest(grown), used, chances, gid, resumes, numbers, agreed
