"""Whom each standstill served: a beam search over all evidence together, online and bounded.

A hypothesis explains the day's standstills so far: which customers each served, if any. It is scored by the
place of the van and the driver, the time spent, the planned order, and what is still unserved; several
customers may share one standstill and one visit may span several. The weights of the hypotheses that survive
give each decision its confidence. (Beam search over a hidden Markov alignment of standstills to planned stops;
compare Rabiner 1989 and Lowerre 1976.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import exp, hypot, log
from typing import Final, NamedTuple

from geofence.evidence import Candidate, idle_dwell, service_dwell
from geofence.plan import Plan, PlannedStop
from geofence.standstills import Standstill

BEAM: Final = 24
WINDOW: Final = 10  # decisions older than so many standstills with candidates are final
GROUP: Final = 4  # customers at most served from one standstill
REMEMBERED: Final = 3  # decisions that must agree before two hypotheses count as one
NEAREST: Final = 6  # candidates looked at for one standstill

AHEAD: Final = [log(p) for p in (0.80, 0.06, 0.025, 0.012, 0.006)]
BEHIND: Final = [log(p) for p in (0.05, 0.02, 0.01, 0.006, 0.004)]
FAR: Final = log(0.003)
UNPLANNED: Final = log(0.01)  # a customer that the route does not name
AGAIN: Final = log(0.01)  # a second visit that nobody planned
FREE: Final = log(0.25)  # any customer when there is no route
NOBODY: Final = log(0.5)
SHARED: Final = log(0.15)
SAME_PLACE_M: Final = 12.0
RESUMED_HERE: Final = [(60.0, log(0.6)), (180.0, log(0.4)), (600.0, log(0.08)), (1800.0, log(0.004))]
RESUMED_MOVED: Final = [(60.0, log(0.05)), (180.0, log(0.04)), (600.0, log(0.01)), (1800.0, log(0.0005))]
TOO_SHORT: Final = -6.0


class Target(NamedTuple):
    """Who is served: a customer's fence, and the planned stop when there is one."""

    customer_id: str
    fence_id: str
    planned: PlannedStop | None


class Decision(NamedTuple):
    """One standstill's place in a hypothesis; `resumes`: it goes on with the visit before."""

    before: "Decision | None"
    index: int
    targets: tuple[Target, ...]
    resumes: bool


