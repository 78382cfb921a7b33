"""How long a service takes: learned through the day from the services so far, from a broad belief at first.

The logarithm of a service's length over its need (what its order takes, relative to others) is taken as
normal, with an unknown mean and spread: a normal-gamma prior, so that the next length follows Student's t
(Murphy 2007, "Conjugate Bayesian analysis of the Gaussian distribution", section 4).
"""

from math import lgamma, log, pi, sqrt
from typing import Final, NamedTuple

from scipy.special import stdtr

PRIOR_MEAN: Final = log(140.0)
PRIOR_MEAN_WEIGHT: Final = 0.7  # services that the prior mean counts for
PRIOR_SHAPE: Final = 5.0
PRIOR_VARIANCE: Final = 0.12
SHORTEST_S: Final = 5.0


class Habit(NamedTuple):
    """Sums over the services so far: how many, logarithms of length over need, and their squares."""

    services: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def with_service(self, seconds: float, need: float) -> "Habit":
        """With one more standing, in which customers of that need together were served."""
        z = log(max(seconds, SHORTEST_S) / need) - PRIOR_MEAN
        return Habit(self.services + 1, self.total + z, self.squares + z * z)

    def score(self, seconds: float, need: float, customers: int, censored: bool) -> float:
        """Log likelihood (per second) of a standing so long; `censored`: at least so long."""
        n, shape = self.services, PRIOR_SHAPE + 0.5 * self.services
        weight = PRIOR_MEAN_WEIGHT + n
        mean = self.total / weight
        rate = PRIOR_SHAPE * PRIOR_VARIANCE + 0.5 * max(self.squares - self.total * self.total / weight, 0.0)
        scale = sqrt(rate / shape * (1.0 / customers + 1.0 / weight))
        z = (log(max(seconds, 1.0) / need) - PRIOR_MEAN - mean) / scale
        freedom = 2 * shape
        if censored:
            return log(max(float(stdtr(freedom, -z)), 1e-9))
        norm = lgamma(0.5 * (freedom + 1)) - lgamma(0.5 * freedom) - 0.5 * log(freedom * pi)
        return norm - 0.5 * (freedom + 1) * log(1 + z * z / freedom) - log(scale * max(seconds, 1.0))
