"""Learned places: corrected fences from where drivers really stood, and the visits they win back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.engine import detected
from geofence.errors import InvalidFence
from geofence.events import Ping, PingBatch, ServiceTime, VisitStatus
from geofence.fences import Fence, FenceSet
from geofence.geometry import LocalPlane, distance_m
from geofence.halts import Halt, all_halts
from geofence.routes import Route, Stop
from models.places import Learning, apply, confidence_of, geometric_median, suggest
from models.sightings import of_missed_stops
from simulation.profiles import SUBURB
from simulation.recording import simulate
from simulation.scoring import claim_of, final_claims, score
from streams.cli.main import run
from streams.records import encode

DAY_MS = 86_400_000
NOON_MS = 1_789_992_000_000
HOME = LocalPlane(47.0, 8.0)


def at(east_m, north_m=0.0):
    return HOME.to_degrees(east_m, north_m)


def halt(day, minute, east_m, door_m=None, minutes=4, north_m=0.0):
    arrived_ms = NOON_MS + day * DAY_MS + minute * 60_000
    door = None if door_m is None else at(door_m)
    return Halt("d1", arrived_ms, arrived_ms + minutes * 60_000, at(east_m, north_m), door, 4.0)


def visit_at(
    h, customer_id="c1", stop_id=None, route_id=None, confidence=0.9, revision=1, status="completed"
):
    return ServiceTime(
        visit_id=f"{customer_id}-{h.arrived_ms}", revision=revision, status=VisitStatus(status),
        driver_id=h.driver_id, customer_id=customer_id, fence_id=f"f-{customer_id}", route_id=route_id,
        stop_id=stop_id, arrived_ms=h.arrived_ms, departed_ms=h.departed_ms, service_time_s=h.seconds,
        entered_ms=None, exited_ms=None, parking_search_s=0.0,
        arrived_between_ms=(h.arrived_ms, h.arrived_ms), departed_between_ms=(h.departed_ms, h.departed_ms),
        confidence=confidence, runner_up=None, shared_with=(), share_method=None, pings=40, max_gap_s=5.0,
        median_accuracy_m=4.0, flags=(), config_hash="x",
    )  # fmt: skip


def fence(customer_id="c1", east_m=0.0, radius_m=40.0, **more):
    lat, lon = at(east_m)
    return Fence(f"f-{customer_id}", customer_id, lat, lon, radius_m, **more)


def suggested(halts, visits, fences=(), routes=(), **learning):
    return suggest(visits, {"d1": halts}, FenceSet(fences or [fence()]), routes, Learning(**learning))


def east_of(place_fence):
    return HOME.to_plane(place_fence.lat, place_fence.lon)[0]


def test_a_fence_is_moved_to_the_door_that_drivers_walk_to():
    halts = [halt(day, 0, 60 + day, door_m=70 + day) for day in range(3)]
    (found,) = suggested(halts, [visit_at(h) for h in halts])
    assert east_of(found.fence) == pytest.approx(71, abs=0.1)
    assert found.fence.facts["suggested_from"] == {
        "visits": 3, "missed": 0, "against": 0, "spread_m": 1.0, "moved_m": 71.0, "centre": "door",
        "confidence": pytest.approx(2.7 / 3.2, abs=5e-3),
        "parking": pytest.approx([at(61)[1], at(61)[0]], abs=1e-6),
        "old_centre": [8.0, 47.0], "old_radius_m": 40.0,
    }  # fmt: skip


def test_without_walks_the_fence_is_put_where_the_van_stands():
    halts = [halt(day, 0, 60) for day in range(3)]
    (found,) = suggested(halts, [visit_at(h) for h in halts])
    assert (round(east_of(found.fence)), found.fence.facts["suggested_from"]["centre"]) == (60, "parking")


def test_a_van_that_parks_a_little_off_moves_no_fence():
    halts = [halt(day, 0, 35) for day in range(5)]
    assert suggested(halts, [visit_at(h) for h in halts]) == []


def test_two_visits_are_too_few_for_three():
    halts = [halt(day, 0, 70, door_m=70) for day in range(2)]
    assert suggested(halts, [visit_at(h) for h in halts]) == []
    assert len(suggested(halts, [visit_at(h) for h in halts], min_visits=2)) == 1


def test_two_halts_on_one_day_count_once():
    halts = [halt(0, minute, 70, door_m=70) for minute in (0, 60, 120)]
    assert suggested(halts, [visit_at(h) for h in halts]) == []


def test_one_visit_at_a_wrong_place_moves_nothing_but_the_confidence():
    halts = [halt(day, 0, 70, door_m=70) for day in range(4)]
    stray = halt(4, 0, -90, door_m=-90)
    (sure,) = suggested(halts, [visit_at(h) for h in halts])
    (less,) = suggested([*halts, stray], [visit_at(h) for h in [*halts, stray]])
    assert east_of(less.fence) == pytest.approx(70, abs=0.1)
    assert less.fence.facts["suggested_from"]["against"] == 1
    assert (sure.confidence, less.confidence) == (
        pytest.approx(3.6 / 4.1, abs=5e-3),
        pytest.approx(0.72, abs=5e-3),
    )


def test_retracted_visits_tell_nothing():
    halts = [halt(day, 0, 70, door_m=70) for day in range(3)]
    records = [visit_at(h) for h in halts] + [visit_at(halts[0], revision=2, status="retracted")]
    assert suggested(halts, records) == []


def test_a_new_version_holds_from_the_end_of_the_data_on():
    halts = [halt(day, 0, 70, door_m=70) for day in range(3)]
    (found,) = suggested(halts, [visit_at(h) for h in halts])
    assert found.fence.valid_from_ms == NOON_MS + 2 * DAY_MS + 240_000
    fences = FenceSet(apply([fence()], [found.fence], 0.5)[0])
    assert east_of(fences.get("f-c1", NOON_MS)) == 0
    assert east_of(fences.get("f-c1", NOON_MS + 3 * DAY_MS)) == pytest.approx(70, abs=0.1)


def test_a_polygon_that_holds_the_place_stays():
    square = {
        "type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[list(at(e, n)[::-1]) for e, n in
        ((-20, -90), (90, -90), (90, 90), (-20, 90), (-20, -90))]]},
        "properties": {"fence_id": "f-c1", "customer_id": "c1"},
    }  # fmt: skip
    from geofence.geojson import fence_of

    halts = [halt(day, 0, 80, door_m=80) for day in range(3)]
    visits = [visit_at(h) for h in halts]
    assert suggested(halts, visits, [fence_of(square)]) == []
    outside = [halt(day, 0, 130, door_m=130) for day in range(3)]
    (found,) = suggested(outside, [visit_at(h) for h in outside], [fence_of(square)])
    assert (found.fence.shape, round(east_of(found.fence))) == (None, 130)


def planned_day(day):
    """Stops a, b and c on a line; b's fence is 100 m from its door, so b was not found."""
    stops = tuple(Stop(f"{c}{day}", c, n) for n, c in enumerate("abc"))
    route = Route(f"r{day}", "d1", NOON_MS + day * DAY_MS - 3_600_000, stops)
    first, third = halt(day, 0, -500, door_m=-500), halt(day, 20, 500, door_m=500)
    second, lights = halt(day, 10, 100, door_m=105), halt(day, 15, 40, minutes=0.3)
    visits = [
        visit_at(first, "a", f"a{day}", route.route_id),
        visit_at(third, "c", f"c{day}", route.route_id),
    ]
    return route, [first, second, lights, third], visits