class _Hypothesis(NamedTuple):
    score: float
    served: int  # bit set of planned stops
    last: int  # number of the last planned stop served, -1 before the first
    decision: Decision | None
    customers: frozenset[str]  # all customers served so far
    since_ms: int  # of the latest visit
    until_ms: int
    dwell: float  # its dwell score
    park: tuple[float, float]  # where the van stood at its latest part


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
        self._beam = [_Hypothesis(0.0, 0, -1, None, frozenset(), 0, 0, 0.0, (0.0, 0.0))]
        self._open: list[int] = []  # standstills with candidates whose decision may still change
        self.beliefs: dict[int, Belief] = {}
        self.final_before = 0
        """Decisions of standstills below this index never change."""

    def copy(self) -> "Assigner":
        """An independent assigner in the same state."""
        twin = Assigner.__new__(Assigner)
        twin.plan, twin._dwell_s, twin._beam = self.plan, self._dwell_s, list(self._beam)
        twin._open, twin.beliefs, twin.final_before = list(self._open), dict(self.beliefs), self.final_before
        return twin

    def step(self, index: int, standstill: Standstill, found: Sequence[Candidate]) -> None:
        """Extend every hypothesis by what standstill number `index` may have been."""
        if not found:
            if not self._open:
                self.final_before = index + 1
            return
        grown = [h for old in self._beam for h in self._extend(old, index, standstill, found)]
        self._beam = _prune(grown)
        self._open.append(index)
        self._update_beliefs()
        while len(self._open) > WINDOW:
            self._settle_oldest()

    def decisions(self, since: int = 0) -> list[Decision]:
        """The best hypothesis' decisions about standstills from index `since` on, oldest first."""
        found = []
        node = self._beam[0].decision
        while node is not None and node.index >= since:
            found.append(node)
            node = node.before
        return found[::-1]

    def _settle_oldest(self) -> None:
        index = self._open.pop(0)
        kept = _targets_at(self._beam[0], index)
        self._beam = [h for h in self._beam if _targets_at(h, index) == kept]
        self.final_before = self._open[0] if self._open else index + 1

    def _update_beliefs(self) -> None:
        top = self._beam[0].score
        weights = [exp(h.score - top) for h in self._beam]
        total = sum(weights)
        shares: dict[int, dict[str, float]] = {i: {} for i in self._open}
        for hypothesis, weight in zip(self._beam, weights, strict=True):
            node = hypothesis.decision
            while node is not None and node.index >= self._open[0]:
                if node.index in shares:
                    own = shares[node.index]
                    for target in node.targets:
                        own[target.customer_id] = own.get(target.customer_id, 0.0) + weight / total
                node = node.before
        for index, own in shares.items():
            ranked = sorted(((c, round(p, 2)) for c, p in own.items()), key=lambda s: (-s[1], s[0]))
            self.beliefs[index] = Belief(tuple(ranked))

    def _extend(
        self, old: _Hypothesis, index: int, standstill: Standstill, found: Sequence[Candidate]
    ) -> list[_Hypothesis]:
        seconds = (standstill.departed_ms - standstill.arrived_ms) / 1000
        censored = standstill.open_ended
        idle = NOBODY + idle_dwell(round(seconds, 1), censored)
        grown = [old._replace(score=old.score + idle)]
        resumed = self._resume(old, index, standstill, found)
        if resumed is not None:
            grown.append(resumed)
        options = [(c, *self._target(old, c)) for c in found[:NEAREST]]
        options.sort(key=lambda o: -(o[0].place + o[2]))
        for size in range(1, min(GROUP, len(options)) + 1):
            for group in combinations(options[: 6 - size], size):
                grown.append(self._serve(old, index, standstill, group, seconds, censored))
        return grown

    def _target(self, old: _Hypothesis, candidate: Candidate) -> tuple[Target, float]:
        """The most plausible way to serve this customer next, with its prior."""
        fence_id = candidate.fence.fence_id
        customer_id = candidate.customer_id
        best: tuple[Target, float] | None = None
        for planned in self.plan.of_customer.get(customer_id, ()):
            if old.served >> planned.number & 1:
                continue
            prior = _order_prior(old, planned.number)
            if best is None or prior > best[1]:
                best = Target(customer_id, fence_id, planned), prior
        if best is not None:
            return best
        if customer_id in old.customers:
            return Target(customer_id, fence_id, None), AGAIN
        return Target(customer_id, fence_id, None), UNPLANNED if self.plan else FREE

    def _serve(
        self,
        old: _Hypothesis,
        index: int,
        standstill: Standstill,
        group: Sequence[tuple[Candidate, Target, float]],
        seconds: float,
        censored: bool,
    ) -> _Hypothesis:
        served, last, score = old.served, old.last, old.score
        customers = old.customers
        targets = sorted((o[1] for o in group), key=_plan_order)
        free = {o[1]: o[2] for o in group}
        for n, target in enumerate(targets):
            if target.planned is not None:
                step = old._replace(served=served, last=last)
                score += _order_prior(step, target.planned.number)
                served |= 1 << target.planned.number
                last = target.planned.number
            else:
                score += free[target]
            score += SHARED if n else 0.0
            customers = customers | {target.customer_id}
        score += sum(o[0].place for o in group)
        dwell = service_dwell(seconds, len(group), censored)
        needed = max((self._needed_s(o[0]) for o in group), default=0.0)
        if seconds < needed:
            dwell += TOO_SHORT
        decision = Decision(old.decision, index, tuple(targets), False)
        return _Hypothesis(
            score + dwell,
            served,
            last,
            decision,
            customers,
            standstill.arrived_ms,
            standstill.departed_ms,
            dwell,
            standstill.park,
        )

    def _needed_s(self, candidate: Candidate) -> float:
        return self._dwell_s if candidate.fence.dwell_s is None else candidate.fence.dwell_s

    def _resume(
        self, old: _Hypothesis, index: int, standstill: Standstill, found: Sequence[Candidate]
    ) -> _Hypothesis | None:
        """The standstill as one more part of the latest visit: the van was moved, or the driver came back."""
        if old.decision is None:
            return None
        targets = old.decision.targets
        places = {c.customer_id: c for c in found}
        if any(t.customer_id not in places for t in targets):
            return None
        gap_s = (standstill.arrived_ms - old.until_ms) / 1000
        here = hypot(standstill.park[0] - old.park[0], standstill.park[1] - old.park[1]) <= SAME_PLACE_M
        prior = next((p for limit, p in (RESUMED_HERE if here else RESUMED_MOVED) if gap_s <= limit), None)
        if prior is None:
            return None
        seconds = (standstill.departed_ms - old.since_ms) / 1000
        dwell = service_dwell(seconds, len(targets), standstill.open_ended)
        if seconds < max(self._needed_s(places[t.customer_id]) for t in targets):
            dwell += TOO_SHORT
        place = sum(places[t.customer_id].place for t in targets) / len(targets)
        return old._replace(
            score=old.score + prior + place + dwell - old.dwell + _RESUMED_DWELL,
            decision=Decision(old.decision, index, targets, True),
            until_ms=standstill.departed_ms,
            dwell=dwell,
            park=standstill.park,
        )


