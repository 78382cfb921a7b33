"""Whom each standstill served: a beam search over all evidence together, online and bounded.

A hypothesis explains the day's standstills so far: which customers each served, if any. It is scored by the
place of the van and the driver, the time spent, the planned order, and what is still unserved; several
customers may share one standstill and one visit may span several. The weights of the hypotheses that
survive give each decision its confidence. (Beam search over a hidden Markov alignment of standstills to
planned stops; compare Rabiner 1989 and Lowerre 1976.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import exp, hypot, log, log1p, pi
from typing import Final, NamedTuple

from geofence.dwell import Habit
from geofence.evidence import BACKGROUND, Candidate, idle_dwell
from geofence.plan import Plan, PlannedStop
from geofence.standstills import Standstill
from geofence.walk import Change as Fraction
from geofence.walk import Walk

BEAM: Final = 12
TOO_UNLIKELY: Final = 11.0  # hypotheses so far below the best are dropped
WINDOW: Final = 10  # decisions older than so many standstills with candidates are final
REMEMBERED: Final = 3  # decisions that must agree before two hypotheses count as one
GROUP: Final = 4  # customers at most served from one standstill
NEAREST: Final = 7  # customers looked at for one standstill

AHEAD: Final = [log(p) for p in (0.88, 0.06, 0.015, 0.006, 0.003)]
BEHIND: Final = [log(p) for p in (0.02, 0.01, 0.006, 0.003)]
SWAPPED: Final = log(0.5)  # the stop just jumped over comes next
GOES_ON: Final = log(0.5)  # ... or it does not
FAR: Final = log(0.001)
UNPLANNED: Final = log(0.001)  # a customer that the route does not name
AGAIN: Final = log(0.005)  # a second visit that nobody planned
AGAIN_FREE: Final = log(0.05)  # ... where there is no plan
FREE: Final = log(0.25)  # any customer when there is no route
NOBODY: Final = log(0.5)
SHARED: Final = 0.85  # chance that the next customer at the same door is served from the same standing
SHARED_REACH_M: Final = 40.0  # ... and how it falls with the distance of the doors
SHARED_UNPLANNED: Final = log(0.01)  # ... one that no route names
SAME_PLACE_M: Final = 12.0
RESUMED_HERE: Final = [(60.0, log(0.15)), (180.0, log(0.08)), (600.0, log(0.02)), (1800.0, log(0.002))]
RESUMED_MOVED: Final = [(60.0, log(0.01)), (180.0, log(0.005)), (600.0, log(0.001))]
MOVED_M: Final = 30.0  # a van moved within one service moves about so far
ROAD_M: Final = 60.0  # who stands for nobody stands somewhere on the roads about the way driven ...
FAR_M: Final = 1500.0  # ... of which this much counts
FAR_FREE_M: Final = 300.0  # ... where any customer may be served
BEST_PLACE: Final = 3.2  # place score of a fit beyond reproach
TOO_SHORT: Final = -6.0
RESUMED_DWELL: Final = -log(60.0)  # density of the length of one more part: anything up to minutes


class Target(NamedTuple):
    """Who is served: a customer's fence, and the planned stop when there is one."""

    customer_id: str
    fence_id: str
    planned: PlannedStop | None


class Change(NamedTuple):
    """When a customer's part of a standing ended and the next one's began, and between which times."""

    at_ms: int
    low_ms: int
    high_ms: int


class Decision(NamedTuple):
    """One standstill's place in a hypothesis; `resumes`: it goes on with the visit before."""

    before: "Decision | None"
    number: int  # of the standstill
    targets: tuple[Target, ...]
    resumes: bool
    changes: tuple[Change, ...]  # from each target to the next: estimate and bounds, milliseconds


class _Group(NamedTuple):
    """Customers that one standstill may have served together, in the order of the plan."""

    targets: tuple[Target, ...]
    changes: tuple[Fraction, ...]
    place: float
    need: float  # of the orders, in average ones
    seconds: float
    needed_s: float
    doors: tuple[tuple[float, float], ...]
    shared: float  # log chance that these are served from one standing, given their order


