"""How long a service takes: learned through the day from the services so far, from a broad belief at first.

The logarithm of a service's length over its need (what its order takes, relative to others) is taken as
normal, with an unknown mean and spread: a normal-gamma prior, so that the next length follows Student's t
(Murphy 2007, "Conjugate Bayesian analysis of the Gaussian distribution", section 4). Trades differ by more
than one such belief holds: who installs kitchens stands for hours where a parcel takes a minute. So where it
is asked how much of a long standing was service, the prior is a mixture of two, of which the wider is soon
forgotten where the first services are of the usual length.
"""

from math import erfc, exp, lgamma, log, pi, sqrt
from typing import Any, Final

import numpy as np

from geofence.compiling import kernel, lean

PRIOR_MEAN: Final = log(140.0)
PRIOR_MEAN_WEIGHT: Final = 0.7  # services that the prior mean counts for
PRIOR_SHAPE: Final = 5.0
PRIOR_VARIANCE: Final = 0.12
OTHER_TRADE: Final = 0.1  # chance that services are of other lengths altogether
OTHER_MEAN: Final = log(400.0) - PRIOR_MEAN
OTHER_MEAN_WEIGHT: Final = 0.12
FORGOTTEN: Final = 1e-4  # less of a chance is none
SHORTEST_S: Final = 5.0


@kernel()
def log_length(seconds: float, need: float) -> float:
    """What is summed up of a service: the logarithm of its length for an average order, less the prior's."""
    return log(max(seconds, SHORTEST_S) / need) - PRIOR_MEAN


@kernel()
def habit(services: float, total: float, squares: float) -> Any:
    """What is believed of the next length, by the sums over `log_length` so far, if it is of the usual trade.

    The weight of the mean and the mean, the variance, the degrees of freedom, and the log of what Student's
    density is divided by.
    """
    return _habit(services, total, squares, 0.0, PRIOR_MEAN_WEIGHT)


@kernel()
def trades(services: float, total: float, squares: float) -> Any:
    """The same of the usual trade and of another one, and the chance that it is the other."""
    usual = habit(services, total, squares)
    other = _habit(services, total, squares, OTHER_MEAN, OTHER_MEAN_WEIGHT)
    odds = OTHER_TRADE / (1 - OTHER_TRADE) * (usual[2] / other[2]) ** (PRIOR_SHAPE + 0.5 * services)
    odds *= sqrt(OTHER_MEAN_WEIGHT / PRIOR_MEAN_WEIGHT * usual[0] / other[0])
    return usual, other, odds / (1 + odds)


@kernel()
def _habit(services: float, total: float, squares: float, prior_mean: float, prior_weight: float) -> Any:
    shape = PRIOR_SHAPE + 0.5 * services
    weight = prior_weight + services
    mean = (prior_weight * prior_mean + total) / weight
    off = squares + prior_weight * prior_mean**2 - weight * mean**2
    rate = PRIOR_SHAPE * PRIOR_VARIANCE + 0.5 * max(off, 0.0)
    freedom = 2 * shape
    norm = lgamma(0.5 * (freedom + 1)) - lgamma(0.5 * freedom) - 0.5 * log(freedom * pi)
    return weight, mean, rate / shape, freedom, norm


@lean()
def dwell_score(of: Any, seconds: float, need: float, customers: int, censored: bool) -> Any:
    """Log likelihood (per second) of a standing so long, in which customers of that need were served.

    `of` is the driver's `habit`; `censored`: at least so long.
    """
    weight, mean, variance, freedom, norm = of
    scale = sqrt(variance * (1.0 / customers + 1.0 / weight))
    z = (log(max(seconds, 1.0) / need) - PRIOR_MEAN - mean) / scale
    if censored:
        return log(max(_beyond(z, freedom), 1e-9))
    return norm - 0.5 * (freedom + 1) * log(1 + z * z / freedom) - log(scale * max(seconds, 1.0))


@kernel()
def any_trade_score(of: Any, seconds: float, need: float, customers: int) -> Any:
    """The same of a standing that has ended, whichever of the driver's `trades` it is of."""
    usual, other, chance = of
    score = dwell_score(usual, seconds, need, customers, False)
    if chance <= FORGOTTEN:
        return score
    wide = dwell_score(other, seconds, need, customers, False)
    return np.logaddexp(log(1 - chance) + score, log(chance) + wide)


@kernel()
def usual_length(of: Any) -> float:
    """Median length in seconds of a service of average need, by the driver's `trades`."""
    usual, other, chance = of
    seconds: float = exp(PRIOR_MEAN + (1 - chance) * usual[1] + chance * other[1])
    return seconds


@kernel()
def _beyond(z: float, freedom: float) -> float:
    """Chance that Student's t exceeds z (Abramowitz and Stegun 1964, 26.7.8)."""
    normal = z * (1 - 1 / (4 * freedom)) / sqrt(1 + z * z / (2 * freedom))
    return 0.5 * erfc(normal / sqrt(2))
