"""Python's garbage collector set for a process that keeps much and throws little away in cycles."""

import gc
from typing import Final

THRESHOLDS: Final = (20_000, 100, 20)
"""Objects made before the young are looked through; how often that before older ones are. With Python's own
figures it looks through every driver's state again and again: most of a restore, and a fifth of all work. A
look through the young stops everything for some 30 ms."""


def collect_rarely() -> None:
    """Look for cycles of garbage less often, and never in what is there now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