class _Hypothesis(NamedTuple):
    score: float
    served: int  # bit set of planned stops
    last: int  # number of the last planned stop served, -1 before the first
    decision: Decision | None
    customers: frozenset[str]  # all customers served so far
    since_ms: int  # of the latest visit
    until_ms: int
    dwell: float  # its dwell score
    need: float  # of its orders
    habit: Habit  # of the services before the latest visit
    place: float  # its place score
    park: tuple[float, float]  # where the van stood at its latest part
    driven_m: float  # up to there
    door: tuple[float, float]  # of the customer served last
    pending: int  # number of the planned stop that was just jumped over, or -1


class _Growth(NamedTuple):
    """One way in which a hypothesis goes on: nobody (no group), a new visit, or the latest one resumed."""

    score: float
    old: _Hypothesis
    group: _Group | None
    dwell: float
    place: float
    resumes: bool


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely one standstill served each customer, best first; the rest is nobody."""

    shares: tuple[tuple[str, float], ...]

    def of(self, customer_id: str) -> float:
        """Probability that this customer was served."""
        return next((p for c, p in self.shares if c == customer_id), 0.0)


class Assigner:
    """Feeds standstills in order; tells the best decisions so far and how sure they are."""

    def __init__(self, plan: Plan, dwell_s: float) -> None:
        self.plan = plan
        self._dwell_s = dwell_s
        self._beam = [
            _Hypothesis(
                0.0,
                0,
                -1,
                None,
                frozenset(),
                0,
                0,
                0.0,
                1.0,
                Habit(),
                0.0,
                (0.0, 0.0),
                -250.0,
                (1e9, 1e9),
                -1,
            )
        ]
        needs = [_need(Target("", "", s)) for s in plan.stops]
        self._mean_need = sum(needs) / len(needs) if needs else 1.0
        self._driven_m = 0.0  # from standstill to standstill, as the crow flies
        self._stood: tuple[float, float] | None = None
        self._open: list[int] = []  # standstills with candidates whose decision may still change
        self.beliefs: dict[int, Belief] = {}
        self.final_before = 0
        """Decisions of standstills below this index never change."""

    def copy(self) -> "Assigner":
        """An independent assigner in the same state."""
        twin = Assigner.__new__(Assigner)
        twin.plan, twin._dwell_s, twin._beam = self.plan, self._dwell_s, list(self._beam)
        twin._mean_need = self._mean_need
        twin._driven_m, twin._stood = self._driven_m, self._stood
        twin._open, twin.beliefs, twin.final_before = list(self._open), dict(self.beliefs), self.final_before
        return twin

    def skip(self, index: int, standstill: Standstill) -> None:
        """Standstill number `index` is near no customer."""
        self._drive_to(standstill.park)
        if not self._open:
            self.final_before = index + 1

    def step(
        self, index: int, standstill: Standstill, walk: Walk, near: Sequence[Candidate]
    ) -> list[Candidate]:
        """Extend every hypothesis by what standstill number `index` may be; returns who was looked at."""
        self._drive_to(standstill.park)
        found = self._likeliest(standstill, near)
        groups = self._groups(standstill, walk, found)
        grown = [g for old in self._beam for g in self._extend(old, standstill, groups)]
        self._beam = _prune(grown, index, standstill, self._driven_m)
        self._open.append(index)
        self._update_beliefs()
        while len(self._open) > WINDOW:
            self._settle_oldest()
        return found

    def decisions(self, since: int = 0) -> list[Decision]:
        """The best hypothesis' decisions about standstills from index `since` on, oldest first."""
        found = []
        node = self._beam[0].decision
        while node is not None and node.number >= since:
            found.append(node)
            node = node.before
        return found[::-1]

    def _drive_to(self, park: tuple[float, float]) -> None:
        if self._stood is not None:
            self._driven_m += _apart_m(self._stood, park)
        self._stood = park

    def _settle_oldest(self) -> None:
        index = self._open.pop(0)
        kept = _targets_at(self._beam[0], index)
        self._beam = [h for h in self._beam if _targets_at(h, index) == kept]
        self.final_before = self._open[0] if self._open else index + 1

    def _update_beliefs(self) -> None:
        """Weigh the latest few decisions, which hypotheses tell apart; earlier ones keep their weights."""
        top = self._beam[0].score
        weights = [exp(h.score - top) for h in self._beam]
        total = sum(weights)
        shares: dict[int, dict[str, float]] = {i: {} for i in self._open[-REMEMBERED:]}
        for hypothesis, weight in zip(self._beam, weights, strict=True):
            node = hypothesis.decision
            while node is not None and node.number >= self._open[0]:
                own = shares.get(node.number)
                if own is not None:
                    for target in node.targets:
                        own[target.customer_id] = own.get(target.customer_id, 0.0) + weight / total
                node = node.before
        for index, own in shares.items():
            ranked = sorted(((c, round(p, 2)) for c, p in own.items()), key=lambda s: (-s[1], s[0]))
            self.beliefs[index] = Belief(tuple(ranked))

    def _likeliest(self, standstill: Standstill, near: Sequence[Candidate]) -> list[Candidate]:
        """The candidates worth a look: well placed, and planned next by any of the best hypotheses."""

        def promise(candidate: Candidate) -> float:
            place = candidate.parked(standstill.park, standstill.noise_m)
            place = max(place, candidate.parked(standstill.door, standstill.noise_m))
            stops = self.plan.of_customer.get(candidate.customer_id, ())
            priors = [
                _order_prior(h.served, h.last, stop.number, h.pending)
                for h in self._beam[:3]
                for stop in stops
                if not h.served >> stop.number & 1
            ]
            return place + max(priors, default=UNPLANNED if self.plan else FREE)

        return sorted(near, key=lambda c: (-promise(c), c.fence.fence_id))[:NEAREST]

    def _groups(self, standstill: Standstill, walk: Walk, found: Sequence[Candidate]) -> list[_Group]:
        """Who may have been served: each customer alone, and planned neighbours in the plan together."""
        known = {c.fence.fence_id: c for c in found}
        singles: list[Target] = []
        planned: list[Target] = []
        for c in found:
            stops = self.plan.of_customer.get(c.customer_id, ())
            planned += [Target(c.customer_id, c.fence.fence_id, stop) for stop in stops]
            singles.append(Target(c.customer_id, c.fence.fence_id, None))
        planned.sort(key=_number)
        together: list[tuple[Target, ...]] = [(t,) for t in (*planned, *singles)]
        for size in range(2, GROUP + 1):
            for at in range(len(planned) - size + 1):
                group = tuple(planned[at : at + size])
                if _number(group[-1]) - _number(group[0]) <= size:
                    together.append(group)
        if not self.plan:
            together += combinations(singles[:3], 2)
        return [self._group(standstill, walk, targets, known) for targets in together]

    def _group(
        self,
        standstill: Standstill,
        walk: Walk,
        targets: tuple[Target, ...],
        known: Mapping[str, Candidate],
    ) -> _Group:
        members = [known[t.fence_id] for t in targets]
        split = walk.split([c.door for c in members], [_need(t) for t in targets])
        parked = _place([c.parked(standstill.park, standstill.noise_m) for c in members])
        seconds = (standstill.departed_ms - standstill.arrived_ms) / 1000
        needed_s = max(self._dwell_s if c.fence.dwell_s is None else c.fence.dwell_s for c in members)
        need = sum(_need(t) for t in targets) / self._mean_need
        doors = tuple(c.middle for c in members)
        shared = sum(log(_share_chance(a, b)) for a, b in pairwise(doors))
        shared += sum(SHARED_UNPLANNED for t in targets[1:] if t.planned is None)
        return _Group(targets, split.changes, parked + split.score, need, seconds, needed_s, doors, shared)

    def _extend(self, old: _Hypothesis, standstill: Standstill, groups: Sequence[_Group]) -> list[_Growth]:
        """Every way in which a hypothesis may go on, with its score."""
        seconds = (standstill.departed_ms - standstill.arrived_ms) / 1000
        idle = old.score + NOBODY + idle_dwell(round(seconds, 1), standstill.open_ended)
        idle += _anywhere(self._driven_m - old.driven_m, FAR_M if self.plan else FAR_FREE_M)
        grown = [_Growth(idle, old, None, 0.0, 0.0, False)]
        unmoved = old.decision is not None and self._unmoved(old, standstill)
        habit = _habit(old)
        for group in groups:
            prior = self._prior(old, group.targets)
            if prior is None:
                continue
            prior += group.shared
            if unmoved:
                prior += log(_share_chance(old.door, group.doors[0]))
            else:
                prior += log(1 - _share_chance(old.door, group.doors[0]))
            dwell = _dwell(habit, group, group.seconds, standstill.open_ended)
            score = old.score + prior + group.place + dwell
            if score > idle - TOO_UNLIKELY:
                grown.append(_Growth(score, old, group, dwell, group.place, False))
        resumed = self._resumed(old, standstill, groups)
        if resumed is not None:
            grown.append(resumed)
        return grown

    def _unmoved(self, old: _Hypothesis, standstill: Standstill) -> bool:
        """Whether the van stands where it stood for the latest visit, just before."""
        soon = standstill.arrived_ms - old.until_ms < 180_000
        return soon and _apart_m(standstill.park, old.park) <= SAME_PLACE_M

    def _prior(self, old: _Hypothesis, targets: Sequence[Target]) -> float | None:
        """How likely these are served next, together; None when one of them has been served already."""
        served, last, pending, prior = old.served, old.last, old.pending, 0.0
        for target in targets:
            if target.planned is not None:
                number = target.planned.number
                if served >> number & 1:
                    return None
                prior += _order_prior(served, last, number, pending)
                pending = _jumped(served, last, number)
                served |= 1 << number
                last = number
            elif target.customer_id in old.customers:
                prior += AGAIN if self.plan else AGAIN_FREE
            elif any(not served >> s.number & 1 for s in self.plan.of_customer.get(target.customer_id, ())):
                return None
            else:
                prior += UNPLANNED if self.plan else FREE
        return prior

    def _resumed(self, old: _Hypothesis, standstill: Standstill, groups: Sequence[_Group]) -> _Growth | None:
        """The standstill as one more part of the latest visit: the van was moved, or the driver came back."""
        if old.decision is None:
            return None
        gap_s = (standstill.arrived_ms - old.until_ms) / 1000
        here = _apart_m(standstill.park, old.park) <= SAME_PLACE_M
        prior = next((p for limit, p in (RESUMED_HERE if here else RESUMED_MOVED) if gap_s <= limit), None)
        targets = old.decision.targets
        group = next((g for g in groups if g.targets == targets), None)
        if prior is None or group is None:
            return None
        if here:
            prior -= log(pi * SAME_PLACE_M**2)
        else:
            prior -= (_apart_m(standstill.park, old.park) / MOVED_M) ** 2 + log(pi * MOVED_M**2)
        before_s = (old.until_ms - old.since_ms) / 1000
        whole_s = (standstill.departed_ms - old.since_ms) / 1000
        dwell = _dwell(old.habit, group, whole_s, standstill.open_ended)
        place = (old.place * before_s + group.place * group.seconds) / max(before_s + group.seconds, 1.0)
        score = old.score + prior + place - old.place + dwell - old.dwell + RESUMED_DWELL
        return _Growth(score, old, group, dwell, place, True)