TOWN = [fence("a", -500), fence("b", 0), fence("c", 500)]


def test_stops_that_were_not_found_show_the_right_place_by_sequence():
    days = [planned_day(day) for day in range(3)]
    halts = [h for _, of_day, _ in days for h in of_day]
    (found,) = suggested(halts, [v for *_, of in days for v in of], TOWN, [r for r, *_ in days])
    assert (found.fence.customer_id, round(east_of(found.fence))) == ("b", 105)
    evidence = found.fence.facts["suggested_from"]
    assert (evidence["visits"], evidence["missed"]) == (3, 3)
    assert found.confidence == pytest.approx(1.8 / 2.3, abs=1e-3)


def test_a_standstill_out_of_sequence_or_far_away_is_not_the_missed_stop():
    route, halts, visits = planned_day(0)
    fences = FenceSet(TOWN)
    late = [halts[0], halt(0, 40, 100, door_m=105), halts[3]]
    far = [halts[0], halt(0, 10, 100, door_m=105, north_m=160), halts[3]]
    assert of_missed_stops(visits, {"d1": late}, [route], fences, {}, 150) == []
    assert of_missed_stops(visits, {"d1": far}, [route], fences, {}, 150) == []
    assert len(of_missed_stops(visits, {"d1": halts}, [route], fences, {}, 150)) == 1


