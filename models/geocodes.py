"""Whether a published geocode is wrong, told by how far from it customers' places turn out to be."""

from collections.abc import Sequence
from math import exp
from typing import Final

import numpy as np
import numpy.typing as npt

from geofence.evidence import WRONG_SD_M, WRONG_SHARE

Floats = npt.NDArray[np.float64]

USUAL_M: Final = 15.0
"""How far off (one axis) a learned place is where the geocode is right, before the data tell."""

WIDEST_M: Final = 40.0
KNOWN_FROM: Final = 10.0
"""So many customers the first guess counts for."""

ROUNDS: Final = 100


def wrong_geocodes(off_m: Sequence[float]) -> list[float]:
    """The chance of each geocode to be wrong, by the distances between learned and published places.

    A mixture of two Rayleigh distributions: about right geocodes places scatter by what parking places and
    walks scatter in this town, about wrong ones by `WRONG_SD_M` more. Fitted by expectation maximisation
    (Dempster, Laird and Rubin 1977), with priors worth `KNOWN_FROM` customers.
    """
    away = np.asarray(off_m, dtype=np.float64)
    scale, share = USUAL_M, WRONG_SHARE
    wrong = np.zeros(len(away))
    for _ in range(ROUNDS):
        before = scale
        wrong = _posterior(away, scale, share)
        right = 1 - wrong
        square = (0.5 * (right * away**2).sum() + KNOWN_FROM * USUAL_M**2) / (right.sum() + KNOWN_FROM)
        scale = min(float(np.sqrt(square)), WIDEST_M)
        share = float((wrong.sum() + KNOWN_FROM * WRONG_SHARE) / (len(away) + KNOWN_FROM))
        if abs(scale - before) < 1e-6:
            break
    chances: list[float] = wrong.tolist()
    return chances


def _posterior(away: Floats, scale: float, share: float) -> Floats:
    right = (1 - share) * _rayleigh(away, scale**2)
    wrong = share * _rayleigh(away, scale**2 + WRONG_SD_M**2)
    return wrong / (right + wrong)


def _rayleigh(away: Floats, square: float) -> Floats:
    """Its density over distance, but for the factor `away` that both share."""
    density: Floats = np.exp(-0.5 * away**2 / square) / square
    return np.maximum(density, exp(-700))
