"""Names of visits: the same for the same visit wherever it is computed, and no name for two."""

from collections.abc import Collection
from hashlib import blake2b
from typing import Final

from geofence.groups import Target
from geofence.plan import PlannedStop

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
        self._given: dict[tuple[str, PlannedStop | int, int], str] = {}

    def of(self, target: Target, arrived_ms: int, ordinal: int) -> str:
        """The id of the shift's visit number `ordinal` (0 is the first) that has this target."""
        key = target.customer_id, target.planned or arrived_ms // DAY_MS, ordinal
        given = self._given.get(key)
        if given is None:
            given = self._given[key] = self._free(target, arrived_ms, ordinal)
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

    def _free(self, target: Target, arrived_ms: int, ordinal: int) -> str:
        """The name number `ordinal` of those that are not taken."""
        planned = target.planned
        what = arrived_ms // DAY_MS if planned is None else f"{planned.route_id}\x1f{planned.stop.stop_id}"
        stem = f"{self._driver_id}\x1f{target.customer_id}\x1f{what}"
        number = 0
        while True:
            text = stem if planned is not None and number == 0 else f"{stem}\x1f{number}"
            name = blake2b(text.encode(), digest_size=12).hexdigest()
            self._asked.add(name)
            if name not in self._taken:
                if ordinal == 0:
                    return name
                ordinal -= 1
            number += 1
