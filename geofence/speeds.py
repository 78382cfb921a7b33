"""Which reported speeds to believe: some phones tell 0 for unknown, or reckon speed from noisy places.

Every few seconds the way that the reported speeds add up to is held against where the phone went. A phone
that went far while its speeds say it stayed, or stayed while they say it went far, is soon no longer
believed; until it is seen to be right again.
"""

from math import exp, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from geofence.compiling import kernel
from geofence.motion import SPEED_LASTS_S

Floats = npt.NDArray[np.float64]

LOOK_EVERY_S: Final = 10.0
BACK_S: Final = 60.0  # so far back is looked ...
BACK_MOST_S: Final = 90.0  # ... or further for the sake of a third step, but not so far: a move may hide
FAR_M: Final = 30.0  # what is further than that ...
FAR_NOISES: Final = 6.0  # ... and so many times the noise is far
JUMP: Final = 1.5  # ... where it is so many times the longest step too, which may be a jump of positions
TOO_LITTLE: Final = 0.3  # share of a way gone that speeds should add up to ...
TOO_LITTLE_S: Final = 30.0  # ... which phones are given so long to do ...
TOO_LITTLE_DOUBT: Final = 0.35  # ... and are not believed from such doubt on
TOO_MUCH: Final = 0.3  # share of the way that speeds add up to that a phone should at least get away ...
TOO_MUCH_M: Final = 40.0  # ... where that way is as long as this
TOO_MUCH_S: Final = 180.0
TOO_MUCH_DOUBT: Final = 0.5


@kernel()
def believe(
    t: Floats, x: Floats, y: Floats, noise_m: Floats, told_mps: Floats,
    too_little: Floats, too_much: Floats, speed_mps: Floats, begin: int,
) -> None:  # fmt: skip
    """Write `speed_mps` of the fixes from `begin` on: as told where believed, else NaN; and both doubts.

    The doubts are running shares of looks at which speeds were wrong, as at each fix; those of the fix before
    `begin` are known.
    """
    for k in range(begin, len(t)):
        little = too_little[k - 1] if k > 0 else 0.0
        much = too_much[k - 1] if k > 0 else 0.0
        if k > 0 and t[k] // LOOK_EVERY_S != t[k - 1] // LOOK_EVERY_S and told_mps[k] == told_mps[k]:
            first, way, sure_way, furthest, jump = _back(t, x, y, told_mps, k)
            looked_s = max(LOOK_EVERY_S, t[k] - t[k - 1])
            if k - first >= 3:
                away = _surely_away(x, y, first, k)
                if away > max(FAR_M + FAR_NOISES * noise_m[k], JUMP * jump):
                    little += (1.0 - exp(-looked_s / TOO_LITTLE_S)) * ((way < TOO_LITTLE * away) - little)
                elif furthest < max(TOO_MUCH * sure_way, FAR_M):
                    much += (1.0 - exp(-LOOK_EVERY_S / TOO_MUCH_S)) * ((sure_way > TOO_MUCH_M) - much)
        too_little[k], too_much[k] = little, much
        believed = little < TOO_LITTLE_DOUBT and much < TOO_MUCH_DOUBT
        speed_mps[k] = told_mps[k] if believed else np.nan


@kernel()
def _surely_away(x: Floats, y: Floats, first: int, last: int) -> float:
    """How far apart two fixes are, though the one or the other may be an outlier: it is two fixes each."""
    least2 = np.inf
    for a in (first, first + 1):
        for b in (last - 1, last):
            least2 = min(least2, _apart2(x, y, a, b))
    return sqrt(least2)


@kernel()
def _apart2(x: Floats, y: Floats, a: int, b: int) -> float:
    """How far apart two fixes are, squared metres."""
    return (x[b] - x[a]) ** 2 + (y[b] - y[a]) ** 2  # type: ignore[no-any-return]


@kernel()
def _back(
    t: Floats, x: Floats, y: Floats, told_mps: Floats, k: int
) -> tuple[int, float, float, float, float]:
    """The first fix that is looked back to from fix k, the way that speeds add up to since, the part of it
    that long steps leave sure, the furthest that any fix since is away, and the longest step: positions may
    jump where nobody moved.
    """
    first, way, sure_way, furthest2, step2 = k, 0.0, 0.0, 0.0, 0.0
    while first > 0 and (t[k] - t[first] < BACK_S or k - first < 3):
        before = first - 1
        if t[k] - t[before] > BACK_MOST_S or told_mps[before] != told_mps[before]:
            break
        mean_mps, step_s = 0.5 * (told_mps[first] + told_mps[before]), t[first] - t[before]
        way += mean_mps * step_s
        sure_way += mean_mps * min(step_s, SPEED_LASTS_S)
        furthest2 = max(furthest2, _apart2(x, y, before, k))
        step2 = max(step2, _apart2(x, y, before, first))
        first = before
    return first, way, sure_way, sqrt(furthest2), sqrt(step2)
