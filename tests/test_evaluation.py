"""The proof as a report: figures that add up, a page that shows them."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning_town import Plan, bare, framed, small_town, town

from models.errors import NoTrainingData
from models.evaluation import EvaluationConfig, default_recipe, evaluate
from models.reports import render, write
from models.truth import Truth

CONFIG = EvaluationConfig(default_recipe(threads=1), windows=2, days=5)


def by_visit(of_stops: dict[str, float]) -> dict[str, float]:
    return {row["visit_id"]: of_stops[row["stop_id"]] for row in small_town().rows}


@cache
def report() -> dict[str, Any]:
    true_s = {row["stop_id"]: row["service_time_s"] + 8.0 for row in small_town().rows}
    return evaluate(small_town().frame(), CONFIG, Truth(by_visit(small_town().law_s), by_visit(true_s)))


def rows(name: str, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in report()[name]}


def test_windows_follow_each_other_and_end_with_the_table() -> None:
    assert [(w["from"], w["until"], w["visits"]) for w in report()["windows"]] == [
        ("2026-09-15", "2026-09-19", 240),
        ("2026-09-20", "2026-09-24", 240),
    ]


def test_the_model_beats_the_baselines_and_the_law_beats_the_model() -> None:
    errors = rows("errors", "predictor")
    assert errors["law"]["mae_s"] < errors["model"]["mae_s"] < errors["historical_mean"]["mae_s"]
    assert errors["model"]["mae_s"] < errors["rule"]["mae_s"]
    assert errors["law"]["visits"] == 480


def test_errors_are_shown_against_true_times_too() -> None:
    labels = report()["labels"]
    assert (labels["visits"], labels["mae_s"], labels["bias_s"]) == (480, pytest.approx(8), pytest.approx(-8))
    model = rows("errors", "predictor")["model"]
    assert abs(model["true_mae_s"] - model["mae_s"]) <= 8
    assert model["true_mae_s"] != model["mae_s"]
    assert labels["p90_coverage"] < rows("coverage", "what")["P90"]["found"]  # true times are longer


def test_the_overall_error_is_the_mean_of_the_windows() -> None:
    windows = [w["mae_s"]["model"] for w in report()["windows"]]
    assert rows("errors", "predictor")["model"]["mae_s"] == pytest.approx(np.mean(windows))


def test_stated_coverage_is_found() -> None:
    for row in report()["coverage"]:
        assert row["found"] == pytest.approx(row["stated"], abs=0.08)


def test_groups_of_one_kind_cover_all_visits_once() -> None:
    found = rows("groups", "group")
    assert (
        sum(
            found[f"customer with {n} visits"]["visits"] if n else found["new customer"]["visits"]
            for n in ("", "1 to 3")
        )
        + found["customer with 4 visits or more"]["visits"]
        == 480
    )
    assert found["region region-1"]["visits"] == 480
    assert sum(row["visits"] for row in report()["cold_start"]) == 480


def test_errors_cancel_along_routes() -> None:
    routes = report()["routes"]
    assert routes["routes"] == 30
    assert routes["relative_route_error"] < routes["relative_stop_error"] / 2
    assert routes["p90_margin_s"] < routes["p90_margin_if_errors_added_s"] / 2


def test_buffers_never_come_from_the_days_they_are_judged_on() -> None:
    costs = rows("costs", "predictor")
    assert {"model", "rule", "historical_mean", "model_p75", "law"} <= set(costs)
    assert all(0.7 <= row["buffer"] <= 2.0 for row in costs.values())
    assert costs["model"]["price"] == pytest.approx(
        costs["model"]["late_minutes"] + 0.5 * costs["model"]["idle_minutes"]
    )


def test_more_days_make_a_better_model() -> None:
    curve = report()["learning_curve"]
    assert [point["visits"] for point in curve] == sorted(point["visits"] for point in curve)
    assert curve[-1]["mae_s"] < curve[0]["mae_s"]


def test_what_the_law_depends_on_matters_most() -> None:
    strongest = [row["feature"] for row in report()["importance"][:6]]
    assert {"stairs", "order_weight_kg"} & set(strongest)


def test_contributions_of_single_stops_add_up_to_their_prediction() -> None:
    examples = report()["examples"]
    assert [row["p50_minutes"] for row in examples] == sorted(row["p50_minutes"] for row in examples)
    for row in examples:
        parts = [row["base_minutes"], *row["effects_minutes"].values(), row["other_minutes"]]
        assert sum(parts) == pytest.approx(row["p50_minutes"])


def test_the_report_is_json_and_the_page_shows_its_figures(tmp_path: Path) -> None:
    page, data = write(report(), tmp_path)
    assert json.loads(data.read_text())["visits"] == 1152
    text = page.read_text()
    assert f"{rows('errors', 'predictor')['model']['mae_s']:.1f} s" in text
    assert "<h2>Learning curve</h2>" in text
    assert 'src="http' not in text  # opens without a network
    assert render(report()) == text


def test_a_group_that_is_served_worse_is_warned_of() -> None:
    visits = small_town().frame()
    rng = np.random.default_rng(1)
    wild = (visits["area_type"] == "suburban").to_numpy()
    factor = np.where(wild, rng.lognormal(0, 0.9, len(visits)), 1.0)
    changed = visits.assign(service_time_s=visits["service_time_s"] * factor)
    found = evaluate(changed, replace(CONFIG, windows=1))
    assert any(warning.startswith("area suburban: the error is") for warning in found["warnings"])


def test_visits_of_which_nothing_else_is_known_are_learned_from_all_the_same() -> None:
    found = evaluate(framed(bare(small_town().rows)), replace(CONFIG, windows=1))
    errors = {row["predictor"]: row["mae_s"] for row in found["errors"]}
    assert errors["model"] < errors["rule"]
    assert (found["routes"], found["costs"]) == ({"routes": 0}, [])
    assert "<h2>Errors</h2>" in render(found)


def test_a_short_table_is_refused() -> None:
    with pytest.raises(NoTrainingData, match="too few"):
        evaluate(framed(small_town().rows[:40]), CONFIG)


def test_regions_are_compared_and_unseen_ones_measured() -> None:
    made = town(Plan(drivers=4, days=20, stops_a_day=24, regions=2))
    regions = evaluate(made.frame(), replace(CONFIG, windows=1))["regions"]
    assert sorted(regions["layouts_mae_s"]) == [
        "per region",
        "pooled",
        "pooled with the region as a feature",
    ]
    for row in regions["unseen"]:
        assert row["learned_s"] < row["first_week_s"]
        assert row["with_history_s"] < row["first_week_s"]