def test_a_missed_stop_without_a_standstill_of_its_own_may_have_been_served_from_its_neighbours():
    route, halts, visits = planned_day(0)
    near = halt(0, 20, 100, door_m=110)
    visits = [visits[0], visit_at(near, "c", "c0", route.route_id)]
    fences = FenceSet([fence("a", -500), fence("b", 0), fence("c", 100)])
    (found,) = of_missed_stops(visits, {"d1": [halts[0], near]}, [route], fences, {}, 150)
    assert (found.customer_id, found.place, found.weight, found.alone) == ("b", near.park, 0.6, False)


def test_a_place_that_is_rather_the_neighbour_s_is_trusted_by_half():
    halts = [halt(day, 10 * n, 80, door_m=80) for day in range(3) for n in (0, 1)]
    visits = [visit_at(h, "c1" if n % 2 else "c2") for n, h in enumerate(halts)]
    (found,) = suggested(halts, visits, [fence(), fence("c2", 80)])
    assert (found.fence.customer_id, found.confidence) == ("c1", pytest.approx(2.7 / 3.2 / 2, abs=5e-3))


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)), min_size=1, max_size=4))
def test_fewer_than_half_of_the_points_cannot_carry_the_median_away(strays):
    points = np.array([(5.0, 5.0)] * 5 + strays)
    middle, _ = geometric_median(points)
    assert np.hypot(*(middle - 5.0)) < 1.0


def test_suggestions_below_the_wanted_confidence_are_left_out():
    told = replace(fence(east_m=70), valid_from_ms=5, facts={"suggested_from": {"confidence": 0.7}})
    assert apply([fence()], [told], 0.8) == ([fence()], 0)
    assert apply([fence()], [told], 0.7) == ([fence(), told], 1)
    assert apply([fence(), told], [told], 0.7) == ([fence(), told], 1)
    assert apply([fence()], [told], 0.7, whole_past=True) == ([replace(told, valid_from_ms=None)], 1)


def test_a_fence_without_evidence_is_no_suggestion():
    with pytest.raises(InvalidFence, match=r"suggested_from.confidence: is missing"):
        confidence_of(fence())
    stranger = replace(fence("c9"), facts={"suggested_from": {"confidence": 0.9}})
    with pytest.raises(InvalidFence, match="'f-c9' is no fence"):
        apply([fence()], [stranger], 0.5)


def drive(day, stand_m):
    """Along the street at 10 m/s to `stand_m`, five minutes there, and on."""
    pings = []
    for second in range(0, 760, 5):
        east_m = min(second, 60) * 10 - 600 + max(0, second - 360) * 10 + stand_m
        speed = 0.0 if 60 <= second <= 360 else 10.0
        lat, lon = at(east_m)
        pings.append(Ping("d1", NOON_MS + day * DAY_MS + 1000 * second, lat, lon, 4.0, speed))
    return pings


