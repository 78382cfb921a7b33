"""Learning places in rounds: what corrected fences win back is learned from too."""

import pytest

from geofence.engine import detected
from models.places import EVIDENCE, Learning
from models.rounds import suggest_in_rounds
from tests.test_places import east_of, fence, halt, suggested, visit_at
from tests.tracks import Drawn, batch, circle, plan

DAYS = range(4)


def days_at(east_m: float, minute: int = 0):
    return [halt(day, minute, east_m, door_m=east_m) for day in DAYS]


def in_rounds(rounds, visits, halts, fences, detect):
    return suggest_in_rounds(rounds, visits, {"d1": halts}, fences, [], Learning(), detect)


def test_visits_won_back_tell_of_another_place():
    first, second = days_at(60), days_at(460, minute=30)
    fences = [fence("c1", 0.0), fence("c2", 400.0)]
    given = [visit_at(h, "c1") for h in first]
    asked = []

    def detect(corrected):
        asked.append({f.customer_id: round(east_of(f)) for f in corrected})
        return [*given, *(visit_at(h, "c2") for h in second)]

    found = in_rounds(3, given, first + second, fences, detect)
    assert {s.fence.customer_id: round(east_of(s.fence)) for s in found} == {"c1": 60, "c2": 460}
    assert asked == [{"c1": 60, "c2": 400}, {"c1": 60, "c2": 460}]


def test_one_round_is_what_the_given_visits_suggest():
    halts = days_at(60)
    visits = [visit_at(h) for h in halts]

    def never(corrected):
        raise AssertionError

    (found,), (alone,) = in_rounds(1, visits, halts, [fence()], never), suggested(halts, visits)
    assert found.fence == alone.fence
    assert (found.confidence, found.moved_m) == (alone.confidence, pytest.approx(alone.moved_m, abs=0.01))


def test_there_is_no_further_round_when_nothing_is_sure_enough_to_be_corrected():
    def never(corrected):
        raise AssertionError

    assert in_rounds(3, [], days_at(60), [fence()], never) == []


def test_a_fence_moved_twice_is_told_as_one_move_of_the_given_one():
    near, far = days_at(60), days_at(140, minute=30)
    given = [visit_at(h) for h in near]
    (found,) = in_rounds(2, given, near + far, [fence()], lambda _: [visit_at(h) for h in far])
    evidence = found.fence.facts[EVIDENCE]
    assert east_of(found.fence) == pytest.approx(140, abs=0.5)
    assert found.moved_m == pytest.approx(140, abs=0.5)
    assert evidence["moved_m"] == pytest.approx(140, abs=0.5)
    assert evidence["old_centre"] == pytest.approx([8.0, 47.0])


def test_a_fence_moved_there_and_back_is_not_suggested():
    near, back = days_at(60), days_at(2, minute=30)
    given = [visit_at(h) for h in near]
    assert in_rounds(2, given, near + back, [fence()], lambda _: [visit_at(h) for h in back]) == []


def test_detection_with_other_fences_tells_of_the_same_pings():
    track = Drawn().stand(30).drive(2000).stand(150).drive(4000).stand(30)
    (visit,) = detected([batch(track.pings)], [circle("a", 2000)], [plan("a")])
    assert visit.customer_id == "a"
    assert detected([batch(track.pings)], [circle("a", 3000)], [plan("a")]) == []
