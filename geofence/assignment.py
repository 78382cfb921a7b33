"""Whom each standstill served: a beam search over all evidence together, online and bounded.

A hypothesis explains the day's standstills so far: which customers each served, if any. It is scored by the
place of the van and the driver, the time spent, the planned order, and what is still unserved; several
customers may share one standstill and one visit may span several. The weights of the hypotheses that
survive give each decision its confidence. (Beam search over a hidden Markov alignment of standstills to
planned stops; compare Rabiner 1989 and Lowerre 1976.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import exp, hypot, log, log1p
from typing import Final, NamedTuple

from geofence.evidence import SERVICE_MEDIAN_S, USUAL_WEIGHT, Candidate, idle_dwell, service_dwell
from geofence.plan import Plan, PlannedStop
from geofence.standstills import Standstill
from geofence.walk import Walk

BEAM: Final = 12
TOO_UNLIKELY: Final = 11.0  # hypotheses so far below the best are dropped
WINDOW: Final = 10  # decisions older than so many standstills with candidates are final
REMEMBERED: Final = 3  # decisions that must agree before two hypotheses count as one
GROUP: Final = 4  # customers at most served from one standstill
NEAREST: Final = 7  # customers looked at for one standstill

AHEAD: Final = [log(p) for p in (0.90, 0.035, 0.012, 0.006, 0.003)]
BEHIND: Final = [log(p) for p in (0.03, 0.01, 0.006, 0.003)]
FAR: Final = log(0.001)
UNPLANNED: Final = log(0.001)  # a customer that the route does not name
AGAIN: Final = log(0.005)  # a second visit that nobody planned
FREE: Final = log(0.25)  # any customer when there is no route
NOBODY: Final = log(0.5)
SHARED: Final = log(0.35)  # one more planned customer served from the same standing
SHARED_UNPLANNED: Final = log(0.01)  # ... one that no route names
SAME_PLACE_M: Final = 12.0
RESUMED_HERE: Final = [(60.0, log(0.85)), (180.0, log(0.5)), (600.0, log(0.08)), (1800.0, log(0.004))]
RESUMED_MOVED: Final = [(60.0, log(0.15)), (180.0, log(0.1)), (600.0, log(0.02)), (1800.0, log(0.0005))]
BEST_PLACE: Final = 3.2  # place score of a fit beyond reproach
TOO_SHORT: Final = -6.0
RESUMED_DWELL: Final = -log(60.0)  # density of the length of one more part: anything up to minutes


class Target(NamedTuple):
    """Who is served: a customer's fence, and the planned stop when there is one."""

    customer_id: str
    fence_id: str
    planned: PlannedStop | None


class Decision(NamedTuple):
    """One standstill's place in a hypothesis; `resumes`: it goes on with the visit before."""

    before: "Decision | None"
    number: int  # of the standstill
    targets: tuple[Target, ...]
    resumes: bool
    shares: tuple[float, ...]  # of the time, one a target


