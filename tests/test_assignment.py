"""Whom each standstill served."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.assignment import WINDOW, Assigner, Decision
from geofence.creeping import Creeping
from geofence.evidence import Candidate, Nearby
from geofence.groups import NEAREST, SURELY, Near, grouped
from geofence.hypotheses import G_ID
from geofence.plan import Plan
from geofence.routes import Order, Route, Stop
from geofence.standstills import Standstill
from geofence.walk import Walk
from tests.tracks import HOME, START_MS, circle, plan


def stand(
    east: float,
    begin_s: float,
    seconds: float,
    north: float = 0.0,
    open_ended: bool = False,
    parted: bool = False,
) -> Standstill:
    arrived, departed = START_MS + round(1000 * begin_s), START_MS + round(1000 * (begin_s + seconds))
    return Standstill(
        first=0,
        last=9,
        arrived_ms=arrived,
        departed_ms=departed,
        arrived_between_ms=(arrived, arrived),
        departed_between_ms=(departed, departed),
        search_ms=0,
        park=(east, north),
        door=(east, north),
        walked=False,
        pings=10,
        max_gap_s=5.0,
        hidden=False,
        open_ended=open_ended,
        noise_m=3.0,
        parted=parted,
    )


def candidate(name: str, east: float, north: float = 0.0, **how) -> Candidate:
    return Candidate(circle(name, east, north, **how), (east, north), 0.0, 0.0)


PLACES = {"a": 0.0, "a2": 30.0, "b": 500.0, "c": 1000.0}


def near(east: float) -> list[Candidate]:
    return [candidate(n, e) for n, e in PLACES.items() if abs(e - east) < 80]


def assigned(stands, route: Route | None = None, candidates=None, offered=None) -> Assigner:
    """Candidates are those of `PLACES`, or the same at all stands, or those `offered` at each."""
    found = Assigner(Plan([route] if route else [], START_MS, START_MS + 3_600_000), 20.0)
    if offered is None:
        offered = [near(s.park[0]) if candidates is None else candidates for s in stands]
    for n, (s, there) in enumerate(zip(stands, offered, strict=True)):
        if there:
            found.step(n, s, _no_walk(s), Nearby.of(there))
        else:
            found.skip(n)
    return found


def _nothing():
    return np.empty(0)


def customers(decisions: list[Decision]) -> list[tuple[int, tuple[str, ...]]]:
    return [(d.number, tuple(t.customer_id for t in d.targets)) for d in decisions]


def served(stands, route=None, candidates=None) -> list[tuple[int, tuple[str, ...]]]:
    return customers(assigned(stands, route, candidates).decisions())


def test_without_a_route_the_nearest_customer_is_served():
    assert served([stand(0, 0, 150), stand(500, 400, 150)]) == [(0, ("a",)), (1, ("b",))]
    assert served([stand(30, 0, 150)]) == [(0, ("a2",))]


@pytest.mark.parametrize(("seconds", "told"), [(220, 1), (300, 2)])
def test_without_a_route_two_neighbours_that_are_each_likely_are_both_served(seconds, told):
    """The other services of the day took 150 s each; the van stands in the middle."""
    doors = [1000.0 + 500.0 * n for n in range(4)]
    found = assigned(
        [stand(door, 400 * n, 150) for n, door in enumerate(doors)] + [stand(0, 2000, seconds)],
        offered=[
            *([candidate(f"c{n}", door)] for n, door in enumerate(doors)),
            [candidate("left", -12), candidate("right", 12)],
        ],
    )
    assert {c for c, p in found.beliefs([4])[0].shares if p > 0.5} == {"left", "right"}
    assert len(found.decisions()[-1].targets) == told


def test_the_route_decides_between_two_that_are_near():
    assert served([stand(15, 0, 150)], plan("a2", "b")) == [(0, ("a2",))]
    assert served([stand(15, 0, 150)], plan("a", "b")) == [(0, ("a",))]


def test_the_next_stop_of_the_plan_is_likelier_than_a_later_one():
    route = plan("a2", "b", "c", "a")
    assert served([stand(15, 0, 150)], route) == [(0, ("a2",))]
    assert served(
        [stand(15, 0, 150), stand(500, 400, 150), stand(1000, 800, 150), stand(15, 1200, 150)], route
    ) == [
        (0, ("a2",)),
        (1, ("b",)),
        (2, ("c",)),
        (3, ("a",)),
    ]


def test_swapped_stops_are_both_served():
    found = served([stand(500, 0, 150), stand(0, 400, 150), stand(1000, 800, 150)], plan("a", "b", "c"))
    assert found == [(0, ("b",)), (1, ("a",)), (2, ("c",))]


def test_a_skipped_stop_does_not_hold_up_the_rest():
    assert served([stand(500, 0, 150), stand(1000, 400, 150)], plan("a", "b", "c")) == [
        (0, ("b",)),
        (1, ("c",)),
    ]


def test_a_moment_in_a_queue_serves_nobody():
    assert served([stand(0, 0, 8)], plan("a", "b")) == []
    assert served([stand(0, 0, 8)]) == []


def test_a_customer_that_no_route_names_is_rarely_served():
    assert served([stand(1000, 0, 40)], plan("a", "b")) == []


def test_a_route_whose_order_nobody_follows_still_says_whom_to_expect():
    doors = {f"{kind}{n}": 500.0 * n + east for n in range(12) for kind, east in (("c", 0.0), ("u", 30.0))}
    order = [7, 2, 9, 4, 0, 11, 5, 1, 8, 3, 10, 6]
    stands = [stand(500.0 * n + 18, 400 * at, 150) for at, n in enumerate(order)]
    found = Assigner(Plan([plan(*(f"c{n}" for n in range(12)))], START_MS, START_MS + 7_200_000), 20.0)
    for at, s in enumerate(stands):
        offered = [candidate(name, east) for name, east in doors.items() if abs(east - s.park[0]) < 80]
        found.step(at, s, _no_walk(s), Nearby.of(offered))
    assert customers(found.decisions())[3:] == [(at, (f"c{n}",)) for at, n in enumerate(order)][3:]


def test_a_route_that_left_out_many_leaves_out_more():
    doors = {f"{kind}{n}": 1000.0 * n + east for n in range(8) for kind, east in (("c", 0.0), ("u", 500.0))}

    def last_is_served(unnamed: int) -> bool:
        """A short stand at the door of one whom the route does not name, after long ones at such doors."""
        stands = []
        for n in range(6):
            stands.append(stand(1000.0 * n, 1000 * n, 150))
            if n < unnamed:
                stands.append(stand(1000.0 * n + 500, 1000 * n + 500, 150))
        stands.append(stand(6500, 6500, 80))
        found = Assigner(Plan([plan(*(f"c{n}" for n in range(8)))], START_MS, START_MS + 7_200_000), 20.0)
        for at, s in enumerate(stands):
            offered = [candidate(name, east) for name, east in doors.items() if abs(east - s.park[0]) < 80]
            found.step(at, s, _no_walk(s), Nearby.of(offered))
        return customers(found.decisions())[-1] == (len(stands) - 1, ("u6",))

    assert not last_is_served(unnamed=0)
    assert last_is_served(unnamed=5)


def test_a_van_that_moved_a_little_goes_on_with_the_same_visit():
    found = assigned([stand(0, 0, 150), stand(6, 170, 60)], plan("a", "b")).decisions()
    assert customers(found) == [(0, ("a",)), (1, ("a",))]
    assert [d.resumes for d in found] == [False, True]


def test_a_change_of_place_without_a_drive_goes_on_with_the_same_visit():
    route = plan("a", "b")
    for east, parted, resumed in ((22, True, True), (22, False, False), (60, True, False)):
        stands = [stand(0, 0, 150), stand(east, 160, 60, parted=parted)]
        found = served(stands, route, [candidate("a", 0.0)])
        assert found == [(0, ("a",)), (1, ("a",))][: 1 + resumed]


@pytest.mark.parametrize(("seconds", "resumed"), [(60, True), (400, True), (1000, False), (2400, False)])
def test_a_break_after_a_short_move_is_no_part_of_the_service(seconds, resumed):
    stands = [stand(0, 0, 150), stand(500, 400, 170), stand(522, 578, seconds, parted=True)]
    found = served(stands, plan("a", "b", "c"), [candidate("a", 0.0), candidate("b", 500.0)])
    assert found[1:] == [(1, ("b",)), (2, ("b",))][: 1 + resumed]


def test_a_queue_that_moves_on_and_on_past_a_customer_serves_nobody():
    for hop_m in (14, 18):
        queue = [stand(hop_m * n - 40, 38 * n, 30) for n in range(6)]
        assert served(queue, candidates=[candidate("a", 0.0)]) == []


def test_a_queue_seen_as_one_long_standing_after_another_serves_nobody():
    """They are parted by changes of place alone, and any of them is as long as a short service."""
    queue = [stand(22 * n - 44, 62 * n, 58, parted=n > 0) for n in range(5)]
    creeping = Creeping()
    assigner = Assigner(Plan([], START_MS, START_MS + 3_600_000), 20.0)
    for n, s in enumerate(queue):
        near_by = Nearby.of([candidate("a", 0.0)])
        assigner.step(n, s, _no_walk(s), near_by, creeping.moves(s))
    assert customers(assigner.decisions()) == []
    assert served(queue, candidates=[candidate("a", 0.0)]) != []  # were they not known to lead on


def test_without_a_route_a_driver_who_served_all_so_far_is_likelier_to_serve_the_next():
    def last_is_served(seconds: float) -> float:
        stands = [stand(500 * n, 900 * n, seconds) for n in range(12)]
        last = len(stands)
        stands.append(stand(500 * last + 25, 900 * last, 65))
        found = Assigner(Plan([], START_MS, START_MS + 3_600_000), 20.0)
        for n, s in enumerate(stands):
            found.step(n, s, _no_walk(s), Nearby.of([candidate(f"u{n}", 500.0 * n)]))
        return found.beliefs([last])[0].of(f"u{last}")

    assert last_is_served(seconds=90) > 0.7 > last_is_served(seconds=12)


@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("routes", [[plan(*"abcdefgh")], []])
@given(
    stops=st.lists(st.tuples(st.integers(0, 8), st.integers(10, 400)), min_size=2, max_size=30),
    data=st.data(),
)
def test_decisions_before_the_first_that_changed_are_the_very_same(routes, stops, data):
    """However seldom is asked."""
    found = Assigner(Plan(routes, START_MS, START_MS + 7_200_000), 20.0)
    before: dict[int, Decision] = {}
    begin_s = 0
    for at, (door, seconds) in enumerate(stops):
        s = stand(60.0 * door, begin_s, seconds)
        begin_s += seconds + 60
        offered = [
            candidate(c, 60.0 * n) for n, c in enumerate("abcdefgh") if abs(60.0 * n - s.park[0]) < 100
        ]
        found.step(at, s, _no_walk(s), Nearby.of(offered))
        if data.draw(st.booleans()):
            now, changed = {d.number: d for d in found.decisions()}, found.changed()
            assert all(now.get(n) is before.get(n) for n in range(changed))
            assert found.decisions(changed) == [d for n, d in now.items() if n >= changed]
            before = now


def test_a_stretch_of_the_plan_served_the_other_way_round():
    """Short stands some way from the doors: each might as well be a queue."""
    order = "abcdefghnmlkjiopqrstuv"
    found = assigned(
        [stand(400.0 * n + 30, 300 * n, 50) for n in range(len(order))],
        plan(*sorted(order)),
        offered=[[candidate(customer, 400.0 * n)] for n, customer in enumerate(order)],
    )
    assert "".join(d.targets[0].customer_id for d in found.decisions()) == order


def test_a_planned_stop_is_served_once_and_a_second_visit_is_unplanned():
    found = assigned(
        [stand(0, 0, 150), stand(500, 2000, 150), stand(0, 6000, 300)], plan("a", "b")
    ).decisions()
    planned = [d.targets[0].planned.stop.stop_id for d in found if d.targets[0].planned is not None]
    assert planned == ["s1", "s2"]
    assert len(set(planned)) == len(planned)


def test_the_dwell_of_a_fence_counts_against_shorter_stands():
    patient = [candidate("p", 0.0, dwell_s=600.0)]
    assert served([stand(0, 0, 100)], None, patient) == []
    assert served([stand(0, 0, 700)], None, patient) == [(0, ("p",))]


def test_large_orders_make_long_services_likely():
    stops = (Stop("s1", "a", 1, None, Order(items=200)), Stop("s2", "a2", 2, None, Order(items=1)))
    route = Route("r", "d", START_MS, stops)
    beliefs = [assigned([stand(15, 0, s)], route).beliefs([0])[0] for s in (40, 1100)]
    assert beliefs[1].of("a") > beliefs[0].of("a")


def test_beliefs_are_probabilities_best_first():
    found = assigned([stand(15, 0, 150), stand(500, 400, 90), stand(1000, 800, 12)], plan("a", "b"))
    for belief in found.beliefs(range(3)):
        shares = [p for _, p in belief.shares]
        assert shares == sorted(shares, reverse=True)
        assert all(0 <= p <= 1 for p in shares)
        assert belief.of("nobody of that name") == 0.0


def test_a_place_in_between_leaves_doubt():
    clear, doubtful = (assigned([stand(east, 0, 150)]).beliefs([0])[0] for east in (0, 15))
    assert clear.shares[0][1] > doubtful.shares[0][1]
    assert len(doubtful.shares) >= 2


def test_a_long_silence_may_hide_the_move_to_a_neighbour():
    """Two services' time: at doors 70 m apart the van would have been seen to move, but for the silence."""
    route = plan("b", "a", "far", "c")
    there = [candidate("a", 0), candidate("far", 70)]
    belief = {}
    for silent_s in (5.0, 200.0):
        found = Assigner(Plan([route], START_MS, START_MS + 3_600_000), 20.0)
        for n, (s, offered) in enumerate(
            [
                (stand(500, 0, 150), [candidate("b", 500)]),
                (stand(0, 400, 300)._replace(max_gap_s=silent_s), there),
                (stand(1000, 900, 150), [candidate("c", 1000)]),
            ]
        ):
            found.step(
                n, s, Walk(*[_nothing()] * 3, s.park, s.noise_m, 0.0, 1.0, s.max_gap_s), Nearby.of(offered)
            )
        belief[silent_s] = found.beliefs([1])[0].of("far")
    assert belief[200.0] > belief[5.0] + 0.2


