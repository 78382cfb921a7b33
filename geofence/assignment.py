"""Whom each standstill served: a beam search over all evidence together, online and bounded.

A hypothesis explains the day's standstills so far: which customers each served, if any. Several customers may
share one standstill and one visit may span several. The weights of the hypotheses that survive give each
decision its confidence. (Beam search over a hidden Markov alignment of standstills to planned stops; compare
Rabiner 1989 and Lowerre 1976; `geofence/beam.py` grows the hypotheses.)
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from math import log
from typing import Final, NamedTuple

import numpy as np

from geofence.evidence import Candidate, Nearby, idle_dwell
from geofence.fences import Fence
from geofence.groups import NEAREST, Target
from geofence.hypotheses import G_ID, G_SIZE, G_START, M_CANDIDATE, M_NUMBER, Stand, empty_beam
from geofence.known import Known
from geofence.onward import UNPLANNED
from geofence.plan import Plan, PlannedStop
from geofence.standstills import Standstill
from geofence.stepping import Used, believed, extended
from geofence.walk import Walk

MOVED_ON: Final = log(0.5)  # a customer whom no route names, for each move of a queue but the first ...
MOVES_MOST: Final = 3  # ... of so many at most
WINDOW: Final = 16  # decisions older than so many standstills with candidates are final


class Change(NamedTuple):
    """When a customer's part of a standing ended and the next one's began, and between which times."""

    at_ms: int
    low_ms: int
    high_ms: int


class Decision(NamedTuple):
    """Whom one standstill served; `resumes`: it goes on with the visit before.

    `rests`: how many were served before a break was taken there, -1 without one.
    """

    number: int  # of the standstill
    targets: tuple[Target, ...]
    resumes: bool
    changes: tuple[Change, ...]  # from each part, one a target or the break, to the next
    length_ms: int
    rests: int = -1


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely one standstill served each customer, best first; the rest is nobody."""

    shares: tuple[tuple[str, float], ...]

    def of(self, customer_id: str) -> float:
        """Probability that this customer was served."""
        return next((p for c, p in self.shares if c == customer_id), 0.0)


NO_GROUP: Final = (-1, 0)
EVEN: Final = 50  # without a route whoever is likelier served than this (in hundredths) is told ...
BOTH: Final = 110  # ... and two where that makes a tenth at least that it was both
NOTHING: Final = 1 << 62  # a number that no standstill has


@dataclass(slots=True)
class _Open:
    """A standstill whose decision may still change: who was looked at, and whom it may have served."""

    number: int
    begin_ms: int
    length_ms: int
    found: Sequence[Candidate]
    used: Used
    choice: Sequence[int] = NO_GROUP  # what is held best: a group, and whether it resumed the visit before
    decision: Decision | None = None  # ... and what it says
    hundredths: bytes = b""  # how likely each of those found was served
    belief: Belief | None = None  # ... if it was asked for
    likely: int | None = None  # without a route: the group of all that are likelier served than not

    def weigh(self, hundredths: bytes, planned: bool) -> bool:
        """Note how likely each was served; whether that changes who may be told without a route."""
        self.hundredths, self.belief, before = hundredths, None, self.likely
        self.likely = None if planned else self._likely_group()
        return self.likely != before

    def chosen(self, choice: Sequence[int], follows: Sequence[int]) -> Sequence[int]:
        """Who was served; `choice`, and that of what `follows`, are the best hypothesis'."""
        if self.likely is None or choice[0] < 0 or choice[1] or follows[1]:
            return choice
        return [self.likely, 0]

    def _likely_group(self) -> int | None:
        """The group of all that are likelier served than not, if any.

        Each of two may be so, though either alone is likelier than both.
        """
        likely = [n for n, p in enumerate(self.hundredths) if p > EVEN]
        if len(likely) > 1 and sum([self.hundredths[n] for n in likely]) < BOTH:
            return None
        for group in self.used.whole.tolist() if likely else ():
            begin, end = group[G_START], group[G_START] + group[G_SIZE]
            if sorted(self.used.members[begin:end, M_CANDIDATE].tolist()) == likely:
                return int(group[G_ID])
        return None

    def believed(self) -> Belief:
        """What these chances say; the very same while they stay."""
        if self.belief is None:
            customers = [c.fence.customer_id for c in self.found]
            shares = [(c, n / 100) for c, n in zip(customers, self.hundredths, strict=False) if n]
            self.belief = Belief(tuple(sorted(shares, key=_likeliest)))
        return self.belief