class _Group(NamedTuple):
    """Customers that one standstill may have served together, in the order of the plan."""

    targets: tuple[Target, ...]
    shares: tuple[float, ...]
    place: float
    need: float  # of the orders, in average ones
    seconds: float
    needed_s: float


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
    services: int  # before the latest visit
    log_length: float  # sum of the logarithms of their seconds for an average order
    place: float  # its place score
    park: tuple[float, float]  # where the van stood at its latest part


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
        self._beam = [_Hypothesis(0.0, 0, -1, None, frozenset(), 0, 0, 0.0, 1.0, 0, 0.0, 0.0, (0.0, 0.0))]
        needs = [_need(Target("", "", s)) for s in plan.stops]
        self._mean_need = sum(needs) / len(needs) if needs else 1.0
        self._open: list[int] = []  # standstills with candidates whose decision may still change
        self.beliefs: dict[int, Belief] = {}
        self.final_before = 0
        """Decisions of standstills below this index never change."""

    def copy(self) -> "Assigner":
        """An independent assigner in the same state."""
        twin = Assigner.__new__(Assigner)
        twin.plan, twin._dwell_s, twin._beam = self.plan, self._dwell_s, list(self._beam)
        twin._mean_need = self._mean_need
        twin._open, twin.beliefs, twin.final_before = list(self._open), dict(self.beliefs), self.final_before
        return twin

    def skip(self, index: int) -> None:
        """Standstill number `index` is near no customer."""
        if not self._open:
            self.final_before = index + 1

    def step(
        self, index: int, standstill: Standstill, walk: Walk, near: Sequence[Candidate]
    ) -> list[Candidate]:
        """Extend every hypothesis by what standstill number `index` may be; returns who was looked at."""
        found = self._likeliest(standstill, near)
        groups = self._groups(standstill, walk, found)
        grown = [g for old in self._beam for g in self._extend(old, standstill, groups)]
        self._beam = _prune(grown, index, standstill)
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
                _order_prior(h.served, h.last, stop.number)
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
        return _Group(targets, split.shares, parked + split.score, need, seconds, needed_s)

    def _extend(self, old: _Hypothesis, standstill: Standstill, groups: Sequence[_Group]) -> list[_Growth]:
        """Every way in which a hypothesis may go on, with its score."""
        seconds = (standstill.departed_ms - standstill.arrived_ms) / 1000
        idle = old.score + NOBODY + idle_dwell(round(seconds, 1), standstill.open_ended)
        grown = [_Growth(idle, old, None, 0.0, 0.0, False)]
        unmoved = old.decision is not None and self._unmoved(old, standstill)
        usual = (USUAL_WEIGHT * log(SERVICE_MEDIAN_S) + old.log_length) / (USUAL_WEIGHT + old.services)
        for group in groups:
            prior = self._prior(old, group.targets)
            if prior is None:
                continue
            if unmoved:
                prior += _shared_prior(group.targets[0])
            dwell = _dwell(exp(usual), group, group.seconds, standstill.open_ended)
            score = old.score + prior + group.place + dwell
            if score > idle - TOO_UNLIKELY:
                grown.append(_Growth(score, old, group, dwell, group.place, False))
        resumed = self._resumed(old, standstill, groups, exp(usual))
        if resumed is not None:
            grown.append(resumed)
        return grown

    def _unmoved(self, old: _Hypothesis, standstill: Standstill) -> bool:
        """Whether the van stands where it stood for the latest visit, just before."""
        soon = standstill.arrived_ms - old.until_ms < 180_000
        return soon and _apart_m(standstill.park, old.park) <= SAME_PLACE_M

    def _prior(self, old: _Hypothesis, targets: Sequence[Target]) -> float | None:
        """How likely these are served next, together; None when one of them has been served already."""
        served, last, prior = old.served, old.last, 0.0
        for n, target in enumerate(targets):
            if target.planned is not None:
                number = target.planned.number
                if served >> number & 1:
                    return None
                prior += _order_prior(served, last, number)
                served |= 1 << number
                last = number
            elif target.customer_id in old.customers:
                prior += AGAIN
            elif any(not served >> s.number & 1 for s in self.plan.of_customer.get(target.customer_id, ())):
                return None
            else:
                prior += UNPLANNED if self.plan else FREE
            prior += _shared_prior(target) if n else 0.0
        return prior

    def _resumed(
        self, old: _Hypothesis, standstill: Standstill, groups: Sequence[_Group], usual_s: float
    ) -> _Growth | None:
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
        before_s = (old.until_ms - old.since_ms) / 1000
        whole_s = (standstill.departed_ms - old.since_ms) / 1000
        dwell = _dwell(usual_s, group, whole_s, standstill.open_ended)
        place = (old.place * before_s + group.place * group.seconds) / max(before_s + group.seconds, 1.0)
        score = old.score + prior + place - old.place + dwell - old.dwell + RESUMED_DWELL
        return _Growth(score, old, group, dwell, place, True)


