"""When one customer's part ended and the next one's began, in a visit over several standstills."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from geofence.assignment import Change
from geofence.stays import Stay
from geofence.walk import by_need

COLUMNS: Final = 3  # of a change: the estimate and its bounds


def changes_over(stays: Sequence[Stay], needs: Sequence[float]) -> tuple[Change, ...]:
    """The changes between customers, whose orders need so much, each relative to the others.

    Reckoned over all standstills: what was found within one of them takes all customers to be served there.
    """
    spans = [(s.standstill.arrived_ms, s.standstill.departed_ms) for s in stays]
    begins = np.array([begin for begin, _ in spans])
    stood = np.array([0, *accumulate(end - begin for begin, end in spans)])
    found = np.empty((len(needs) - 1, COLUMNS))
    by_need(np.array(needs) / sum(needs), found)
    gone = np.rint(found * stood[-1]).astype(np.int64)
    span = np.clip(np.searchsorted(stood, gone) - 1, 0, len(spans) - 1)
    return tuple(map(Change._make, (begins[span] + gone - stood[span]).tolist()))
