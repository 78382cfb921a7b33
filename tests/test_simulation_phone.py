"""What simulated phones report, lose, delay and garble."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.day import Happened
from simulation.phone import Fixes, Phone, draw_phone, observe
from simulation.profiles import PROFILES, Profile
from simulation.randomness import stream
from simulation.scoring import Served
from simulation.town import District, build_town

DAY_MS = 1_772_409_600_000
DAY_S = DAY_MS / 1000
QUIET = replace(
    PROFILES["suburb"],
    dies_share=(0, 0),
    loss_s=(60, 60),
)
PHONE = Phone(
    spacing_s=5,
    loose=0.0,
    slow_when_still=1.0,
    noise_m=4.0,
    drift_s=30.0,
    jitter=0.25,
    indoor_factor=3.0,
    multipath_m=0.0,
    multipath_share=0.0,
    silent=False,
    carried=False,
    says_accuracy=True,
    says_speed=True,
    modest=1.0,
    gps_losses_per_day=0,
    stop_loss_share=0,
    network_losses_per_day=0,
    teleport_share=0,
    null_island_share=0,
    stale_per_day=0,
    clock_jumps_per_day=0,
    duplicate_share=0,
    disorder_share=0,
)


@pytest.fixture(scope="module")
def district() -> District:
    return build_town(PROFILES["suburb"], drivers=1, seed=1, stops_per_day=5).districts[0]


def hour() -> Happened:
    """Drive 10 minutes at 10 m/s, stand 40 (the phone inside from minute 20 to 40), drive on for 10."""
    t = np.array([0, 600, 1200, 2400, 3000, 3600.0]) + 28_800
    xy = np.array([(0, 0), (6000, 0), (6000, 0), (6000, 0), (6000, 0), (12000, 0.0)])
    inside = np.array([False, False, True, False, False, False])
    truth = [Served("d", "s", "c", DAY_S + 28_800 + 600, DAY_S + 28_800 + 3000)]
    return Happened(t, xy, inside, truth)


def seen(
    district: District, phone: Phone = PHONE, profile: Profile = QUIET, seed: int = 0
) -> tuple[Fixes, list[Served]]:
    return observe(profile, district, phone, hour(), DAY_MS, stream(seed, "phone test"))


def east_m(district: District, fixes: Fixes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return (fixes.lon - district.plane.lon) * np.cos(np.radians(district.plane.lat)) * 111_195


def test_a_steady_phone_reports_every_five_seconds_where_it_is(district: District) -> None:
    fixes, truth = seen(district)
    assert np.diff(fixes.ts_ms).tolist() == pytest.approx([5000] * (len(fixes.ts_ms) - 1), abs=2)
    t = fixes.ts_ms / 1000 - DAY_S
    error = east_m(district, fixes) - np.interp(t, hour().t_s, hour().xy[:, 0])
    outside = (t < 28_800 + 1200) | (t > 28_800 + 2400)
    assert 2 < error[outside].std() < 7
    assert error[~outside].std() > 1.4 * error[outside].std()
    assert truth == hour().truth


def test_noise_hangs_together_from_fix_to_fix(district: District) -> None:
    fixes, _ = seen(district)
    standing = slice(130, 230)
    x = east_m(district, fixes)[standing]
    assert np.corrcoef(x[1:], x[:-1])[0, 1] > 0.5


def test_accuracy_and_speed_are_told_or_missing(district: District) -> None:
    fixes, _ = seen(district)
    assert 2 < np.median(fixes.accuracy_m) < 20
    assert np.median(fixes.speed_mps[:100]) == pytest.approx(10, abs=0.3)
    assert np.median(fixes.speed_mps[150:300]) < 0.5
    mute, _ = seen(district, replace(PHONE, says_accuracy=False, says_speed=False))
    assert np.isnan(mute.accuracy_m).all()
    assert np.isnan(mute.speed_mps).all()


def test_a_silent_phone_says_little_while_it_lies_still(district: District) -> None:
    fixes, _ = seen(district, replace(PHONE, silent=True))
    t = fixes.ts_ms / 1000 - DAY_S - 28_800
    assert ((t > 620) & (t < 2990)).sum() < 40
    assert (t < 600).sum() == pytest.approx(120, abs=2)


def test_lost_fixes_never_arrive_and_delayed_ones_all_do(district: District) -> None:
    whole, _ = seen(district)
    lost, _ = seen(district, replace(PHONE, stop_loss_share=1.0))
    assert len(lost.ts_ms) == pytest.approx(len(whole.ts_ms) - 60 / 5, abs=2)
    late, _ = seen(district, replace(PHONE, network_losses_per_day=3))
    assert sorted(late.ts_ms) == sorted(whole.ts_ms)
    assert (np.diff(late.arrives_s) >= 0).all()
    assert (late.arrives_s - (late.ts_ms / 1000 - DAY_S)).max() > 30


def test_disorder_stays_below_half_a_minute(district: District) -> None:
    fixes, _ = seen(district, replace(PHONE, disorder_share=0.3))
    late_s = (np.maximum.accumulate(fixes.ts_ms) - fixes.ts_ms) / 1000
    assert 5 < late_s.max() < 30


def test_nonsense_is_put_in_at_the_stated_rate(district: District) -> None:
    garbled = replace(PHONE, null_island_share=0.05, teleport_share=0.03, duplicate_share=0.1)
    fixes, _ = seen(district, garbled)
    whole, _ = seen(district)
    assert (fixes.lat == 0).sum() == pytest.approx(0.05 * 1.1 * len(whole.ts_ms), rel=0.5)
    assert len(fixes.ts_ms) == pytest.approx(1.1 * len(whole.ts_ms), rel=0.05)
    far = (abs(east_m(district, fixes) - 6000) > 6300) & (fixes.lat != 0)
    assert far.any()


def test_clocks_jump_by_minutes_to_a_day(district: District) -> None:
    fixes, _ = seen(district, replace(PHONE, clock_jumps_per_day=3))
    off_s = abs(fixes.ts_ms / 1000 - DAY_S - 30_600)
    assert 1 <= (off_s > 1801 + 200).sum() <= 15
    assert off_s.max() < 86_400 + 1801


def test_a_phone_that_dies_in_a_stop_makes_it_an_edge(district: District) -> None:
    edges = 0
    for seed in range(12):
        fixes, truth = seen(district, profile=replace(QUIET, dies_share=(1, 1)), seed=seed)
        last_s = fixes.ts_ms.max() / 1000
        for row in truth:
            assert row.edge == (row.departed_s > last_s or row.arrived_s < fixes.ts_ms.min() / 1000)
            edges += row.edge
    assert edges > 4


def test_profiles_draw_phones_within_their_ranges() -> None:
    for profile in PROFILES.values():
        phones = [draw_phone(profile, None, stream(n, "draw")) for n in range(200)]
        low, high = profile.spacing_s
        assert all(low - 0.5 <= p.spacing_s <= high + 0.5 for p in phones)
        assert np.mean([p.silent for p in phones]) == pytest.approx(profile.silent_share, abs=0.1)
        assert np.mean([p.says_speed for p in phones]) == pytest.approx(profile.speed_share, abs=0.12)
    assert draw_phone(PROFILES["suburb"], 7.5, stream(0, "draw")).spacing_s == 7.5
