"""Boosters fitted over a Dask cluster with LightGBM's own estimators, for more than one machine's work."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from models.boosting import Floats, Sample, by_place, lightgbm
from models.features import CATEGORIES

OF_ONE_PROCESS: Final = frozenset({"num_threads"})
"""Settings that a cluster has its own of: each process of it uses the threads that it has."""

OF_THE_CLUSTER: Final = re.compile(
    r"^\[(machines|num_machines|local_listen_port|time_out): .*\n", re.MULTILINE
)
"""Lines in a booster that say where it was fitted."""


@dataclass(frozen=True)
class Spread:
    """Fits on the cluster of that `distributed.Client`: LightGBM's data-parallel learning.

    Each process holds some of the rows and sums their gradients. The sums are exchanged, so that trees grow
    from all rows; they differ from those of one process by the bins, the order of sums and what is drawn.
    """

    client: Any

    def __call__(self, sample: Sample, names: Sequence[str]) -> "SpreadSample":
        """Send a sample's features and weights out, once for all boosters fitted on it."""
        workers = sorted(self.client.scheduler_info(n_workers=-1)["workers"])[: len(sample.targets)]
        self.client.run(_quietly)
        _quietly()
        features, weights = (_dealt(self.client, workers, part) for part in (sample.features, sample.weights))
        return SpreadSample(self.client, workers, names, features, weights, sample.targets)


@dataclass(frozen=True)
class SpreadSample:
    """A sample whose features and weights (Dask arrays) lie on the processes of a cluster."""

    client: Any
    workers: Sequence[str]
    names: Sequence[str]
    features: Any
    weights: Any
    targets: Floats

    def aiming_at(self, targets: Floats) -> Self:
        """The same rows with these targets."""
        return replace(self, targets=targets)

    def fit(self, params: Mapping[str, Any], rounds: int) -> Any:
        """A booster like any other: it knows no cluster."""
        library = lightgbm()
        settings = {k: v for k, v in by_place(params, self.names).items() if k not in OF_ONE_PROCESS}
        estimator = library.DaskLGBMRegressor(
            client=self.client, n_estimators=rounds, tree_learner="data", **settings
        )
        estimator.fit(
            self.features,
            _dealt(self.client, self.workers, self.targets),
            sample_weight=self.weights,
            feature_name=list(self.names),
            categorical_feature=[name for name in CATEGORIES if name in self.names],
        )
        text = estimator.booster_.model_to_string()
        return library.Booster(model_str=OF_THE_CLUSTER.sub("", text))


def _quietly() -> None:
    """Have LightGBM raise what went wrong and keep to itself how it looked for ports."""
    log = logging.getLogger("lightgbm")
    log.setLevel(logging.ERROR)
    lightgbm().register_logger(log)


def _dealt(client: Any, workers: Sequence[str], rows: Floats) -> Any:
    """A Dask array of the rows dealt out like cards, so that each process has some of every time and region.

    Each finds the bins of some features for all.
    """
    import dask.array

    da: Any = dask.array
    arrays = []
    for n, worker in enumerate(workers):
        own = np.ascontiguousarray(rows[n :: len(workers)])
        sent = client.scatter(own, workers=[worker], hash=False)
        arrays.append(da.from_delayed(sent, own.shape, dtype=own.dtype))
    return da.concatenate(arrays)
