"""The demonstration's parts that need no Kafka: what a worker tells, scenes, pictures, tables, failures."""

import gzip
import re
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from simulation.scoring import Claim, Served
from streams.cli.main import FAILED, run
from streams.demo.choosing import scene
from streams.demo.figures import day_map, error_distribution, signed_errors
from streams.demo.inputs import Recording, read_recording
from streams.demo.judging import Judged, judged, service_errors_s
from streams.demo.picture import picture
from streams.demo.processes import State, read_state
from streams.demo.reading import claims, revisions
from streams.demo.summary import detection_rows

DATA = Path(__file__).parent / "data" / "goal"


def exact(row: Served, late_s: float = 0.0) -> Claim:
    """A claim that tells the truth, but for a departure that much too late."""
    length_s = row.departed_s - row.arrived_s + late_s
    return Claim(
        visit_id=f"v-{row.stop_id}",
        driver_id=row.driver_id,
        customer_id=row.customer_id,
        stop_id=row.stop_id,
        arrived_s=row.arrived_s,
        departed_s=row.departed_s + late_s,
        service_time_s=length_s,
        confidence=0.9,
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    directory = tmp_path_factory.mktemp("goal")
    for name in ("fences.geojson", "routes.jsonl", "truth.jsonl"):
        shutil.copy(DATA / name, directory)
    (directory / "pings.jsonl.gz").write_bytes(gzip.compress((DATA / "pings.jsonl").read_bytes()))
    return read_recording("real", "Real drivers", directory)


@pytest.fixture(scope="module")
def perfect(recording: Recording) -> Judged:
    return judged(recording, [exact(row, 10.0) for row in recording.truth if not row.edge])


def metrics(settled: str, taken: int = 90, lag: int = 0) -> str:
    return f"""
# TYPE servicetime_pings counter
servicetime_pings_total{{partition="0",outcome="used"}} {taken}
servicetime_pings_total{{partition="1",outcome="duplicate"}} 6.0
servicetime_pings_total{{partition="1",outcome="too_late"}} 3.0
# TYPE servicetime_dead_letters counter
servicetime_dead_letters_total{{partition="0"}} 1.0
# TYPE servicetime_lag_messages gauge
servicetime_lag_messages{{topic="gps-pings",partition="0"}} {lag}
# TYPE servicetime_partition_ready gauge
servicetime_partition_ready{{partition="0"}} 1.0
servicetime_partition_ready{{partition="1"}} 1.0
# TYPE servicetime_partition_settled gauge
servicetime_partition_settled{{partition="0"}} 1.0
servicetime_partition_settled{{partition="1"}} {settled}
"""


def test_every_message_ends_in_one_place() -> None:
    assert read_state(metrics("1.0")) == State(taken=99, dead=1, lag=0, ready=True, settled=True)
    assert read_state(metrics("1.0")).messages == 100


def test_one_partition_at_work_keeps_the_worker_from_having_settled() -> None:
    assert not read_state(metrics("0.0")).settled


def test_a_worker_that_tells_nothing_is_not_ready_and_not_settled() -> None:
    assert read_state("") == State()


def test_the_highest_revision_of_each_visit_counts() -> None:
    told = [
        b'{"visit_id": "a", "revision": 2}',
        b'{"visit_id": "b", "revision": 1}',
        b'{"visit_id": "a", "revision": 1}',
    ]
    assert revisions(told) == {"a": 2, "b": 1}


def test_claims_are_those_of_the_recordings_own_drivers() -> None:
    record = (
        '{"visit_id": "%s", "driver_id": "%s", "customer_id": "c", "arrived_at": 1.0, "departed_at": 2.0,'
        ' "service_time_s": 1.0}'
    )
    told = [(record % ("v1", "anna")).encode(), (record % ("v2", "ben")).encode()]
    assert [c.visit_id for c in claims(told, {"anna"})] == ["v1"]


def test_service_errors_are_told_minus_true(perfect: Judged) -> None:
    assert np.allclose(service_errors_s(perfect.ours), 10.0)


def test_the_table_has_our_row_and_the_plain_rules_row(perfect: Judged, recording: Recording) -> None:
    from streams.demo.judging import Findings

    ours, plain = detection_rows(Findings([perfect]))
    assert ours[:2] == ("Real drivers", "servicetime")
    assert ours[2] == str(len(recording.pings))
    assert ours[4:] == ("1.000", "1.000", "1.000", "10.0 s")
    assert plain[1] == "plain enter/exit"


def test_the_scene_is_the_driver_with_the_most_right_visits(perfect: Judged) -> None:
    shown = scene(perfect)
    hits = [c.driver_id for c, _ in perfect.ours.right]
    assert hits.count(shown.driver_id) == max(hits.count(d) for d in hits)
    assert {v.driver_id for v in shown.visits} == {shown.driver_id}
    assert all(np.diff(shown.ts_s) >= 0)


def test_a_scene_without_any_hit_shows_the_first_driver(perfect: Judged) -> None:
    nothing = replace(perfect, visits=[], ours=replace(perfect.ours, right=[]))
    assert scene(nothing).driver_id == perfect.recording.pings.driver_ids[0]


def test_the_picture_is_svg_with_a_dot_for_each_visit(perfect: Judged) -> None:
    shown = scene(perfect)
    root = ElementTree.fromstring(picture(shown))
    dots = [e for e in root.iter() if e.tag.endswith("circle") and e.get("class") == "visit"]
    assert len(dots) == len(shown.visits) + 1  # one in the legend


def test_hovering_a_visit_tells_arrival_departure_and_confidence(perfect: Judged) -> None:
    (visits,) = [t for t in day_map(scene(perfect)).data if t.name == "visit found"]
    assert all(
        re.search(r"arrived \d\d:\d\d:\d\d<br>departed .*confidence 0\.90", t) for t in visits.hovertext
    )


def test_curves_end_at_the_share_of_visits_that_were_found(perfect: Judged) -> None:
    ours, plain = error_distribution(perfect).data
    assert ours.y[-1] == 100
    assert plain.y[-1] <= 100
    assert [t.name for t in signed_errors(perfect).data] == ["servicetime", "plain enter/exit"]


def test_a_broker_that_does_not_answer_ends_the_demonstration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert run(["demo", "--small", "--bootstrap", "127.0.0.1:1", "--data-dir", str(data)]) == FAILED
    assert "no Kafka answers at 127.0.0.1:1" in capsys.readouterr().err
    assert list(data.iterdir()) == []
