"""Where a standing falls apart because the van was moved, and where only its fixes were thrown off."""

import numpy as np
import pytest

from geofence.parting import hop_after

EACH_S = 5.0


def hop(away_m: float, noise_m: float) -> int:
    """The last row before a change of place halfway, if that is taken for a move; else the last of all."""
    t = EACH_S * np.arange(40)
    x = np.where(np.arange(40) < 20, 0.0, away_m)
    wander = np.tile([0.0, 1.0], 20)
    return hop_after(t, x, wander, np.full(40, noise_m), np.full(40, np.nan), 1.0, 0, 39)


@pytest.mark.parametrize("noise_m", [1.0, 4.0, 10.0])
def test_a_move_must_lead_further_than_noise_may(noise_m):
    assert hop(9.0 + 3.0 * noise_m + 3.0, noise_m) == 19
    assert hop(9.0 + 3.0 * noise_m - 3.0, noise_m) == 39


def test_calm_fixes_show_a_short_move():
    assert hop(15.0, 1.0) == 19
    assert hop(15.0, 10.0) == 39
