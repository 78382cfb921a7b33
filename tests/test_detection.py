"""What the worker makes of fences that are published while it has drivers under way."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from geofence.engine import Engine
from geofence.fences import Fence, FenceSet
from streams.detection import DetectionWork
from streams.facts import Facts
from streams.partition import FenceChange, Partition
from streams.settings import Settings
from streams.state import Stored
from streams.topics import Topics
from tests.tracks import Drawn, batch, circle

FENCE = circle("c900", 900)


def under_way() -> tuple[Facts, list[Engine], list[Partition]]:
    """Two partitions at work that share their fences, with a driver each who has been at one."""
    facts = Facts("127.0.0.1:1", Topics())
    facts.know(FenceSet([FENCE]))
    engines = [Engine(fences=facts.fences) for _ in range(2)]
    work = [Partition(n, engine, Stored()) for n, engine in enumerate(engines)]
    holding: Any = SimpleNamespace(held={w.number: SimpleNamespace(work=w) for w in work})
    nothing: Any = None
    DetectionWork(Settings("127.0.0.1:1"), facts, nothing, holding)
    for engine in engines:
        engine.feed(batch(Drawn().stand(30).drive(900).stand(200).drive(2500).stand(300).pings))
    return facts, engines, work


def shifts(engines: list[Engine]) -> list[Any]:
    return [d.shift for e in engines for driver in e._drivers.values() for d in driver.days]


def publish(facts: Facts, offset: int, fence: Fence | None, fence_id: str = FENCE.fence_id) -> None:
    for tell in facts.on_fence:
        tell(FenceChange(0, offset, fence_id, fence))
    if fence is None:
        facts.fences.remove(fence_id)
    else:
        facts.fences.put(fence)


def test_a_fence_published_again_as_it_was_reworks_nothing_and_counts_as_read() -> None:
    facts, engines, work = under_way()
    before, version = shifts(engines), facts.fences.version
    publish(facts, 6, replace(FENCE))
    publish(facts, 7, None, "never seen")
    assert (shifts(engines), facts.fences.version) == (before, version)
    assert [w.positions.fences for w in work] == [{0: 8}] * 2
    assert all(w.has_changed for w in work)


def test_a_fence_that_differs_is_seen_by_every_engine() -> None:
    for change in (replace(FENCE, facts={"floor": 3}), replace(FENCE, dwell_s=5.0), None):
        facts, engines, work = under_way()
        before = shifts(engines)
        publish(facts, 6, change)
        assert all(now is not then for now, then in zip(shifts(engines), before, strict=True))
        assert [w.positions.fences for w in work] == [{0: 7}] * 2
