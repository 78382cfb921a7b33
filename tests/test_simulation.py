"""Simulated towns: what they promise to those who measure with them."""

import gzip
import json
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from geofence.errors import InvalidSetting
from geofence.events import PingBatch
from simulation.baselines import enter_exit
from simulation.profiles import PROFILES, profile_named
from simulation.recording import Recording, Settings, Simulation, simulate
from simulation.scoring import score
from simulation.writing import FILES, write
from streams.cli.main import cli, run
from streams.files.judged import read_truth
from streams.files.pings import read_pings
from streams.files.records import read_fences, read_manual, read_routes, read_weather

DAY_S = 86_400


@pytest.fixture(scope="module")
def suburb() -> Recording:
    return simulate("suburb", drivers=4, days=2, seed=5, spacing_s=15)


@pytest.fixture(scope="module")
def larger() -> Recording:
    return simulate("suburb", drivers=8, days=2, seed=1, spacing_s=30)


def test_equal_arguments_give_equal_recordings(suburb: Recording) -> None:
    again = simulate("suburb", drivers=4, days=2, seed=5, spacing_s=15)
    assert again.truth == suburb.truth
    assert again.routes == suburb.routes
    assert again.pings.driver_ids == suburb.pings.driver_ids
    np.testing.assert_array_equal(again.pings.ts_ms, suburb.pings.ts_ms)
    np.testing.assert_array_equal(again.pings.lat, suburb.pings.lat)
    np.testing.assert_array_equal(again.pings.accuracy_m, suburb.pings.accuracy_m)


def test_another_seed_gives_another_town(suburb: Recording) -> None:
    other = simulate("suburb", drivers=1, days=1, seed=6, spacing_s=15)
    assert other.fences[0].lat != suburb.fences[0].lat
    assert other.town.profile != suburb.town.profile


def test_a_day_does_not_depend_on_how_many_follow(suburb: Recording) -> None:
    one = simulate("suburb", drivers=4, days=1, seed=5, spacing_s=15)
    assert one.truth == suburb.truth[: len(one.truth)]
    np.testing.assert_array_equal(one.pings.ts_ms, suburb.pings.ts_ms[: len(one.pings)])


def test_a_driver_serves_one_customer_at_a_time(suburb: Recording) -> None:
    for driver in {t.driver_id for t in suburb.truth}:
        rows = sorted((t for t in suburb.truth if t.driver_id == driver), key=lambda t: t.arrived_s)
        for row, following in pairwise(rows):
            assert row.arrived_s < row.departed_s <= following.arrived_s + 1e-6


def test_customers_of_one_standstill_are_served_without_a_break() -> None:
    truth = simulate("dense", drivers=2, days=1, seed=3).truth
    groups = 0
    for n, row in enumerate(truth):
        if row.group > 1 and (n == 0 or truth[n - 1].departed_s != row.arrived_s):
            members = truth[n : n + row.group]
            groups += 1
            assert [m.group for m in members] == [row.group] * row.group
            assert [m.departed_s for m in members[:-1]] == [m.arrived_s for m in members[1:]]
            assert len({m.customer_id for m in members}) == row.group
    assert groups > 5