def _grow(growth: _Growth, number: int, standstill: Standstill, driven_m: float) -> _Hypothesis:
    """The hypothesis that comes of it."""
    old, group = growth.old, growth.group
    if group is None:
        return old._replace(score=growth.score)
    if growth.resumes:
        assert old.decision is not None
        before_s = (old.until_ms - old.since_ms) / 1000
        longer = group.seconds > before_s
        changes = _changes(group, standstill) if longer else old.decision.changes
        return old._replace(
            score=growth.score,
            decision=Decision(old.decision, number, group.targets, True, changes),
            until_ms=standstill.departed_ms,
            dwell=growth.dwell,
            place=growth.place,
            park=standstill.park,
            driven_m=driven_m,
        )
    served, last, pending = old.served, old.last, old.pending
    for target in group.targets:
        if target.planned is not None:
            pending = _jumped(served, last, target.planned.number)
            last = target.planned.number
            served |= 1 << last
    return _Hypothesis(
        score=growth.score,
        served=served,
        last=last,
        decision=Decision(old.decision, number, group.targets, False, _changes(group, standstill)),
        customers=old.customers | {t.customer_id for t in group.targets},
        since_ms=standstill.arrived_ms,
        until_ms=standstill.departed_ms,
        dwell=growth.dwell,
        need=group.need,
        habit=_habit(old),
        place=growth.place,
        park=standstill.park,
        driven_m=driven_m,
        door=group.doors[-1],
        pending=pending,
    )


