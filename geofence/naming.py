"""Names of visits: the same for the same visit wherever it is computed, and no name for two."""

from collections.abc import Collection, Iterator
from hashlib import blake2b
from itertools import count, islice
from typing import Final

from geofence.groups import Target

DAY_MS: Final = 86_400_000


class Names:
    """Gives the visits of one shift their ids.

    A planned stop names its visit; an unplanned one is named by customer, UTC day and ordinal. What another
    shift has named (`taken`) is left to it: a second half of a day may come to the same customer again.
    """

    def __init__(self, driver_id: str, taken: Collection[str] = ()) -> None:
        self._driver_id = driver_id
        self._taken = frozenset(taken)
        self._asked: set[str] = set()
        self._given: dict[tuple[Target, int, int], str] = {}

    def of(self, target: Target, arrived_ms: int, ordinal: int) -> str:
        """The id of the shift's visit number `ordinal` (0 is the first) that has this target."""
        key = target, arrived_ms // DAY_MS, ordinal
        given = self._given.get(key)
        if given is None:
            free = (name for name in self._all(target, arrived_ms) if name not in self._taken)
            given = self._given[key] = next(islice(free, ordinal, None))
        return given

    def hold(self, taken: Collection[str]) -> bool:
        """Whether every id given would be the same with these ones taken; they are taken from now on."""
        new = frozenset(taken)
        changed, self._taken = self._taken ^ new, new
        if changed:
            self._given.clear()
        return self._asked.isdisjoint(changed)

    def avoided(self) -> frozenset[str]:
        """Taken ids that this shift would have given otherwise."""
        return self._taken & self._asked

    def _all(self, target: Target, arrived_ms: int) -> Iterator[str]:
        if target.planned is not None:
            what = f"{target.planned.route_id}\x1f{target.planned.stop.stop_id}"
        else:
            what = f"{arrived_ms // DAY_MS}"
        for number in count():
            ordinal = f"\x1f{number}" if number or target.planned is None else ""
            text = f"{self._driver_id}\x1f{target.customer_id}\x1f{what}{ordinal}"
            name = blake2b(text.encode(), digest_size=12).hexdigest()
            self._asked.add(name)
            yield name
