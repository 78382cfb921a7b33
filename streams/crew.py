"""Replay on every core: drivers are dealt to processes; what they tell comes in the order of one process."""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from traceback import format_exc
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from geofence import compiling
from geofence.engine import Engine
from geofence.events import DeviceFenceEvent, Output, PingBatch
from geofence.fences import FenceSet
from geofence.routes import Route
from geofence.rules import Rules
from streams.ending import end_at_once, undisturbed
from streams.errors import Unavailable
from streams.tally import Tally, Told, Totals, Wanted
from streams.warm_up import warm_up

STEPS_AHEAD: Final = 3
"""So many batches are dealt before the first of them is waited for; this bounds memory."""

WORTH_BYTES: Final = 16 << 20
"""Files smaller than this are replayed by one process."""

Step = PingBatch | Sequence[DeviceFenceEvent] | None
"""What goes in at once; None: there is no more."""

Found = TypeVar("Found")


def processes_for(size: int | None) -> int:
    """How many processes are worth it for files of so many bytes (None: unknown)."""
    if sys.platform != "linux" or (size is not None and size < WORTH_BYTES):
        return 1  # elsewhere processes do not start as copies, which takes longer than it saves
    return len(os.sched_getaffinity(0))


class Share:
    """The drivers that one process has."""

    def __init__(self, rules: Rules, fences: FenceSet, routes: Iterable[Route], wanted: Wanted) -> None:
        self._engine = Engine(rules, fences, events=wanted.events)
        self._tally = Tally(wanted)
        for route in routes:
            self._engine.put_route(route)

    def take(self, step: Step) -> dict[str, Told]:
        """What the step tells, by driver, in the order in which drivers have their turn."""
        if step is None:
            outputs = self._engine.settle()
        elif isinstance(step, PingBatch):
            outputs = self._engine.feed(step)
        else:
            outputs = self._engine.feed_device(step)
        of_driver: dict[str, list[Output]] = {}
        for output in outputs:
            of_driver.setdefault(output.driver_id, []).append(output)
        return {driver_id: self._tally.told(own) for driver_id, own in of_driver.items()}

    def totals(self) -> Totals:
        """Everything so far."""
        c, t = self._engine.counters, self._tally
        return Totals(c.used, c.duplicate, c.too_late, t.records, t.visits, t.events)