def _changes(group: _Group, standstill: Standstill) -> tuple[Change, ...]:
    begin, whole = standstill.arrived_ms, standstill.departed_ms - standstill.arrived_ms
    return tuple(Change(*(begin + round(whole * f) for f in change)) for change in group.changes)


def _habit(old: _Hypothesis) -> Habit:
    """What is known of the length of services, the latest visit included."""
    if old.decision is None:
        return old.habit
    seconds = (old.until_ms - old.since_ms) / 1000
    return old.habit.with_service(seconds, old.need)


def _dwell(habit: Habit, group: _Group, seconds: float, censored: bool) -> float:
    """Score of a service's length, by what its orders need and how long this driver's services take."""
    score = habit.score(seconds, group.need, len(group.targets), censored)
    return score + TOO_SHORT if seconds < group.needed_s else score


def _apart_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


def _place(places: Sequence[float]) -> float:
    """Place score of customers served together: the best one's, less what others lack to a perfect fit."""
    best = max(places)
    return best + sum(min(p - BEST_PLACE, 0.0) for p in places) - min(best - BEST_PLACE, 0.0) + BACKGROUND


def _share_chance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return SHARED * exp(-((_apart_m(a, b) / SHARED_REACH_M) ** 2)) + 1e-3


def _anywhere(driven_m: float, far_m: float) -> float:
    """Log density of a standstill that serves nobody: somewhere along the way from the latest visit."""
    return -log(ROAD_M * (min(driven_m, far_m) + ROAD_M))


