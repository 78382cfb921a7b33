"""A model for each region behind the same face as one for all."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from learning_town import Plan, small_model, small_town, town

from models.evaluation import default_recipe
from models.features import FeatureSpec, usable
from models.labels import label_weights
from models.regional import Regional, load_model
from models.regions import PER_REGION, build_layout
from models.splits import holdout, rolling


@cache
def visits() -> pd.DataFrame:
    return usable(town(Plan(drivers=4, days=20, stops_a_day=30, regions=2)).frame())


@cache
def regional() -> Regional:
    outer = holdout(visits(), 4)
    splits = rolling(visits(), outer.cut_ms, 2, 3)
    recipe = default_recipe(threads=1)
    made = build_layout(
        PER_REGION, visits(), label_weights(visits()), splits, outer, FeatureSpec(), recipe, {"seed": 7}
    )
    assert isinstance(made, Regional)
    return made


def test_each_region_is_predicted_by_its_own_model() -> None:
    model, stops = regional(), visits().tail(60)
    estimates = model.estimate(stops, model.histories(visits()))
    for name, part in model.parts.items():
        there = (stops["region"] == name).to_numpy()
        own = part.estimate(stops[there], part.histories(visits()[visits()["region"] == name]))
        np.testing.assert_array_equal(estimates.p50_s[there], own.p50_s)
    assert sorted(model.parts) == ["region-1", "region-2"]


def test_an_unknown_region_is_served_by_the_common_model() -> None:
    model, stops = regional(), visits().tail(10).assign(region="region-9")
    past = model.histories(visits())
    np.testing.assert_array_equal(
        model.estimate(stops, past).p90_s,
        model.common.estimate(stops, model.common.histories(visits())).p90_s,
    )
    np.testing.assert_array_equal(model.quantiles(stops, past, [0.9])[0], model.estimate(stops, past).p90_s)


def test_it_comes_back_from_its_folder_and_explains(tmp_path: Path) -> None:
    regional().save(tmp_path / "regional")
    small_model().model.save(tmp_path / "single")
    loaded = load_model(tmp_path / "regional")
    assert loaded.fingerprint == regional().fingerprint
    assert load_model(tmp_path / "single").fingerprint == small_model().model.fingerprint
    stops = visits().tail(5)
    names, effects_s = loaded.explain(stops, loaded.histories(visits()))
    assert names == FeatureSpec(regional=False).names
    assert (np.abs(effects_s).max(axis=1) > 1).all()


def test_one_region_is_no_reason_to_compare() -> None:
    assert small_model().layouts_mae_s == {}
    assert len(small_town().rows) == 1152