def test_decisions_become_final_after_a_window_of_standstills():
    many = [stand(500 * (n % 3), 400 * n, 150) for n in range(3 * WINDOW)]
    early, late = assigned(many[: 2 * WINDOW]), assigned(many)
    assert early.final_before == WINDOW
    head = [d for d in customers(late.decisions()) if d[0] < early.final_before]
    assert head == [d for d in customers(early.decisions()) if d[0] < early.final_before]


def test_standstills_near_nobody_need_no_window():
    found = assigned([stand(5000, 400 * n, 150) for n in range(5)])
    assert found.final_before == 5
    assert found.decisions() == []


def test_an_open_end_may_still_become_long_enough():
    assert served([stand(0, 0, 60, open_ended=True)], plan("a")) == [(0, ("a",))]


@pytest.mark.parametrize("since", [0, 3, 7])
def test_decisions_since_a_number_are_the_tail_of_all(since):
    found = assigned([stand(500 * (n % 3), 400 * n, 150) for n in range(9)])
    assert found.decisions(since) == [d for d in found.decisions() if d.number >= since]


def test_places_are_measured_in_the_plane_of_the_track():
    east, north = HOME.to_plane(*HOME.to_degrees(123.0, -45.0))
    assert (east, north) == pytest.approx((123.0, -45.0), abs=1e-6)