def _number(target: Target) -> int:
    return -1 if target.planned is None else target.planned.number


def _need(target: Target) -> float:
    """How long a service should take relative to others of its standing, by its order."""
    order = target.planned.stop.order if target.planned is not None else None
    if order is None:
        return 1.0
    return 1.0 + 0.04 * (order.items or 0) + 0.08 * (order.boxes or 0) + 0.005 * (order.weight_kg or 0.0)


def _order_prior(served: int, last: int, number: int, pending: int) -> float:
    """How likely this planned stop comes next: by its rank among the unserved after, or before, the last."""
    if pending == number:
        return SWAPPED
    if number > last:
        between = ((1 << number) - 1) >> (last + 1) << (last + 1)
        rank = (between & ~served).bit_count()
        return (AHEAD[rank] if rank < len(AHEAD) else FAR) + (GOES_ON if pending >= 0 else 0.0)
    between = ((1 << last) - 1) >> (number + 1) << (number + 1)
    rank = (between & ~served).bit_count()
    return BEHIND[rank] if rank < len(BEHIND) else FAR


def _jumped(served: int, last: int, number: int) -> int:
    """The planned stop jumped over by serving this number next, -1 unless it is a single one."""
    if number <= last:
        return -1
    between = (((1 << number) - 1) >> (last + 1) << (last + 1)) & ~served
    return between.bit_length() - 1 if between.bit_count() == 1 else -1


def _targets_at(hypothesis: _Hypothesis, index: int) -> tuple[tuple[str, ...], bool] | None:
    node = hypothesis.decision
    while node is not None and node.number > index:
        node = node.before
    if node is None or node.number != index:
        return None
    return tuple(t.fence_id for t in node.targets), node.resumes


def _key(h: _Hypothesis) -> tuple[object, ...]:
    """What tells hypotheses apart later on: what is served, and their latest few decisions."""
    found: list[object] = [h.served, h.last, h.pending, h.since_ms]
    node = h.decision
    for _ in range(REMEMBERED):
        if node is None:
            break
        found += (node.number, node.targets, node.resumes)
        node = node.before
    return tuple(found)


def _prune(grown: list[_Growth], number: int, standstill: Standstill, driven_m: float) -> list[_Hypothesis]:
    """The best hypotheses; those alike in all that matters later are joined: the weaker lends its weight."""
    grown.sort(key=lambda g: -g.score)
    kept: dict[tuple[object, ...], _Hypothesis] = {}
    for growth in grown[: 4 * BEAM]:
        if growth.score < grown[0].score - TOO_UNLIKELY:
            break
        h = _grow(growth, number, standstill, driven_m)
        key = _key(h)
        better = kept.get(key)
        if better is not None:
            kept[key] = better._replace(score=better.score + log1p(exp(h.score - better.score)))
        elif len(kept) < BEAM:
            kept[key] = h
    return sorted(kept.values(), key=lambda h: -h.score)
