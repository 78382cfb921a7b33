"""Reading that has begun before what is read is asked for."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """All of `items`; the first `few` of them are made by a thread, beginning now.

    What goes wrong in making them is raised where they are asked for.
    """

    def __init__(self, items: Iterable[Item], few: int) -> None:
        self._rest = iter(items)
        self._making = ThreadPoolExecutor(1)
        self._first = self._making.submit(lambda: list(islice(self._rest, few)))

    def wait(self) -> None:
        """Return when the thread has ended: a process may be copied then."""
        self._making.shutdown()

    def __iter__(self) -> Iterator[Item]:
        self.wait()
        yield from self._first.result()
        yield from self._rest