def _grow(growth: _Growth, number: int, standstill: Standstill) -> _Hypothesis:
    """The hypothesis that comes of it."""
    old, group = growth.old, growth.group
    if group is None:
        return old._replace(score=growth.score)
    if growth.resumes:
        assert old.decision is not None
        before_s = (old.until_ms - old.since_ms) / 1000
        shares = group.shares if group.seconds > before_s else old.decision.shares
        return old._replace(
            score=growth.score,
            decision=Decision(old.decision, number, group.targets, True, shares),
            until_ms=standstill.departed_ms,
            dwell=growth.dwell,
            place=growth.place,
            park=standstill.park,
        )
    served, last = old.served, old.last
    services, log_length = old.services, old.log_length
    if old.decision is not None:
        services += 1
        log_length += log(max((old.until_ms - old.since_ms) / 1000 / old.need, 10.0))
    for target in group.targets:
        if target.planned is not None:
            last = target.planned.number
            served |= 1 << last
    return _Hypothesis(
        score=growth.score,
        served=served,
        last=last,
        decision=Decision(old.decision, number, group.targets, False, group.shares),
        customers=old.customers | {t.customer_id for t in group.targets},
        since_ms=standstill.arrived_ms,
        until_ms=standstill.departed_ms,
        dwell=growth.dwell,
        need=group.need,
        services=services,
        log_length=log_length,
        place=growth.place,
        park=standstill.park,
    )


def _dwell(usual_s: float, group: _Group, seconds: float, censored: bool) -> float:
    """Score of a service's length, by what its orders need and how long this driver's services take."""
    score = service_dwell(seconds, usual_s * group.need, len(group.targets), censored)
    return score + TOO_SHORT if seconds < group.needed_s else score


def _apart_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


def _place(places: Sequence[float]) -> float:
    """Place score of customers served together: the best one's, less what others lack to a perfect fit."""
    best = max(places)
    return best + sum(min(p - BEST_PLACE, 0.0) for p in places) - min(best - BEST_PLACE, 0.0)


def _shared_prior(target: Target) -> float:
    return SHARED if target.planned is not None else SHARED_UNPLANNED


def _number(target: Target) -> int:
    return -1 if target.planned is None else target.planned.number


def _need(target: Target) -> float:
    """How long a service should take relative to others of its standing, by its order."""
    order = target.planned.stop.order if target.planned is not None else None
    if order is None:
        return 1.0
    return 1.0 + 0.04 * (order.items or 0) + 0.08 * (order.boxes or 0) + 0.005 * (order.weight_kg or 0.0)


def _order_prior(served: int, last: int, number: int) -> float:
    """How likely this planned stop comes next: by its rank among the unserved after, or before, the last."""
    if number > last:
        between = ((1 << number) - 1) >> (last + 1) << (last + 1)
        rank = (between & ~served).bit_count()
        return AHEAD[rank] if rank < len(AHEAD) else FAR
    between = ((1 << last) - 1) >> (number + 1) << (number + 1)
    rank = (between & ~served).bit_count()
    return BEHIND[rank] if rank < len(BEHIND) else FAR


def _targets_at(hypothesis: _Hypothesis, index: int) -> tuple[tuple[str, ...], bool] | None:
    node = hypothesis.decision
    while node is not None and node.number > index:
        node = node.before
    if node is None or node.number != index:
        return None
    return tuple(t.fence_id for t in node.targets), node.resumes


def _key(h: _Hypothesis) -> tuple[object, ...]:
    """What tells hypotheses apart later on: what is served, and their latest few decisions."""
    found: list[object] = [h.served, h.last, h.since_ms]
    node = h.decision
    for _ in range(REMEMBERED):
        if node is None:
            break
        found += (node.number, node.targets, node.resumes)
        node = node.before
    return tuple(found)


def _prune(grown: list[_Growth], number: int, standstill: Standstill) -> list[_Hypothesis]:
    """The best hypotheses; those alike in all that matters later are joined: the weaker lends its weight."""
    grown.sort(key=lambda g: -g.score)
    kept: dict[tuple[object, ...], _Hypothesis] = {}
    for growth in grown[: 4 * BEAM]:
        if growth.score < grown[0].score - TOO_UNLIKELY:
            break
        h = _grow(growth, number, standstill)
        key = _key(h)
        better = kept.get(key)
        if better is not None:
            kept[key] = better._replace(score=better.score + log1p(exp(h.score - better.score)))
        elif len(kept) < BEAM:
            kept[key] = h
    return sorted(kept.values(), key=lambda h: -h.score)
