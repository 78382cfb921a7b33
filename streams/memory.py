"""Python's garbage collector set for a process that keeps much and throws little away in cycles."""

import gc
from typing import Final

YOUNG: Final = 20_000
OLDER: Final = (2_500, 20)
"""Objects made before the young are looked through; how often that before older ones are. With Python's own
figures it looks through every driver's state again and again: most of a restore, and a fifth of all work. A
look through the young stops everything for some 25 ms, every few seconds where nothing is behind; one through
500,000 took 300 ms, which one record in a hundred waited for."""

YOUNG_OFFLINE: Final = 1_000_000
"""The same where nobody waits meanwhile."""


def collect_rarely(young: int = YOUNG) -> None:
    """Look for cycles of garbage less often, and never in what is there now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, *OLDER)
