"""Service-time records judged by the truth."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from geofence.events import ServiceTime, VisitStatus
from simulation.scoring import (
    Claim,
    Served,
    calibration,
    claim_of,
    expected_calibration_error,
    figures,
    final_claims,
    judge,
    pooled,
    score,
)
from streams.cli.main import cli, run

JUDGED = (
    "records",
    "truth",
    "hits",
    "precision",
    "recall",
    "f1",
    "mae_s",
    "median_ae_s",
    "within_30s",
    "bias_arrive_s",
    "bias_depart_s",
)


def served(
    customer: str = "c", begin_s: float = 0, end_s: float = 100, stop: str = "s", **more: object
) -> Served:
    return Served("d", stop, customer, begin_s, end_s, **more)  # type: ignore[arg-type]


def claim(
    customer: str = "c", begin_s: float = 0, end_s: float = 100, visit: str = "v", **more: object
) -> Claim:
    given = {"stop_id": None, "service_time_s": end_s - begin_s, **more}
    return Claim(visit, "d", customer, arrived_s=begin_s, departed_s=end_s, **given)  # type: ignore[arg-type]


def test_a_claim_that_overlaps_a_true_visit_of_its_customer_hits() -> None:
    result = score([claim(begin_s=10, end_s=130)], [served()])
    assert (result.precision, result.recall, result.f1) == (1.0, 1.0, 1.0)
    assert (result.mae_s, result.bias_arrive_s, result.bias_depart_s) == (20.0, 10.0, 30.0)


def test_touching_ends_are_no_overlap() -> None:
    result = score([claim(begin_s=100, end_s=200)], [served()])
    assert (result.hits, result.precision, result.recall) == (0, 0.0, 0.0)


def test_another_customer_another_driver_do_not_hit() -> None:
    other_driver = Claim("v", "other", "c", None, 0, 100, 100)
    assert score([claim("other"), other_driver], [served()]).hits == 0


def test_a_true_visit_is_hit_once_and_fragments_count_against_precision() -> None:
    result = score(
        [claim(begin_s=0, end_s=40, visit="v1"), claim(begin_s=50, end_s=100, visit="v2")], [served()]
    )
    assert (result.records, result.hits, result.precision, result.recall) == (2, 1, 0.5, 1.0)


def test_of_two_true_visits_the_longer_overlap_is_taken() -> None:
    verdict = judge([claim(begin_s=80, end_s=300)], [served(), served(begin_s=150, end_s=290, stop="s2")])
    assert [row.stop_id for _, row in verdict.right] == ["s2"]
    assert [row.stop_id for row in verdict.missed] == ["s"]


def test_the_wrong_stop_of_the_right_customer_is_no_hit_and_uses_the_visit_up() -> None:
    verdict = judge([claim(stop_id="s2"), claim(visit="v2", stop_id="s")], [served(stop="s")])
    assert (len(verdict.right), len(verdict.misnamed), len(verdict.extra)) == (0, 1, 1)
    assert figures(verdict).truth == 1


def test_a_claim_without_a_stop_may_hit_any() -> None:
    assert score([claim(stop_id=None)], [served(stop="s")]).hits == 1


def test_claims_at_a_visit_that_the_data_cuts_are_left_out() -> None:
    rows = [served(edge=True), served("other", 200, 300)]
    result = score([claim(begin_s=50, end_s=90), claim("other", 200, 300, "v2")], rows)
    assert (result.records, result.truth, result.precision) == (1, 1, 1.0)


def test_only_the_highest_revision_counts_and_retracted_visits_do_not() -> None:
    claims = [
        claim(begin_s=0, visit="a", revision=2),
        claim(begin_s=50, visit="a", revision=1),
        claim(visit="b", revision=1),
        claim(visit="b", revision=2, retracted=True),
    ]
    assert [c.arrived_s for c in final_claims(claims)] == [0]


def test_what_a_record_of_this_project_claims() -> None:
    record = ServiceTime(
        visit_id="v",
        revision=3,
        status=VisitStatus.RETRACTED,
        driver_id="d",
        customer_id="c",
        fence_id="f",
        route_id="r",
        stop_id="s",
        arrived_ms=1_500,
        departed_ms=61_500,
        service_time_s=60.0,
        entered_ms=None,
        exited_ms=None,
        parking_search_s=0.0,
        arrived_between_ms=(1_000, 2_000),
        departed_between_ms=(61_000, 62_000),
        confidence=0.9,
        runner_up=None,
        shared_with=(),
        share_method=None,
        pings=12,
        max_gap_s=5.0,
        median_accuracy_m=None,
        flags=(),
        config_hash="x",
    )
    assert claim_of(record) == Claim(
        "v", "d", "c", "s", 1.5, 61.5, 60.0, 0.9, (1.0, 2.0), (61.0, 62.0), revision=3, retracted=True
    )


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, (9, 14, 4, 0.444, 0.286, 0.348, 259.0, 238.0, 0.0, 11.75, 157.75)),
        (1, (13, 14, 6, 0.462, 0.429, 0.444, 85.667, 70.5, 0.167, -6.0, 28.0)),
        (2, (11, 16, 4, 0.364, 0.25, 0.296, 189.5, 183.0, 0.0, 12.75, 15.5)),
        (3, (12, 16, 6, 0.5, 0.375, 0.429, 203.667, 164.0, 0.0, -11.667, 71.333)),
        (4, (10, 12, 4, 0.4, 0.333, 0.364, 94.5, 81.0, 0.25, -7.25, -51.75)),
        (5, (13, 15, 6, 0.462, 0.4, 0.429, 191.5, 176.5, 0.0, 7.167, 91.667)),
    ],
)
def test_random_cases_are_judged_as_an_independent_scorer_judged_them(
    seed: int, expected: tuple[float, ...], tmp_path: Path
) -> None:
    truth, records = random_case(seed)
    result = CliRunner().invoke(cli, ["score", "--json", *written(tmp_path, records, truth)])
    found = json.loads(result.stdout)
    assert tuple(found[name] for name in JUDGED) == expected


def random_case(seed: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    rng = random.Random(seed)
    truth = []
    for d in range(2):
        at = 0.0
        for n in range(8):
            at += rng.randint(20, 200)
            length = rng.randint(20, 400)
            truth.append(
                {
                    "driver_id": f"d{d}",
                    "stop_id": f"d{d}s{n}",
                    "customer_id": f"c{rng.randint(0, 3)}",
                    "arrived_at": at,
                    "departed_at": at + length,
                    "edge": rng.random() < 0.15,
                }
            )
            at += length
    records = []
    for _ in range(20):
        row = rng.choice(truth)
        begin = row["arrived_at"] + rng.randint(-60, 60)
        length = rng.randint(0, 500)
        records.append(
            {
                "visit_id": f"v{rng.randint(0, 17)}",
                "revision": rng.randint(1, 3),
                "status": "retracted" if rng.random() < 0.1 else "completed",
                "driver_id": row["driver_id"],
                "customer_id": row["customer_id"] if rng.random() < 0.8 else "c0",
                "stop_id": rng.choice([None, row["stop_id"], row["stop_id"], "other"]),
                "arrived_at": begin,
                "departed_at": begin + length,
                "service_time_s": length + rng.randint(0, 9),
            }
        )
    return truth, records


def written(folder: Path, records: list[dict[str, object]], truth: list[dict[str, object]]) -> list[str]:
    for name, rows in (("records", records), ("truth", truth)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["--records", str(folder / "records.jsonl"), "--truth", str(folder / "truth.jsonl")]


def test_calibration_counts_right_and_wrong_claims_by_confidence() -> None:
    rows = [served(begin_s=n * 100, end_s=n * 100 + 90, stop=f"s{n}") for n in range(4)]
    claims = [
        claim(begin_s=0, end_s=90, visit="a", confidence=0.84),
        claim(begin_s=100, end_s=190, visit="b", confidence=0.86),
        claim("other", 200, 290, "c", confidence=0.88),
        claim(begin_s=300, end_s=390, visit="d", confidence=1.0),
        claim("other", 300, 390, "e"),
    ]
    bins = calibration(judge(claims, rows))
    assert [(b.low, b.high, b.claims) for b in bins] == [(0.8, 0.9, 3), (0.9, 1.0, 1)]
    assert [b.mean_confidence for b in bins] == [pytest.approx(0.86), 1.0]
    assert [b.right_share for b in bins] == [pytest.approx(2 / 3), 1.0]
    assert expected_calibration_error(bins) == pytest.approx(3 / 4 * (0.86 - 2 / 3))


def test_nothing_claimed_has_no_calibration_and_no_errors() -> None:
    result = score([], [served()])
    assert (result.precision, result.recall, result.f1) == (0.0, 0.0, 0.0)
    assert (result.mae_s, result.within_30s, result.calibration_error) == (None, None, None)


def test_bounds_hold_where_the_truth_lies_between_them() -> None:
    right = claim(arrived_between_s=(-5.0, 5.0), departed_between_s=(101.0, 120.0))
    assert score([right], [served()]).bounds_hold == 0.5


intervals = st.tuples(st.integers(0, 5_000), st.integers(1, 500))


@given(st.lists(intervals, max_size=12))
def test_the_truth_itself_scores_in_full(spans: list[tuple[int, int]]) -> None:
    rows = [served(f"c{n}", b, b + length, f"s{n}") for n, (b, length) in enumerate(spans)]
    claims = [claim(r.customer_id, r.arrived_s, r.departed_s, f"v{n}") for n, r in enumerate(rows)]
    result = score(claims, rows)
    assert result.hits == len(rows)
    assert result.mae_s == (0.0 if rows else None)


@given(st.lists(intervals, min_size=1, max_size=12), st.data())
def test_every_claim_and_every_visit_ends_in_one_place(
    spans: list[tuple[int, int]], data: st.DataObject
) -> None:
    rows = [served("c", b, b + length, f"s{n}") for n, (b, length) in enumerate(spans)]
    drawn = data.draw(st.lists(intervals, max_size=12))
    claims = [claim("c", b, b + length, f"v{n}") for n, (b, length) in enumerate(drawn)]
    verdict = judge(claims, rows)
    assert len(verdict.right) + len(verdict.extra) == len(claims)
    assert len(verdict.right) + len(verdict.missed) == len(rows)
    assert len({id(row) for _, row in verdict.right}) == len(verdict.right)


def test_judgements_add_up() -> None:
    one = judge([claim()], [served()])
    two = judge([claim("other")], [served()])
    both = figures(pooled([one, two]))
    assert (both.records, both.truth, both.hits) == (2, 2, 1)


def test_the_table_names_its_figures(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["score", *written(tmp_path, *random_case(1)[::-1])])
    assert result.exit_code == 0
    assert "precision" in result.stdout
    assert "0.462" in result.stdout


def test_a_broken_line_ends_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, records = random_case(1)
    arguments = written(tmp_path, [*records[:2], {**records[2], "arrived_at": "noon"}], truth)
    assert run(["score", *arguments]) == 2
    said = capsys.readouterr().err
    assert "records.jsonl, line 3, arrived_at: 'noon' is not a time" in said
    assert "Traceback" not in said


def test_a_missing_truth_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = written(tmp_path, *random_case(1)[::-1])
    (tmp_path / "truth.jsonl").unlink()
    assert run(["score", *arguments]) == 2
    assert "truth.jsonl: no such file" in capsys.readouterr().err


def test_a_departure_before_its_arrival_is_no_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, records = random_case(1)
    arguments = written(tmp_path, records, [{**truth[0], "departed_at": 0}])
    assert run(["score", *arguments]) == 2
    assert "truth.jsonl, line 1, departed_at: is before arrived_at" in capsys.readouterr().err
