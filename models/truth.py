"""What is known of a simulated town's visits beyond what was detected: the noise floor, and true times."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Truth:
    """By `visit_id`, in seconds: what a predictor that knows the law expects, and how long it really took."""

    law_s: Mapping[str, float] = field(default_factory=dict)
    true_s: Mapping[str, float] = field(default_factory=dict)

    def of(self, visits: pd.DataFrame) -> "KnownTruth":
        """Both for rows of the training table; NaN where nothing is known."""
        return KnownTruth(_column(visits, self.law_s), _column(visits, self.true_s))


@dataclass(frozen=True, slots=True)
class KnownTruth:
    """What the law expects of some visits, and how long each really took (n each)."""

    law_s: Floats
    true_s: Floats


def joined(parts: list[KnownTruth]) -> KnownTruth:
    """Several as one."""
    return KnownTruth(
        np.concatenate([part.law_s for part in parts]), np.concatenate([part.true_s for part in parts])
    )


def _column(visits: pd.DataFrame, seconds: Mapping[str, float]) -> Floats:
    return np.array([seconds.get(visit, np.nan) for visit in visits["visit_id"]], dtype=np.float64)
