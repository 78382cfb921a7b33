"""The pilot: geofence timestamps against manual ones, and whether they can replace them."""

from models.pilot.matching import Matching, Pair, Written, match
from models.pilot.report import Pilot, compare

__all__ = ["Matching", "Pair", "Pilot", "Written", "compare", "match"]
