"""How well place, length and walk fit each group of customers, and which part of the time was whose."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel
from geofence.dwell import any_trade_score, trades, usual_length
from geofence.evidence import parked
from geofence.groups import GROUP, NEEDED_S, SPREAD_M, Near, X, Y, together
from geofence.hypotheses import (
    FIRST_X,
    G_NEED,
    G_NEEDED_S,
    G_PLACE,
    G_REST,
    G_SERVED,
    G_SHARED,
    G_SIZE,
    G_START,
    LAST_Y,
    M_CANDIDATE,
    Beam,
    Groups,
    Stand,
)
from geofence.onward import sums
from geofence.resting import find_rest, may_rest
from geofence.walk import (
    LENGTH_LOG_SD,
    MOMENTS,
    Turns,
    Walk,
    by_need,
    looks_of,
    one_by_one,
    turns_of,
    weigh_door,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class _Seen(NamedTuple):
    """What the fixes of a walk tell, up to each moment of change; see `walk.one_by_one`.

    Of each customer near (a row each) when served all the time, and that as a whole; and of changes.
    `known`: whether there are fixes.
    """

    gains: Floats
    alone: Floats
    turns: Turns
    known: bool


@kernel()
def weigh(
    groups: Groups, needs: Floats, near: Near, walk: Walk, stand: Stand, mean_need: float, beam: Beam
) -> Any:
    """Fill in the groups' numbers; returns the changes within each (see `one_by_one`), and the breaks.

    That is how many customers each served before a break, -1 where none was taken (see `with_rest`).
    """
    places = np.empty(len(near.real))
    for n in range(len(near.real)):
        at = near.real[n]
        places[n] = parked(walk.park[0], walk.park[1], walk.noise_m, at[X], at[Y], at[SPREAD_M])
    needs = needs / mean_need
    long = may_rest(walk, stand)
    seen = _look(groups, near, walk, long)
    splits, changes = _splits(groups, needs, walk, seen)
    for g in range(len(groups.whole)):
        begin, size = groups.whole[g, G_START], groups.whole[g, G_SIZE]
        of, real = groups.members[begin : begin + size], groups.real[g]
        real[G_PLACE] = np.max(places[of[:, M_CANDIDATE]]) + splits[g]
        real[G_NEED] = np.sum(needs[begin : begin + size])
        real[G_NEEDED_S], real[G_SHARED] = 0.0, together(near, of, walk)
        real[G_REST], real[G_SERVED] = -np.inf, 1.0
        for m in range(size):
            at = near.real[of[m, M_CANDIDATE]]
            real[G_NEEDED_S] = max(real[G_NEEDED_S], at[NEEDED_S])
        first, last = near.real[of[0, M_CANDIDATE]], near.real[of[size - 1, M_CANDIDATE]]
        real[FIRST_X : LAST_Y + 1] = first[X], first[Y], last[X], last[Y]
    rests = np.full(len(groups.whole), -1)
    if long:
        services, total, squares = sums(beam.real[0], beam.whole[0])
        _find_rests(groups, needs, walk, seen, trades(services, total, squares), splits, changes, rests)
    return changes, rests


@kernel()
def _look(groups: Groups, near: Near, walk: Walk, part: bool) -> _Seen:
    """What the fixes tell; that of changes only where some serve several, or there is a `part` for nobody."""
    n, known = len(near.real), len(walk.t) > 0
    gains, alone = np.empty((n, MOMENTS)), np.zeros(n)
    turns = Turns(alone, alone, alone)
    if known:
        looks, of_fixes = looks_of(walk), np.empty(len(walk.t))
        for k in range(n):
            at = near.real[k]
            alone[k] = weigh_door(walk, looks, at[X], at[Y], at[SPREAD_M], of_fixes, gains[k])
        if part or (len(groups.whole) > 0 and np.max(groups.whole[:, G_SIZE]) > 1):
            turns = turns_of(walk, looks)
    return _Seen(gains, alone, turns, known)


@kernel()
def _splits(groups: Groups, needs: Floats, walk: Walk, seen: _Seen) -> Any:
    """How well the walk fits each group, and the changes from each member to the next."""
    whole = groups.whole
    scores, changes = np.zeros(len(whole)), np.zeros((len(whole), GROUP, 3))
    for g in range(len(whole)):
        begin, size = whole[g, G_START], whole[g, G_SIZE]
        of, need = groups.members[begin : begin + size, M_CANDIDATE], needs[begin : begin + size]
        if size == 1:
            scores[g] = seen.alone[of[0]]
        elif seen.known and walk.end_s - walk.begin_s >= size:
            share, log_sd = need / np.sum(need), np.full(size, LENGTH_LOG_SD)
            scores[g], _ = one_by_one(seen.gains[of], seen.turns, share, log_sd, changes[g])
        else:
            by_need(need / np.sum(need), changes[g])
    return scores, changes


@kernel()
def _find_rests(
    groups: Groups, needs: Floats, walk: Walk, seen: _Seen, of_driver: Any, splits: Floats, changes: Floats,
    rests: Ints,
) -> None:  # fmt: skip
    """Fill in the breaks taken while each group was served, and the changes where there is one."""
    seconds, usual_s = walk.end_s - walk.begin_s, needs * usual_length(of_driver)
    for g in range(len(groups.whole)):
        begin, size = groups.whole[g, G_START], groups.whole[g, G_SIZE]
        of, real = groups.members[begin : begin + size, M_CANDIDATE], groups.real[g]
        own_s = usual_s[begin : begin + size]
        plain = any_trade_score(of_driver, seconds, real[G_NEED], size)
        rests[g] = find_rest(real, changes[g], seen.gains[of], seen.turns, own_s, seconds, splits[g], plain)
