"""Searches the detection settings that agree best with manual records, by replaying the same pings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from geofence.engine import detected
from geofence.errors import InvalidSetting
from geofence.events import PingBatch, ServiceTime
from geofence.fences import Fence
from geofence.routes import Route
from geofence.rules import Rules, ServiceStart
from models.pilot.habits import Flaw, flaws
from models.pilot.matching import Written, match
from models.sightings import standing

DAY_MS: Final = 86_400_000
WORST_S: Final = 300.0
"""A typical difference of this or more is worth as much as no visit at all."""

SEARCHED: Final[Mapping[str, tuple[float, float]]] = {
    "dwell_s": (5.0, 120.0),
    "reach_m": (5.0, 80.0),
    "gps_noise_m": (1.5, 15.0),
    "worst_accuracy_m": (30.0, 400.0),
}
"""Settings that change which visits there are, and between what they are looked for."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a pilot has: pings in the order they came, fences, routes and manual records."""

    pings: Sequence[PingBatch]
    fences: Sequence[Fence]
    routes: Sequence[Route]
    notes: Sequence[Written]


@dataclass(frozen=True, slots=True)
class Fit:
    """How well visits agree with manual records; `loss` is what is searched for the least of."""

    loss: float
    precision: float
    recall: float
    median_ae_s: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """The settings to use and, on days not searched on, how they and the former ones fare.

    `improved` is false when the former ones were at least as good there: then `rules` are the former ones.
    """

    rules: Rules
    improved: bool
    searched: Fit
    before: Fit
    after: Fit
    trials: int
    proof_days: int


def search(
    material: Material,
    rules: Rules,
    trials: int,
    seed: int = 7,
    progress: Callable[[float], None] = lambda _loss: None,
) -> Found:
    """Try settings (Optuna's TPE, seeded), beginning with `rules`, on the earlier two thirds of the days.

    What agrees best there is proven on the later days. `progress` is told the best loss after each trial.
    Raises InvalidSetting when the manual records are of fewer than two days.
    """
    import optuna

    days = sorted({n.arrived_ms // DAY_MS for n in material.notes})
    if len(days) < 2:
        raise InvalidSetting(
            "manual records of at least two days are needed: some to search on, some to prove"
        )
    later = frozenset(days[-max(1, len(days) // 3) :])
    earlier = frozenset(days) - later
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), direction="minimize")
    study.enqueue_trial(_start(rules))
    fits: dict[int, tuple[Fit, Fit]] = {}

    def loss(trial: Any) -> float:
        visits = detect(material, replace(rules, **_suggested(trial)))
        fits[trial.number] = fit(visits, material.notes, earlier), fit(visits, material.notes, later)
        return fits[trial.number][0].loss

    study.optimize(loss, n_trials=trials, callbacks=[lambda s, _t: progress(s.best_value)])
    best = study.best_trial
    before, (searched, after) = fits[0][1], fits[best.number]
    improved = after.loss < before.loss
    chosen = replace(rules, **_as_rules(best.params)) if improved else rules
    return Found(chosen, improved, searched, before, after, len(study.trials), len(later))


def detect(material: Material, rules: Rules) -> list[ServiceTime]:
    """The visits that a replay with these rules ends with."""
    return standing(detected(material.pings, material.fences, material.routes, rules))


def fit(visits: Iterable[ServiceTime], notes: Iterable[Written], days: frozenset[int]) -> Fit:
    """How well the visits of these UTC days agree with the manual records of the same days.

    The loss is one less F1, plus the median difference of records made at the stop, in parts of five minutes,
    for half as much.
    """
    found = match(
        [v for v in visits if v.arrived_ms // DAY_MS in days],
        [n for n in notes if n.arrived_ms // DAY_MS in days],
    )
    hits = len(found.pairs)
    precision, recall = hits / max(1, hits + len(found.extra)), found.coverage
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    at_stop = [
        abs(p.service_s)
        for p, wrong in zip(found.pairs, flaws(found.pairs), strict=True)
        if Flaw.AFTERWARDS not in wrong
    ]
    off_s = sorted(at_stop)[len(at_stop) // 2] if at_stop else None
    share = 1.0 if off_s is None else min(1.0, off_s / WORST_S)
    return Fit(1 - f1 + 0.5 * share, precision, recall, off_s)


def toml_of(found: Found) -> str:
    """The settings as a file that `--config` accepts, with what was found in comments."""
    settings = "".join(f"{name} = {_toml(value)}\n" for name, value in asdict(found.rules).items())
    verdict = (
        "better than the former settings" if found.improved else "no better: these are the former settings"
    )
    return (
        f"# Searched in {found.trials} trials; on {found.proof_days} later day(s) {verdict}\n"
        f"# {_said('found', found.after)}\n# {_said('former', found.before)}\n[detection]\n{settings}"
    )


def _said(name: str, fit: Fit) -> str:
    typical = "-" if fit.median_ae_s is None else f"{fit.median_ae_s:.0f} s"
    return f"{name}: precision {fit.precision:.3f}, recall {fit.recall:.3f}, typical difference {typical}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _start(rules: Rules) -> dict[str, Any]:
    """The first trial: the settings as they are, as near as the search reaches."""
    values = {n: min(max(getattr(rules, n), low), high) for n, (low, high) in SEARCHED.items()}
    return {**values, "service_starts_with": rules.service_starts_with.value}


def _suggested(trial: Any) -> dict[str, Any]:
    params = {n: trial.suggest_float(n, low, high, log=True) for n, (low, high) in SEARCHED.items()}
    params["service_starts_with"] = trial.suggest_categorical(
        "service_starts_with", [start.value for start in ServiceStart]
    )
    return _as_rules(params)


def _as_rules(params: Mapping[str, Any]) -> dict[str, Any]:
    """Searched values as fields of Rules, in steps that a person would write."""
    rounded = {n: round(float(v), 1) for n, v in params.items() if n in SEARCHED}
    return {**rounded, "service_starts_with": ServiceStart(params["service_starts_with"])}