def test_no_two_groups_are_taken_for_the_same_on_a_day_without_a_plan():
    whole = np.array([[n, n, 0, 0] for n in range(3)])
    groups, _, _ = grouped(Near(np.zeros((3, 4)), whole, np.zeros(0, np.int64), np.zeros(0)), False)
    assert len(groups) == 6
    assert len(set(groups[:, G_ID].tolist())) == 6


def test_one_planned_after_others_near_is_looked_at_before_any_that_no_route_names():
    names = [candidate(f"u{n}", 3.0 * n) for n in range(12)]
    planned = [candidate("a", 0.0), candidate("a2", 30.0), candidate("far", 62.0)]
    near = Nearby.of([*names, *planned])
    found = Assigner(Plan([plan("a", "a2", "far", "b")], START_MS, START_MS + 3_600_000), 20.0)
    looked = found.step(0, stand(5, 0, 450), _no_walk(stand(5, 0, 450)), near)
    assert {"a", "a2", "far"} <= {c.customer_id for c in looked}


def test_one_held_to_have_been_served_is_looked_at_before_those_that_no_route_names():
    names = [candidate(f"u{n}", 3.0 * n, 5.0) for n in range(20)]
    doors = {"a": 0.0, **{f"p{n}": 1000.0 * n for n in range(1, 6)}}
    found = Assigner(Plan([plan(*doors, "b")], START_MS, START_MS + 3_600_000), 20.0)
    for n, (customer, door) in enumerate(doors.items()):
        s = stand(door, 400 * n, 150)
        found.step(n, s, _no_walk(s), Nearby.of([candidate(customer, door)]))
    again = stand(40, 4000, 150)
    looked = found.step(6, again, _no_walk(again), Nearby.of([*names, candidate("a", 0.0)]))
    assert "a" in {c.customer_id for c in looked}


