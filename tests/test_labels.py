"""What a visit is worth as a label."""

import pandas as pd
from learning_town import small_town

from models.labels import label_weights


def weight(**changes: object) -> float:
    row = {**small_town().rows[0], "confidence": 1.0, "service_time_s": 300.0, **changes}
    return float(label_weights(pd.DataFrame([row]))[0])


def test_a_certain_label_weighs_almost_one() -> None:
    assert 0.97 < weight() < 1.0


def test_confidence_scales_the_weight() -> None:
    assert weight(confidence=0.5) == weight() / 2


def test_wide_bounds_weigh_less_and_the_more_so_for_short_services() -> None:
    start = small_town().rows[0]["arrived_at"]
    wide = [start, start + pd.Timedelta(minutes=5)]
    assert weight(arrived_between=wide) < 0.7
    assert weight(arrived_between=wide, service_time_s=100.0) < weight(arrived_between=wide)


def test_a_shared_standstill_weighs_half() -> None:
    assert weight(shared_with=["v9"]) == weight() / 2


def test_a_bridged_gap_weighs_less_and_missing_bounds_do_not_matter() -> None:
    assert weight(flags=["gap_bridged"]) < weight()
    assert weight(arrived_between=None, departed_between=None) == 1.0
