"""The columns of a standstill as the row of numbers that compiled code describes it by."""

from typing import Final

COLUMNS: Final = 18

FIRST, LAST = 0, 1
"""Its first and last fix; those about a stop hidden between two fixes are the other way round."""

ARRIVED, DEPARTED = 2, 3
"""Best estimates of its beginning and end, seconds ..."""

ARRIVED_LOW, ARRIVED_HIGH, DEPARTED_LOW, DEPARTED_HIGH = 4, 5, 6, 7
"""... and the times between which these lie."""

SEARCH_S, PARK_X, PARK_Y, DOOR_X, DOOR_Y, WALKED, MAX_GAP_S, NOISE_M = 8, 9, 10, 11, 12, 13, 14, 15
"""As in `standstills.Standstill`."""

HOW, PARTED = 16, 17
"""How it was seen, and whether it was parted from the one before."""

SEEN, HIDDEN, OPEN_ENDED = 0.0, 1.0, 2.0
"""How: by fixes that stand; between two that drive; by fixes that stand up to the very last one."""
