"""Independent random streams: each thing simulated has its own, whatever else is simulated."""

from zlib import crc32

import numpy as np


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """A generator that depends on these arguments alone."""
    return np.random.default_rng([seed, crc32(purpose.encode()), *numbers])
