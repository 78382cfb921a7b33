"""Metres and degrees: the only place that knows the shape of the Earth."""

from math import asin, cos, radians, sin, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""

METRES_PER_DEGREE: Final = radians(1.0) * EARTH_RADIUS_M
"""Length of one degree of latitude on that sphere."""


def wrap_degrees(lon: float) -> float:
    """The same longitude in [-180, 180)."""
    return (lon + 180.0) % 360.0 - 180.0


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance (haversine; Sinnott 1984)."""
    a = sin(radians(lat2 - lat1) / 2) ** 2
    a += cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(a)))


class LocalPlane:
    """A flat metric plane about one point (equirectangular); within 20 km its error stays below 0.2 %.

    Longitudes are wrapped, so a plane at the antimeridian is whole.
    """

    __slots__ = ("lat", "lon", "metres_per_lon")

    def __init__(self, lat: float, lon: float) -> None:
        self.lat = lat
        self.lon = lon
        self.metres_per_lon = METRES_PER_DEGREE * max(cos(radians(lat)), 1e-6)

    def to_plane(self, lat: float, lon: float) -> tuple[float, float]:
        """East and north of the origin, in metres."""
        return (
            wrap_degrees(lon - self.lon) * self.metres_per_lon,
            (lat - self.lat) * METRES_PER_DEGREE,
        )

    def numbers(self) -> tuple[float, float, float, float]:
        """Latitude and longitude of the origin; metres to a degree of each."""
        return self.lat, self.lon, METRES_PER_DEGREE, self.metres_per_lon

    def to_degrees(self, east_m: float, north_m: float) -> tuple[float, float]:
        """Latitude and longitude of a point of the plane."""
        return (
            self.lat + north_m / METRES_PER_DEGREE,
            wrap_degrees(self.lon + east_m / self.metres_per_lon),
        )

    def all_to_degrees(self, east_m: Floats, north_m: Floats) -> tuple[Floats, Floats]:
        """`to_degrees` of many points at once."""
        lon = (self.lon + east_m / self.metres_per_lon + 180.0) % 360.0 - 180.0
        return self.lat + north_m / METRES_PER_DEGREE, lon