class Assigner:
    """Feeds standstills in order; tells the best decisions so far and how sure they are."""

    def __init__(self, plan: Plan, dwell_s: float) -> None:
        self.plan = plan
        self._known = Known(plan, dwell_s)
        self._beam = empty_beam(len(plan.stops), WINDOW + 1, NEAREST)
        self._open: dict[int, _Open] = {}  # by number, a slot of the beam each
        self._settled: list[Decision] = []
        self._beliefs: dict[int, Belief] = {}  # about standstills that were open, by number
        self._weighed = True  # those open are as likely as the beam says
        self._changed = NOTHING  # number of the first standstill decided anew, see `changed`
        self.final_before = 0
        """Decisions of standstills below this index never change."""

    def copy(self) -> "Assigner":
        """The same state once more; the customers known are shared."""
        other = copy(self)
        other._open = {number: copy(standing) for number, standing in self._open.items()}
        other._settled, other._beliefs = list(self._settled), dict(self._beliefs)
        return other

    def skip(self, index: int) -> None:
        """Standstill number `index` is near no customer."""
        if not self._open:
            self.final_before = index + 1

    def step(
        self, index: int, standstill: Standstill, walk: Walk, near: Nearby, moves: int = 0
    ) -> Sequence[Candidate]:
        """Extend every hypothesis by what standstill number `index` may be; returns who was looked at.

        So many `moves` in a row led to it (see `creeping`).
        """
        rows = self._known.rows(near.fences)
        self._make_room(self._known.customers)
        self._beam, used, chances, gid, resumes, likeliest, agreed = extended(
            self._beam,
            self._known.table,
            rows,
            near.at,
            walk,
            self._stand(standstill, len(rows), moves),
            len(self._open),
            self._known.mean_need,
        )
        found = near.some(likeliest.tolist())
        self._weighed = False
        begin_ms = standstill.arrived_ms
        self._open[index] = _Open(index, begin_ms, standstill.departed_ms - begin_ms, found, used)
        self._changed = min(self._changed, next(islice(self._open, agreed, None)))
        if len(self._open) > WINDOW:
            self._settle_oldest(chances.tobytes(), [gid, resumes])
        return found

    def changed(self) -> int:
        """No decision about a standstill before this number has changed since this was last asked."""
        self._weigh()
        changed, self._changed = self._changed, NOTHING
        return changed

    def decisions(self, since: int = 0) -> list[Decision]:
        """The best decisions about standstills from index `since` on, oldest first.

        A decision is the very same one while it stays.
        """
        found = self._settled[bisect_left(self._settled, since, key=_number) :]
        self._weigh()
        first = bisect_left(list(self._open), since)
        choices = [*self._beam.past[0, first : len(self._open)].tolist(), NO_GROUP]
        for n, standing in enumerate(islice(self._open.values(), first, None)):
            choice = standing.chosen(*choices[n : n + 2])
            if standing.choice != choice:
                self._decide(standing, choice)
            if standing.decision is not None:
                found.append(standing.decision)
        return found

    def beliefs(self, numbers: Iterable[int]) -> list[Belief]:
        """Whom these standstills served, as likely as is known so far; the very same while that stays."""
        self._weigh()
        standing, settled = self._open, self._beliefs
        return [standing[n].believed() if n in standing else settled[n] for n in numbers]

    def need(self, fence: Fence, planned: PlannedStop | None) -> float:
        """How long a service there should take, relative to others."""
        return self._known.need(fence, planned)

    def forget(self, number: int) -> None:
        """The belief about that standstill is not asked for any more."""
        self._beliefs.pop(number, None)

    def _stand(self, standstill: Standstill, near: int, moves: int) -> Stand:
        seconds = (standstill.departed_ms - standstill.arrived_ms) / 1000
        moved_on = max(moves - 1, 0)
        return Stand(
            standstill.arrived_ms,
            standstill.departed_ms,
            *standstill.park,
            *standstill.door,
            standstill.noise_m,
            standstill.parted,
            standstill.open_ended,
            idle_dwell(round(seconds, 1), standstill.open_ended),
            len(self.plan.stops),
            (UNPLANNED - log(max(near, 1)) if self.plan else 0.0) + min(moved_on, MOVES_MOST) * MOVED_ON,
            moved_on,
        )

    def _make_room(self, customers: int) -> None:
        """Have room in the beam for so many customers that were looked at."""
        words = customers // 64 + 1
        beam = self._beam
        if beam.seen.shape[1] < words:
            seen = np.zeros((len(beam.seen), 2 * words), np.uint64)
            seen[:, : beam.seen.shape[1]] = beam.seen
            self._beam = beam._replace(seen=seen)

    def _decide(self, standing: _Open, choice: Sequence[int]) -> None:
        standing.choice = choice
        standing.decision = _decision(standing, choice, self.plan)

    def _weigh(self) -> None:
        """Note how likely the candidates of those open were served."""
        if self._weighed:
            return
        hundredths = believed(self._beam.real, self._beam.belief).tobytes()
        for begin, standing in zip(range(0, len(hundredths), NEAREST), self._open.values(), strict=False):
            self._weigh_one(standing, hundredths[begin : begin + NEAREST])
        self._weighed = True

    def _weigh_one(self, standing: _Open, hundredths: bytes) -> None:
        if hundredths != standing.hundredths and standing.weigh(hundredths, bool(self.plan)):
            self._changed = min(self._changed, standing.number)

    def _settle_oldest(self, chances: bytes, choice: Sequence[int]) -> None:
        """Keep to what is best of the oldest open standstill; `choice` is the best hypothesis'."""
        oldest = self._open.pop(next(iter(self._open)))
        self._weigh_one(oldest, chances)
        choice = oldest.chosen(choice, self._beam.past[0, 0].tolist())
        if oldest.choice != choice:
            self._decide(oldest, choice)
        if oldest.decision is not None:
            self._settled.append(oldest.decision)
        self._beliefs[oldest.number] = oldest.believed()
        self.final_before = next(iter(self._open))


