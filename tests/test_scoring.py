"""Predictions of stops to come, with a model and without."""

import asyncio
import threading

import numpy as np
import pytest
from learning_town import DAY_MS, START_MS, small_model, small_town

from geofence.fences import Fence, FenceSet
from geofence.routes import Order, Route, Stop
from models.rows import Facts
from models.scoring import Scorer
from streams import facts as streamed
from streams.metrics import Instruments
from streams.scoring import StopScoring
from streams.settings import Settings
from streams.topics import Topics

NOON = START_MS + 30 * DAY_MS
KNOWN, NEW = "customer-0-1", "customer-new"


def stops() -> list[dict[str, object]]:
    facts = {"floor": 2, "elevator": False, "parking_difficulty": 3, "region": "region-1"}
    fences = FenceSet([Fence(f"f-{c}", c, 47.0, 8.0, radius_m=40, facts=facts) for c in (KNOWN, NEW)])
    order = Order(12.0, 5, 2)
    route = Route("r9", "d9", NOON, (Stop("s1", KNOWN, 1, NOON, order), Stop("s2", NEW, 2, NOON, order)))
    return Facts(fences).of_routes([route])


def test_a_prediction_has_the_fields_of_the_contract() -> None:
    scorer = Scorer(small_town().frame(), small_model().model, "3")
    one = scorer.predictions(stops(), 1_790_000_336_604)[0]
    factors = one.pop("top_factors")
    p50, p90, expected = one.pop("p50_s"), one.pop("p90_s"), one.pop("expected_s")
    assert one == {
        "stop_id": "s1",
        "route_id": "r9",
        "driver_id": "d9",
        "customer_id": KNOWN,
        "predicted_at": "2026-09-21T14:18:56.604Z",
        "model": {"name": "service-times", "version": "3"},
        "fallback": None,
    }
    assert 50 < p50 < expected < p90 < 1500
    assert 1 <= len(factors) <= 5
    sizes = [abs(f["effect_s"]) for f in factors]
    assert sizes == sorted(sizes, reverse=True)


def test_without_a_model_a_known_customer_gets_its_mean_and_a_new_one_seven_minutes() -> None:
    visits = small_town().frame()
    known, new = Scorer(visits).predictions(stops(), NOON)
    mean_s = visits[visits["customer_id"] == KNOWN]["service_time_s"].mean()
    assert (known["fallback"], known["expected_s"]) == ("historical_mean", round(mean_s, 1))
    assert (new["fallback"], new["p50_s"], new["model"], new["top_factors"]) == ("rule", 420.0, None, [])
    assert new["p90_s"] > new["p50_s"]


def test_without_any_visit_everything_is_seven_minutes() -> None:
    found = Scorer(small_town().frame().head(0)).predictions(stops(), NOON)
    assert [(p["fallback"], p["expected_s"]) for p in found] == [("rule", 420.0), ("rule", 420.0)]


def test_no_stops_give_no_predictions() -> None:
    assert Scorer(small_town().frame()).predictions([], NOON) == []


def test_explaining_changes_no_figure() -> None:
    scorer = Scorer(small_town().frame(), small_model().model, "3")
    plain, explained = scorer.predictions(stops(), NOON, explain=False), scorer.predictions(stops(), NOON)
    assert [p["p50_s"] for p in plain] == [p["p50_s"] for p in explained]
    assert plain[0]["top_factors"] == []


def test_a_customer_that_always_took_longer_is_predicted_longer() -> None:
    visits = small_town().frame()
    mine = visits["customer_id"] == KNOWN
    slow = visits.assign(service_time_s=np.where(mine, 2.5, 1.0) * visits["service_time_s"])
    model = small_model().model
    before = Scorer(visits, model, "1").predictions(stops(), NOON)
    after = Scorer(slow, model, "1").predictions(stops(), NOON)
    assert after[0]["p50_s"] > 1.2 * before[0]["p50_s"]
    assert after[1]["p50_s"] == pytest.approx(before[1]["p50_s"])


def test_a_route_takes_as_long_as_its_stops_on_average_and_its_interval_is_narrower_than_theirs() -> None:
    later = [{**stop, "stop_id": f"s{n}"} for n, stop in enumerate(stops() * 8)]
    scorer = Scorer(small_town().frame(), small_model().model, "3")
    predictions, (total,) = scorer.predictions_and_totals(later, NOON)
    assert (total["route_id"], total["driver_id"], total["stops"]) == ("r9", "d9", 16)
    assert total["model"] == {"name": "service-times", "version": "3"}
    assert total["expected_s"] == pytest.approx(sum(p["expected_s"] for p in predictions), abs=1.0)
    assert total["p10_s"] < total["p50_s"] < total["p90_s"]
    assert total["p90_s"] - total["expected_s"] < 0.6 * sum(p["p90_s"] - p["expected_s"] for p in predictions)


def test_without_a_model_errors_of_a_route_are_taken_to_add_up() -> None:
    _, (total,) = Scorer(small_town().frame()).predictions_and_totals(stops(), NOON)
    assert total["model"] is None
    assert total["p10_s"] < total["expected_s"] < total["p90_s"]


class FencesOfOneThread(FenceSet):
    """Notes which threads look for fences."""

    def __init__(self, fences: list[Fence]) -> None:
        self.asked_by: set[int] = set()
        super().__init__(fences)

    def of_customer(self, customer_id: str, ts_ms: int) -> list[Fence]:
        self.asked_by.add(threading.get_ident())
        return super().of_customer(customer_id, ts_ms)

    def count_in(self, box: tuple[float, float, float, float], ts_ms: int) -> int:
        self.asked_by.add(threading.get_ident())
        return super().count_in(box, ts_ms)


def test_the_worker_looks_for_fences_in_one_thread_alone_though_models_predict_in_another() -> None:
    facts = streamed.Facts("127.0.0.1:1", Topics())
    fences = FencesOfOneThread([Fence("f", KNOWN, 47.0, 8.0, radius_m=40)])
    facts.know(fences)
    scoring = StopScoring(Settings("127.0.0.1:1"), facts, Instruments())
    routes = [Route(f"r{n}", "d", NOON, (Stop(f"s{n}", KNOWN, 1),)) for n in range(3)]
    found = asyncio.run(scoring.of_routes(routes))
    assert [topic for topic, _, _ in found] == ["stop-predictions"] * 3 + ["route-predictions"] * 3
    assert fences.asked_by == {threading.get_ident()}
