"""When one visit ended and the next began, where the pings leave open what came when.

A silence of the phone may hide both and the way between; or pings in it fit either visit, so that each, taken
alone, lasts into the other. All moments that are open are weighed by what the two visits' orders need, with
the spread of such services, as the changes between customers of one standing are (see `walk.one_by_one`).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geofence.stays import Stay, Visit
from geofence.walk import LENGTH_LOG_SD

LEAST_MS: Final = 30_000  # in a shorter silence the middle is as good
LEAST_SERVICE_MS: Final = 10_000
MOMENTS: Final = 48


class Served(NamedTuple):
    """A visit with its stays, of which the first may begin when it was handed over."""

    visit: Visit
    stays: Sequence[Stay]


def is_open(before: Served, after: Served) -> bool:
    """Whether it is open when one gave way to the other; and all of both visits was service."""
    return (_overlap(before, after) or _are_hidden(before, after)) and not any(
        d.rests >= 0 for d in (*before.visit.decisions, after.visit.decisions[0])
    )


def _overlap(before: Served, after: Served) -> bool:
    """Whether the later begins before the earlier ends, each taken alone: no vehicle stands twice at once."""
    return after.stays[0].standstill.arrived_ms < before.stays[-1].standstill.departed_ms


def _are_hidden(before: Served, after: Served) -> bool:
    """Whether one silence holds the departure and the arrival."""
    low_ms, high_ms = before.stays[-1].standstill.departed_between_ms
    return (
        after.stays[0].standstill.arrived_between_ms == (low_ms, high_ms)
        and high_ms - low_ms >= LEAST_MS
        and after.visit.parts[0] == before.visit.parts[-1] + 1
    )


def handover(before: Served, after: Served, share: float) -> tuple[int, int] | None:
    """Departure from one visit and arrival at the next (ms), at one of the moments that are open.

    `share` is the part of the time of both that the earlier should take by what their orders need. The way
    takes as long as between the standstills, nothing where they overlap. Of the later visit only what nothing
    later changes is looked at: its first stay. None where no moment leaves time for both.
    """
    first, second = before.stays[-1].standstill, after.stays[0].standstill
    way_ms = max(second.arrived_ms - first.departed_ms, 0)
    begin_ms, end_ms = before.stays[0].standstill.arrived_ms, second.departed_ms - way_ms
    low_ms, high_ms = first.departed_between_ms
    if _overlap(before, after):
        low_ms, high_ms = second.arrived_ms, first.departed_ms
    ended = [] if before.visit.spans else [c.at_ms for c in before.visit.changes]
    begun = [c.at_ms - way_ms for c in after.visit.decisions[0].changes]
    low_ms = max(low_ms, before.stays[-1].standstill.arrived_ms, begin_ms + LEAST_SERVICE_MS, *ended)
    high_ms = min(high_ms - way_ms, end_ms - LEAST_SERVICE_MS, *begun)
    if high_ms <= low_ms:
        return None
    moments = np.linspace(low_ms, high_ms, MOMENTS)
    usual_ms = (end_ms - begin_ms) * share
    score = _length_score((moments - begin_ms) / usual_ms)
    score += _length_score((end_ms - moments) / (end_ms - begin_ms - usual_ms))
    summed = np.cumsum(np.exp(score - score.max()))
    departed_ms = round(float(np.interp(0.5 * summed[-1], summed, moments)))
    return departed_ms, departed_ms + way_ms


def _length_score(times: npt.NDArray[np.float64]) -> Any:
    """Log density of services that last so many times as long as usual, but for what all have in common."""
    z = np.log(times)
    return -0.5 * (z / LENGTH_LOG_SD) ** 2 - z