class Crew:
    """One or more processes, each with a share of the drivers."""

    def __init__(self, ask: Sequence[Callable[..., "Future[Any]"]]) -> None:
        self._ask = ask
        self._of: dict[str, int] = {}

    def told(self, steps: Iterable[Step]) -> Iterator[Told]:
        """What is told of each driver in each step."""
        pending: deque[tuple[list[str] | None, list[Future[dict[str, Told]]]]] = deque()
        for step in steps:
            pending.append((_turns(step), self._begin(step)))
            while len(pending) > STEPS_AHEAD:
                yield from _merged(*pending.popleft())
        while pending:
            yield from _merged(*pending.popleft())

    def totals(self) -> Totals:
        """Everything so far."""
        found: list[Future[Totals]] = [ask(Share.totals) for ask in self._ask]
        return sum((f.result() for f in found), Totals())

    def _begin(self, step: Step) -> "list[Future[dict[str, Told]]]":
        return [ask(Share.take, own) for ask, own in zip(self._ask, self._dealt(step), strict=True)]

    def _dealt(self, step: Step) -> list[Step]:
        """The part of a step that each process gets."""
        count = len(self._ask)
        if step is None or count == 1:
            return [step] * count
        if isinstance(step, PingBatch):
            self._numbers(step.turns())
            of_code = np.array([self._of.get(name, 0) for name in step.names])
            numbers = of_code[step.codes]
            return [step.select(numbers == n) for n in range(count)]
        numbers = self._numbers(e.driver_id for e in step)
        return [[e for e, own in zip(step, numbers == n, strict=True) if own] for n in range(count)]

    def _numbers(self, driver_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """The number of each driver's process: they are dealt in turn, as they first appear."""
        of, count = self._of, len(self._ask)
        return np.array([of.setdefault(d, len(of) % count) for d in driver_ids], dtype=np.int64)


@contextmanager
def crew(
    processes: int,
    rules: Rules,
    fences: FenceSet,
    routes: Sequence[Route],
    wanted: Wanted,
    quiet: Callable[[], None] = lambda: None,
) -> Iterator[Crew]:
    """So many processes, this one alone if it is one.

    `quiet` is called before they are made, as copies of this one: no other thread may run after it.
    """
    compiling.load()
    if processes == 1:
        share = Share(rules, fences, routes, wanted)
        yield Crew([partial(_at_once, share)])
        return
    warm_up()
    quiet()
    workers: list[_Worker] = []
    try:
        with undisturbed():
            for _ in range(processes):
                workers.append(_Worker(workers, (rules, fences, routes, wanted)))
        yield Crew([worker.ask for worker in workers])
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.end()


def _at_once(share: Share, do: Callable[..., Found], *given: object) -> "Future[Found]":
    done: Future[Found] = Future()
    done.set_result(do(share, *given))
    return done


class _Worker:
    """A process with a share, begun as a copy of this one; a thread here asks it, one question at a time."""

    def __init__(self, before: "Sequence[_Worker]", given: tuple[object, ...]) -> None:
        self._end, far = multiprocessing.Pipe()
        ours = [*(w._end for w in before), self._end]
        self._asking = ThreadPoolExecutor(1)
        self._process = multiprocessing.get_context("fork").Process(
            target=_work, args=(far, ours, given), daemon=True
        )
        self._process.start()
        far.close()

    def ask(self, do: Callable[..., Found], *given: object) -> "Future[Found]":
        """Have that done with the share."""
        return self._asking.submit(self._answer, do, given)

    def kill(self) -> None:
        """Tell the process to end, whatever it does."""
        self._process.kill()

    def end(self) -> None:
        """Wait until it has ended."""
        self._process.join()
        self._asking.shutdown(cancel_futures=True)

    def _answer(self, do: Callable[..., Found], given: tuple[object, ...]) -> Found:
        try:
            self._end.send((do, given))
            ok, answer = self._end.recv()
        except (EOFError, OSError) as error:
            raise Unavailable("a process that detects visits was killed; is memory short?") from error
        if not ok:
            raise answer
        found: Found = answer
        return found


def _work(
    far: "Connection[Any, Any]", ours: "Iterable[Connection[Any, Any]]", given: tuple[Any, ...]
) -> None:
    """Answer questions about a share until whoever asks is gone."""
    end_at_once()
    for end in ours:  # of other processes: it would keep them open
        end.close()
    share = Share(*given)
    with suppress(EOFError, BrokenPipeError):
        while True:
            do, of = far.recv()
            far.send(_tried(do, share, of))


def _tried(do: Callable[..., object], share: Share, of: tuple[object, ...]) -> tuple[bool, object]:
    """Whether it could be done, and what came of it."""
    try:
        return True, do(share, *of)
    except Exception as error:
        error.add_note(format_exc())
        return False, error


def _turns(step: Step) -> list[str] | None:
    """The order in which drivers have their turn in a step; None: by name."""
    if step is None:
        return None
    if isinstance(step, PingBatch):
        return step.turns()
    return list(dict.fromkeys(e.driver_id for e in step))


def _merged(turns: list[str] | None, parts: "Sequence[Future[dict[str, Told]]]") -> Iterator[Told]:
    """What several processes told of a step, in the order in which one would have."""
    told: dict[str, Told] = {}
    for part in parts:
        told |= part.result()
    for driver_id in sorted(told) if turns is None else turns:
        if driver_id in told:
            yield told[driver_id]
