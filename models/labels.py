"""How much each visit's service time is worth as a label."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

USUAL_SPREAD: Final = 0.25
"""Services at one customer vary by about a quarter; a label as uncertain as that weighs half."""

LEAST: Final = 0.05
SHARED: Final = 0.5
"""A visit whose standstill was shared with other customers has a split time: half a weight."""

DOUBTFUL: Final = {"gap_bridged": 0.6, "merged": 0.8}
"""Factors for flags."""


def label_weights(visits: pd.DataFrame) -> Floats:
    """Weights in (0, 1] from confidence, bounds, shared time and flags of rows of the training table."""
    confidence = visits["confidence"].fillna(0.5).to_numpy(float)
    service_s = np.maximum(visits["service_time_s"].to_numpy(float), 1.0)
    spread = np.hypot(_width_s(visits["arrived_between"]), _width_s(visits["departed_between"]))
    relative = spread / np.sqrt(12) / service_s
    weights = confidence / (1 + (relative / USUAL_SPREAD) ** 2)
    weights = weights * np.where(visits["shared_with"].map(_length) > 0, SHARED, 1.0)
    for flag, factor in DOUBTFUL.items():
        weights = weights * np.where(visits["flags"].map(lambda f, flag=flag: _holds(f, flag)), factor, 1.0)
    return np.asarray(np.clip(weights, LEAST, 1.0), dtype=np.float64)


def _width_s(pairs: pd.Series) -> Floats:
    """Seconds between the two times of each pair; 0 where there is none."""
    widths = np.zeros(len(pairs))
    known = pairs.map(_length).to_numpy() == 2
    if known.any():
        moments = pd.to_datetime([moment for pair in pairs[known] for moment in pair], utc=True)
        ms = moments.to_numpy(dtype="datetime64[ms]").astype(np.int64)
        widths[known] = (ms[1::2] - ms[::2]) / 1000
    return widths


def _length(values: Any) -> int:
    return 0 if values is None or isinstance(values, float) else len(values)


def _holds(values: Any, wanted: str) -> bool:
    return _length(values) > 0 and wanted in list(values)
