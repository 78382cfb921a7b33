"""A break taken where a customer was served: the part of a long standing that no service needs.

A driver who stays on after a delivery, or begins with a rest, stands once; how long the services usually take
and where the fixes lie tell which part of it was theirs.
"""

from math import log, pi, sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel
from geofence.evidence import BREAK_LOG_SD, BREAK_MEDIAN_S
from geofence.hypotheses import G_REST, G_SERVED, Stand
from geofence.walk import LENGTH_LOG_SD, MOMENTS, Turns, Walk, log_factor, one_by_one

Floats = npt.NDArray[np.float64]

LONG_S: Final = 600.0  # a standing with a break in it lasts at least so long
RESTS: Final = log(0.004)  # chance of a break where a customer is served
LIKELIEST: Final = RESTS - log(BREAK_MEDIAN_S * BREAK_LOG_SD * sqrt(2 * pi)) + BREAK_LOG_SD**2 / 2
"""No length has a higher log density (per second) with a break in it; likelier ones need none."""


@kernel()
def may_rest(walk: Walk, stand: Stand) -> bool:
    """Whether a standing is long enough, and seen enough of, for a break to be told from a service.

    A phone that is silent for most of it may as well have been carried indoors.
    """
    seconds = walk.end_s - walk.begin_s
    return len(walk.t) > 0 and seconds >= LONG_S and 2 * walk.max_gap_s < seconds and not stand.censored


@kernel()
def find_rest(
    group: Floats, changes: Floats, gains: Floats, turns: Turns,
    usual_s: Floats, seconds: float, walked: float, plain: float,
) -> int:  # fmt: skip
    """How many of a group were served before a break was taken, -1 when it is likelier that none was.

    `walked` and `plain` are the log likelihoods of fixes and length without one; the others as in
    `with_rest`. Fills in the group's `G_REST`, and its `G_SERVED` and the `changes` where there is a break.
    """
    if plain >= LIKELIEST:
        return -1
    best = np.empty_like(changes)
    likely, after = with_rest(gains, turns, usual_s, seconds, best)
    group[G_REST] = likely - walked
    if group[G_REST] <= plain:
        return -1
    begins = best[after - 1, 0] if after > 0 else 0.0
    ends = best[after, 0] if after < len(usual_s) else 1.0
    group[G_SERVED] = max(1.0 - (ends - begins), 1e-3)
    changes[:] = best
    return int(after)


@kernel()
def with_rest(gains: Floats, turns: Turns, usual_s: Floats, seconds: float, best: Floats) -> Any:
    """Services one after another and a break between them, before or after: how likely, and when.

    `gains` and `turns` as in `walk.one_by_one`, `usual_s` how long each usually takes.
    Returns the log likelihood (per second) of the length and of the fixes, as a ratio against nobody; and how
    many customers were served before the break, where that is likeliest. Fills in `best`: the changes from
    each part to the next, the break being one.
    """
    members = len(usual_s)
    parts, share = np.zeros((members + 1, MOMENTS)), np.empty(members + 1)
    log_sd, changes = np.empty(members + 1), np.empty((members, 3))
    factors = log_factor(BREAK_MEDIAN_S / seconds, BREAK_LOG_SD) - log(seconds / (MOMENTS - 1))
    for m in range(members):
        factors += log_factor(usual_s[m] / seconds, LENGTH_LOG_SD)
    top, total, after = -np.inf, -np.inf, 0
    for at in range(members + 1):
        for m in range(members + 1):
            of = m if m < at else m - 1
            if m == at:
                parts[m], share[m], log_sd[m] = 0.0, BREAK_MEDIAN_S / seconds, BREAK_LOG_SD
            else:
                parts[m], share[m], log_sd[m] = gains[of], usual_s[of] / seconds, LENGTH_LOG_SD
        ratio, lengths = one_by_one(parts, turns, share, log_sd, changes)
        score = ratio + lengths + factors
        total = np.logaddexp(total, score)
        if score > top:
            top, after = score, at
            best[:members] = changes
    return RESTS + total - log(members + 1), after
