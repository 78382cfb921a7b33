"""How likely a planned stop comes next: stops mostly follow the plan, some are skipped, swapped or moved.

A stretch of them may be served the other way round. Some drivers go another way altogether, and some routes
leave out many whom the driver serves. How likely that is follows from the visits so far, as the weight of one
of two models (Bayesian model averaging; Hoeting et al. 1999).
"""

from math import exp, log
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import lean

Bits = npt.NDArray[np.uint64]

AHEAD: Final = np.log((0.87, 0.09, 0.012, 0.005, 0.003))  # by how many unserved stops are jumped over
BEHIND: Final = np.log((0.012, 0.004, 0.002, 0.001))
FAR: Final = log(0.001)
ALONG: Final = log(0.5)  # ... or each of these is served along with it
SWAPPED: Final = log(0.5)  # the stop just jumped over comes next
GOES_ON: Final = log(0.5)  # ... or it does not
TURNED: Final = log(0.25)  # who went back to a stop serves a stretch the other way round
TURNED_NOT: Final = log(0.75)  # ... or does not
NONE_PENDING: Final = -1
BEFORE: Final = -2  # less the number of the stop that comes next when a stretch is served the other way round
STRAYS: Final = 0.02  # chance that a driver cares nothing for the plan's order, before any visit ...
STRAYS_LEAST: Final = 0.002  # ... and however well it was followed so far
STRAYS_MOST: Final = 0.98
LEFT_OUT: Final = 0.01  # share of routes that leave out many of the customers served ...
LEFT_OUT_TIMES: Final = 30.0  # ... so many times as many as usual ...
SERVED: Final = 4.0  # standstills without a route that served somebody, before any ...
IDLED: Final = 8.0  # ... and nobody
NAMED_THERE: Final = log(0.85)  # ... so that fewer of those served are named


@lean()
def has(bits: Bits, number: int) -> bool:
    """Whether that number is in the set."""
    return bool((bits[number >> 6] >> np.uint64(number & 63)) & np.uint64(1))


@lean()
def put(bits: Bits, number: int) -> None:
    """Add that number to the set."""
    bits[number >> 6] |= np.uint64(1) << np.uint64(number & 63)


@lean()
def _between(served: Bits, low: int, high: int, most: int) -> int:
    """How many from low to high (without it) are unserved; counting ends at `most`."""
    count = 0
    for number in range(high - 1, low - 1, -1):
        if not has(served, number):
            count += 1
            if count == most:
                break
    return count


@lean()
def order_prior(served: Bits, last: int, pending: int, number: int) -> float:
    """Log chance that this stop comes next, by its rank among the unserved after, or before, the last one.

    `pending` is what may come next out of turn (see `next_pending`).
    """
    if number == pending:
        return SWAPPED
    if number == BEFORE - pending:
        return TURNED
    if number > last:
        rank = _between(served, last + 1, number, len(AHEAD))
        going_on = GOES_ON if pending >= 0 else TURNED_NOT if pending <= BEFORE else 0.0
        return going_on + (AHEAD[rank] if rank < len(AHEAD) else FAR)
    rank = _between(served, number + 1, last, len(BEHIND))
    return BEHIND[rank] if rank < len(BEHIND) else FAR


@lean()
def mixed_prior(ordered: float, strays: float, unserved: int) -> float:
    """Log chance that this stop comes next, be it by its order, as given, or as any of those unserved."""
    if strays <= STRAYS_LEAST:
        return ordered
    return log((1 - strays) * exp(ordered) + strays / unserved)


@lean()
def strays_now(strays: float, ordered: float, unserved: int) -> float:
    """How likely the driver cares nothing for the order, once that stop has come next."""
    any_of_them = strays / unserved
    found: float = any_of_them / (any_of_them + (1 - strays) * exp(ordered))
    return min(max(found, STRAYS_LEAST), STRAYS_MOST)


@lean()
def more_unnamed(named: int, unnamed: int) -> float:
    """How much likelier than usual a customer whom no route names is served next, as a logarithm.

    There are two kinds of routes: those that leave out hardly anybody, and a few that leave out many. So many
    customers were served so far whom the route names, and whom it does not.
    """
    odds = LEFT_OUT * exp(min(unnamed * log(LEFT_OUT_TIMES) + named * NAMED_THERE, 30.0))
    return log((1.0 + LEFT_OUT_TIMES * odds) / (1.0 + odds))


@lean()
def served_prior(idle: int, served: int) -> float:
    """Log chance that a standstill near customers served one of them, where there is no route.

    By how many served nobody so far, and how many customers were served.
    """
    return log((SERVED + served) / (SERVED + IDLED + served + idle))


@lean()
def idle_prior(idle: int, served: int) -> float:
    """Log chance that it served nobody."""
    return log((IDLED + idle) / (SERVED + IDLED + served + idle))


@lean()
def next_pending(served: Bits, last: int, number: int) -> int:
    """What may come out of turn once this stop has been served after the last one.

    The stop jumped over, when it is a single one: the two may be swapped. Where the driver went back, the
    stop before, as `BEFORE` less its number: a stretch may be served the other way round. Else
    `NONE_PENDING`.
    """
    if number < last:
        return BEFORE - (number - 1) if number > 0 and not has(served, number - 1) else NONE_PENDING
    found = NONE_PENDING
    for between in range(last + 1, number):
        if not has(served, between):
            if found >= 0:
                return NONE_PENDING
            found = between
    return found


@lean()
def together_prior(served: Bits, last: int, pending: int, number: int, near: Bits) -> Any:
    """Log chance that this stop comes next, or is served along with others near that come before it."""
    alone = order_prior(served, last, pending, number)
    far, along = 0, 0
    for between in range(number - 1, last, -1):
        if not has(served, between):
            if has(near, between):
                along += 1
            else:
                far += 1
        if far == len(AHEAD):
            break
    if along == 0 or far >= len(AHEAD):
        return alone
    return max(alone, AHEAD[far] + along * ALONG)


@lean()
def best_prior(
    served: Bits, last: Any, pending: Any, strays: Any, unserved: Any, numbers: Any, near: Bits
) -> float:
    """The highest of these of any of these stops in any of these rows; -inf when all are served."""
    best = -np.inf
    for row in range(len(served)):
        for number in numbers:
            if not has(served[row], number):
                ordered = together_prior(served[row], last[row], pending[row], number, near)
                best = max(best, mixed_prior(ordered, strays[row], unserved[row]))
    return best