@pytest.mark.parametrize(("apart_m", "count"), [(1.0, NEAREST), (40.0, SURELY)])
def test_more_are_looked_at_where_many_are_about_as_likely(apart_m, count):
    names = [candidate(f"u{n}", apart_m * n) for n in range(20)]
    found = Assigner(Plan([], START_MS, START_MS + 3_600_000), 20.0)
    looked = found.step(0, stand(0, 0, 450), _no_walk(stand(0, 0, 450)), Nearby.of(names))
    assert [c.customer_id for c in looked] == [f"u{n}" for n in range(count)]


def test_a_customer_that_no_route_names_is_likelier_where_there_are_few():
    def chance(neighbours: int) -> float:
        others = [candidate(f"u{n}", 1000.0, 40.0 + n) for n in range(neighbours)]
        assigner = Assigner(Plan([plan("a", "b")], START_MS, START_MS + 3_600_000), 20.0)
        s = stand(1000, 0, 400)
        assigner.step(0, s, _no_walk(s), Nearby.of([candidate("c", 1000.0), *others]))
        return assigner.beliefs([0])[0].of("c")

    assert chance(0) > 2 * chance(20) > 0


def _no_walk(s: Standstill) -> Walk:
    return Walk(*[_nothing()] * 3, s.park, s.noise_m, 0.0, 1.0, s.max_gap_s)