def _number(of: Decision) -> int:
    return of.number


def _likeliest(share: tuple[str, float]) -> tuple[float, str]:
    return -share[1], share[0]


def _decision(standing: _Open, choice: Sequence[int], plan: Plan) -> Decision | None:
    """What a choice of one of the standing's groups says; None when it is of none."""
    gid, resumes = choice
    if gid < 0:
        return None
    used, groups = standing.used, standing.used.whole.tolist()
    row = next(n for n, group in enumerate(groups) if group[G_ID] == gid)
    begin, size = groups[row][G_START], groups[row][G_SIZE]
    targets = []
    for member in used.members[begin : begin + size].tolist():
        fence, number = standing.found[member[M_CANDIDATE]].fence, member[M_NUMBER]
        planned = plan.stops[number] if number >= 0 else None
        targets.append(Target(fence.customer_id, fence.fence_id, planned))
    changes: tuple[Change, ...] = ()
    rests = int(used.rests[row])
    parts = size if rests < 0 else size + 1
    if parts > 1:
        since_ms = np.rint(standing.length_ms * used.changes[row, : parts - 1]).astype(np.int64)
        changes = tuple(map(Change._make, (standing.begin_ms + since_ms).tolist()))
    return Decision(standing.number, tuple(targets), resumes > 0, changes, standing.length_ms, rests)