_RESUMED_DWELL: Final = -log(60.0)
"""Density of the length of a part of a visit: anything up to minutes."""


def _plan_order(target: Target) -> tuple[int, str]:
    return (target.planned.number if target.planned else 1 << 30, target.fence_id)


def _order_prior(hypothesis: _Hypothesis, number: int) -> float:
    """How likely this planned stop comes next: by its rank among the unserved after, or before, the last."""
    if number > hypothesis.last:
        span = ((1 << number) - 1) >> (hypothesis.last + 1) << (hypothesis.last + 1)
        rank = (span & ~hypothesis.served).bit_count()
        return AHEAD[rank] if rank < len(AHEAD) else FAR
    span = ((1 << max(hypothesis.last, 0)) - 1) >> (number + 1) << (number + 1)
    rank = (span & ~hypothesis.served).bit_count()
    return BEHIND[rank] if rank < len(BEHIND) else FAR


def _targets_at(hypothesis: _Hypothesis, index: int) -> tuple[tuple[str, ...], bool] | None:
    node = hypothesis.decision
    while node is not None and node.index > index:
        node = node.before
    if node is None or node.index != index:
        return None
    return tuple(t.fence_id for t in node.targets), node.resumes


def _latest(decision: Decision | None) -> list[object]:
    """What tells hypotheses apart later on: their latest few decisions."""
    found: list[object] = []
    while decision is not None and len(found) < 3 * REMEMBERED:
        found += (decision.index, decision.targets, decision.resumes)
        decision = decision.before
    return found


def _prune(grown: list[_Hypothesis]) -> list[_Hypothesis]:
    """The best hypotheses; of those alike in all that matters later, only the best."""
    grown.sort(key=lambda h: -h.score)
    kept: list[_Hypothesis] = []
    seen: set[tuple[object, ...]] = set()
    for h in grown:
        if h.score < grown[0].score - 14.0 or len(kept) == BEAM:
            break
        key = (h.served, h.last, h.since_ms, *_latest(h.decision))
        if key not in seen:
            seen.add(key)
            kept.append(h)
    return kept
