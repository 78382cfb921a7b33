"""Groups of stops that are looked at one by one: by region, area, floor, order size, newness, day."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.features import FeatureSpec

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def slices(stops: pd.DataFrame, features: Floats, spec: FeatureSpec) -> Mapping[str, Mask]:
    """Masks (n) by name; groups without members are left out."""
    column = {name: features[:, i] for i, name in enumerate(spec.names)}
    known = column["customer_visits"]
    weight = column["order_weight_kg"]
    found: dict[str, Mask] = {
        **_values("region", stops["region"]),
        **_values("area", stops["area_type"]),
        "ground floor": column["floor"] == 0,
        "floor 1 to 2": (column["floor"] >= 1) & (column["floor"] < 3),
        "floor 3 and up": column["floor"] >= 3,
        "stairs 3 and up": column["stairs"] >= 3,
        "order below 10 kg": weight < 10,
        "order 10 to 50 kg": (weight >= 10) & (weight < 50),
        "order from 50 kg": weight >= 50,
        "new customer": known == 0,
        "customer with 1 to 3 visits": (known >= 1) & (known <= 3),
        "customer with 4 visits or more": known >= 4,
        "holiday": column["is_holiday"] == 1,
        "December": column["month"] == 12,
        "hard parking": stops["parking_difficulty"].to_numpy(float, na_value=np.nan) >= 4,
    }
    return {name: mask for name, mask in found.items() if mask.any()}


def _values(kind: str, values: pd.Series) -> dict[str, Mask]:
    return {f"{kind} {value}": (values == value).to_numpy(bool) for value in sorted(values.dropna().unique())}