def test_every_scored_visit_lies_within_its_drivers_pings_and_has_a_fence(suburb: Recording) -> None:
    customers = {f.customer_id for f in suburb.fences}
    drivers = np.array(suburb.pings.driver_ids)
    for row in suburb.truth:
        own = suburb.pings.ts_ms[drivers == row.driver_id] / 1000
        today = own[own // DAY_S == row.arrived_s // DAY_S]
        assert row.edge or (today.min() <= row.arrived_s and row.departed_s <= today.max())
        assert row.customer_id in customers


def test_most_stops_are_served_as_planned_and_some_are_not(larger: Recording) -> None:
    made = larger
    planned = [s.stop_id for r in made.routes for s in r.stops]
    served = [t.stop_id for t in made.truth if t.stop_id is not None]
    skipped, added = set(planned) - set(served), [t for t in made.truth if t.stop_id is None]
    assert set(served) <= set(planned)
    assert 0.8 * len(planned) < len(set(served)) < len(planned)
    assert skipped
    assert added
    numbers = {s.stop_id: s.sequence for r in made.routes for s in r.stops}
    falls = [
        numbers[b] < numbers[a] for a, b in pairwise(served) if a.rpartition("-")[0] == b.rpartition("-")[0]
    ]
    assert 2 < sum(falls) < 0.2 * len(falls)


def test_some_customers_are_visited_twice_on_a_day(larger: Recording) -> None:
    truth = larger.truth
    days = [(t.driver_id, t.customer_id, t.arrived_s // DAY_S) for t in truth]
    twice = {d for d in days if days.count(d) == 2}
    assert twice
    for driver, customer, day in twice:
        first, second = [
            t for t in truth if (t.driver_id, t.customer_id, t.arrived_s // DAY_S) == (driver, customer, day)
        ]
        assert second.arrived_s - first.departed_s > 60


def test_planned_arrivals_rise_with_the_sequence(suburb: Recording) -> None:
    for route in suburb.routes:
        arrivals = [s.planned_arrival_ms or 0 for s in route.stops]
        assert arrivals == sorted(arrivals)
        assert route.starts_ms < arrivals[0]
        assert route.ends_ms is not None
        assert arrivals[-1] < route.ends_ms


def test_stops_per_day_spacing_start_and_regions_are_as_asked() -> None:
    made = simulate(
        "countryside", 4, 1, seed=2, start=date(2026, 12, 1), regions=2, stops_per_day=12, spacing_s=20
    )
    assert {r.region for r in made.routes} == {"region-1", "region-2"}
    assert {f.facts["region"] for f in made.fences} == {"region-1", "region-2"}
    assert all(8 <= len(r.stops) <= 18 for r in made.routes)
    assert {t.arrived_s // DAY_S for t in made.truth} == {
        date(2026, 12, 1).toordinal() - date(1970, 1, 1).toordinal()
    }
    drivers = np.array(made.pings.driver_ids)
    gaps_ms = [np.median(np.diff(np.sort(made.pings.ts_ms[drivers == d]))) for d in sorted(set(drivers))]
    assert min(gaps_ms) == pytest.approx(20_000, rel=0.15)


def test_regions_obey_laws_of_their_own() -> None:
    town = simulate("suburb", 2, 1, seed=2, regions=2, stops_per_day=5).town
    one, two = (d.law for d in town.districts)
    assert one.base_s != two.base_s
    assert one.noise_sd == two.noise_sd


def test_without_weather_there_is_none_and_it_slows_nobody() -> None:
    made = simulate("suburb", 1, 1, seed=2, weather=False, stops_per_day=5)
    assert made.weather.hours == {}
    assert made.truth


def test_the_profile_without_routes_publishes_none_but_knows_the_truth() -> None:
    made = simulate("no-route", 2, 1, seed=2, stops_per_day=15)
    assert made.routes == []
    assert len(made.truth) > 20


def test_pings_arrive_late_and_out_of_order_in_the_hostile_network_only_in_bounds() -> None:
    pings = simulate("hostile", 4, 1, seed=2, spacing_s=5).pings
    own = pings.ts_ms[np.array([d == "driver-001" for d in pings.driver_ids])]
    late_s = (np.maximum.accumulate(own) - own) / 1000
    assert (late_s > 1).any()
    nonsense = (pings.lat == 0) & (pings.lon == 0)
    assert 0 < nonsense.sum() < 0.02 * len(pings)


@pytest.mark.parametrize(
    ("profile", "low", "high"),
    [
        ("suburb", 0.6, 0.85),
        ("dense", 0.0, 0.25),
        ("countryside", 0.55, 0.9),
        ("hostile", 0.1, 0.5),
        ("no-route", 0.8, 1),
    ],
)
def test_plain_geofencing_fares_as_badly_as_it_does_in_the_field(
    profile: str, low: float, high: float
) -> None:
    made = simulate(profile, drivers=4, days=1, seed=0)
    assert low < score(enter_exit(made.pings, made.fences), made.truth).f1 < high


def test_written_files_say_what_is_in_memory(tmp_path: Path) -> None:
    settings = Settings(profile_named("hostile"), drivers=2, days=2, seed=4, stops_per_day=12, spacing_s=10)
    count = write(Simulation(settings), tmp_path)
    made = simulate("hostile", 2, 2, seed=4, stops_per_day=12, spacing_s=10)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(FILES)
    assert list(read_routes(str(tmp_path / "routes.jsonl"))) == made.routes
    assert list(read_truth(str(tmp_path / "truth.jsonl"))) == made.truth
    fences = list(read_fences(str(tmp_path / "fences.geojson")))
    assert [(f.fence_id, f.lat, f.lon, f.radius_m, dict(f.facts)) for f in fences if f.radius_m] == [
        (f.fence_id, f.lat, f.lon, f.radius_m, dict(f.facts)) for f in made.fences if f.radius_m
    ]
    pings = PingBatch.joined([r.batch for r in read_pings(str(tmp_path / "pings.jsonl.gz"))])
    assert count == len(pings) == len(made.pings)
    assert pings.driver_ids == made.pings.driver_ids
    for column in ("ts_ms", "lat", "lon", "accuracy_m", "speed_mps"):
        np.testing.assert_array_equal(getattr(pings, column), getattr(made.pings, column))
    manual = list(read_manual(str(tmp_path / "manual.jsonl")))
    assert [(m.stop_id, m.arrived_ms, m.departed_ms) for m in manual] == [
        (m.stop_id, m.arrived_ms, m.departed_ms) for m in made.manual
    ]
    assert len(list(read_weather(str(tmp_path / "weather.jsonl")))) == 5 * 24


def test_the_command_writes_equal_bytes_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        arguments = f"simulate --out {tmp_path / name} --drivers 1 --days 1 --seed 3 --stops-per-day 8"
        assert CliRunner().invoke(cli, arguments.split()).exit_code == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    first = json.loads(gzip.decompress((tmp_path / "a" / "pings.jsonl.gz").read_bytes()).splitlines()[0])
    assert first["driver_id"] == "driver-001"


def test_what_is_out_of_range_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--out", str(tmp_path), "--profile", "moon"]) == 2
    assert "'moon'" in capsys.readouterr().err
    assert run(["simulate", "--out", str(tmp_path), "--drivers", "0"]) == 2
    (tmp_path / "file").write_text("")
    assert run(["simulate", "--out", str(tmp_path / "file"), "--drivers", "1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    with pytest.raises(InvalidSetting, match="suburb, dense, countryside, hostile, no-route"):
        profile_named("moon")
    with pytest.raises(InvalidSetting, match="spacing_s: 0"):
        Settings(PROFILES["suburb"], spacing_s=0)


def test_the_command_offers_the_profiles_there_are() -> None:
    from streams.cli.simulate import PROFILES as OFFERED

    assert tuple(PROFILES) == OFFERED
