"""Ways of a vehicle through fences, as rows of numbers: noted, joined, and settled by where it stood.

A row is a fence's number, the hash of its customer's id, and when the fence was entered and left.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence import sweep
from geofence.compiling import kernel
from geofence.standings import APART_MS, judged
from geofence.standings import CUSTOMER as BY_CUSTOMER

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NUMBER, CUSTOMER, ENTERED_MS, LEFT_MS = range(4)
WAY_COLUMNS: Final = 4

_insides = sweep.insides


@kernel()
def ways_through(
    t: Floats,
    x: Floats,
    y: Floats,
    begin: int,
    end: int,
    shapes: Floats,
    edges: Floats,
    owners: Ints,
    lat: float,
    lon: float,
    per_lat: float,
    per_lon: float,
    origin_ms: int,
) -> Any:
    """The ways on which the steps begin..end led through a cell's fences; see `sweep.insides`."""
    found = _insides(t, x, y, begin, end, shapes, edges, lat, lon, per_lat, per_lon)
    ways = np.empty((len(found), WAY_COLUMNS), np.int64)
    for n in range(len(found)):
        ways[n, NUMBER], ways[n, CUSTOMER] = owners[int(found[n, 0])]
        ways[n, ENTERED_MS] = origin_ms + int(np.rint(1000 * found[n, 1]))
        ways[n, LEFT_MS] = origin_ms + int(np.rint(1000 * found[n, 2]))
    return ways


@kernel()
def joined(noted: Ints) -> Any:
    """The ways noted, in the order they began: what goes on soon after the one before is one with it."""
    ways, begins = noted.copy(), np.ones(len(noted), np.bool_)
    k = -1
    for n in np.argsort(noted[:, NUMBER], kind="mergesort"):
        goes_on = k >= 0 and ways[k, NUMBER] == ways[n, NUMBER]
        if goes_on and ways[n, ENTERED_MS] - ways[k, LEFT_MS] <= APART_MS:
            ways[k, LEFT_MS] = max(ways[k, LEFT_MS], ways[n, LEFT_MS])
            begins[n] = False
        else:
            k = n
    return ways[begins]


@kernel()
def settled(noted: Ints, stood: Ints, until_ms: int, after_ms: int) -> Any:
    """The ways left to wait, and those to tell of: settled by one time and after another, no standing speaks.

    `stood` are rows of `standings`; a row to tell of is the number of a fence, and when it was entered.
    """
    ways, stood = joined(noted), stood[np.argsort(stood[:, BY_CUSTOMER], kind="mergesort")]
    customers = stood[:, BY_CUSTOMER]
    left, told = np.empty_like(ways), np.empty((len(ways), 2), np.int64)
    waits = tells = 0
    for n in range(len(ways)):
        first = np.searchsorted(customers, ways[n, CUSTOMER])
        last = np.searchsorted(customers, ways[n, CUSTOMER], side="right")
        settled_ms, speaks = judged(ways[n, ENTERED_MS], ways[n, LEFT_MS], stood[first:last])
        if settled_ms > until_ms:
            left[waits] = ways[n]
            waits += 1
        elif settled_ms > after_ms and not speaks:
            told[tells, 0], told[tells, 1] = ways[n, NUMBER], ways[n, ENTERED_MS]
            tells += 1
    return left[:waits], told[:tells]