def test_halts_are_found_day_by_day_whatever_the_order_of_the_pings():
    pings = [p for day in range(2) for p in drive(day, 55)]
    found = all_halts([PingBatch.of(pings[::-1]), PingBatch.of(pings[:50])])["d1"]
    assert [(h.arrived_ms - NOON_MS) // DAY_MS for h in found] == [0, 1]
    assert all(distance_m(*h.park, *at(55)) < 3 and abs(h.seconds - 300) < 15 for h in found)


def test_suggest_and_apply_as_people_call_them(tmp_path, capsys):
    pings = [p for day in range(3) for p in drive(day, 62)]
    (tmp_path / "p.jsonl").write_bytes(b"".join(encode(p) + b"\n" for p in pings))
    (tmp_path / "f.geojson").write_bytes(encode(fence(facts={"floor": 2})))
    given = ["--fences", str(tmp_path / "f.geojson"), "--pings", str(tmp_path / "p.jsonl")]
    assert run(["replay", *given, "--out", str(tmp_path / "v.jsonl")]) == 0
    out = ["--out", str(tmp_path / "s.geojson"), "--json"]
    assert run(["fences", "suggest", "--records", str(tmp_path / "v.jsonl"), *given, *out]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["fence_id"], told["visits"], round(told["moved_m"])) == ("f-c1", 3, 62)
    named = ["--fences", str(tmp_path / "f.geojson"), "--suggestions", str(tmp_path / "s.geojson")]
    assert run(["fences", "apply", *named, "--out", str(tmp_path / "new.geojson")]) == 0
    old, new = json.loads((tmp_path / "new.geojson").read_text())["features"]
    assert (old["properties"]["floor"], new["properties"]["floor"]) == (2, 2)
    assert new["properties"]["valid_from"].startswith("2026-09-23T")
    assert run(["fences", "apply", "--fences", named[1], "--suggestions", named[1], "--out", "-"]) == 2
    assert "f.geojson, suggested_from.confidence: is missing" in capsys.readouterr().err


def shifted(fences, share, rng):
    """That share of the circles moved by 40 to 80 m, and whose they are."""
    moved, whose = [], set()
    for f in fences:
        if f.radius_m is not None and rng.random() < share:
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(40, 80)
            place = LocalPlane(f.lat, f.lon).to_degrees(far * np.cos(angle), far * np.sin(angle))
            f = replace(f, lat=place[0], lon=place[1])
            whose.add(f.customer_id)
        moved.append(f)
    return moved, whose


def test_learned_places_win_recall_back_where_geocodes_are_wrong():
    town = replace(SUBURB, customers_a_stop=(1.8, 1.8), silent_share=0.0)
    made = simulate(town, drivers=2, days=9, seed=6, stops_per_day=14, spacing_s=6.0, weather=False)
    fences, wrong = shifted(made.fences, 0.2, np.random.default_rng(2))
    proof_ms = min(r.starts_ms for r in made.routes) // DAY_MS * DAY_MS + 6 * DAY_MS
    truth = [t for t in made.truth if t.arrived_s * 1000 >= proof_ms]

    def recall(records, customers=None):
        claims = [c for c in final_claims(map(claim_of, records)) if c.arrived_s * 1000 >= proof_ms]
        rows = [t for t in truth if customers is None or t.customer_id in customers]
        return score([c for c in claims if customers is None or c.customer_id in customers], rows).recall

    before = detected([made.pings], fences, made.routes)
    past = [r for r in before if r.arrived_ms < proof_ms]
    halts = {d: [h for h in of if h.departed_ms < proof_ms] for d, of in all_halts([made.pings]).items()}
    found = suggest(past, halts, FenceSet(fences), [r for r in made.routes if r.starts_ms < proof_ms])
    corrected, count = apply(fences, [s.fence for s in found], 0.5)
    after = detected([made.pings], corrected, made.routes)
    assert count >= 3
    assert recall(after, wrong) >= recall(before, wrong) + 0.1
    assert recall(after) > recall(before)
    doors = {c.customer_id: d.plane.to_degrees(*c.door) for d in made.town.districts for c in d.customers}
    off = [distance_m(s.fence.lat, s.fence.lon, *doors[s.fence.customer_id]) for s in found]
    assert np.median(off) < 15
