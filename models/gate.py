"""Whether a new model may take over: better than champion and baselines, no group much worse, calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from models.proof import Proof, mae_s

Floats = npt.NDArray[np.float64]

RIVALS: Final = ("rule", "rule_adjusted", "historical_mean")
NAMES: Final = {
    "rule": "the seven-minute rule",
    "rule_adjusted": "the rule adjusted by hand",
    "historical_mean": "the historical mean",
    "champion": "the champion",
}


@dataclass(frozen=True, slots=True)
class GateRules:
    """What a candidate has to show on the newest days."""

    least_gain: float = 0.0
    slice_slack: float = 0.10
    fewest_in_slice: int = 50
    coverage_slack: float = 0.03
    stated_coverage: float = 0.9


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate may be promoted, and every reason against it."""

    allowed: bool
    reasons: tuple[str, ...]


def judge(proof: Proof, champion_s: Floats | None = None, rules: GateRules | None = None) -> Verdict:
    """Hold a candidate's proof against the champion's predictions of the same visits and the baselines."""
    rules = rules or GateRules()
    rivals = {name: proof.predicted_s[name] for name in RIVALS}
    if champion_s is not None:
        rivals["champion"] = champion_s
    reasons = [*_against_rivals(proof, rivals, rules), *_against_groups(proof, rivals, rules)]
    slack = rules.coverage_slack + 2 * sqrt(0.09 / len(proof.actual_s))
    if abs(proof.p90_coverage - rules.stated_coverage) > slack:
        stated, found = 100 * rules.stated_coverage, 100 * proof.p90_coverage
        reasons.append(f"P90 covers {found:.1f} % of visits instead of {stated:.0f} %")
    return Verdict(not reasons, tuple(reasons))


def _against_rivals(proof: Proof, rivals: Mapping[str, Floats], rules: GateRules) -> list[str]:
    own = mae_s(proof.predicted_s["model"], proof.actual_s)
    reasons = []
    for name, seconds in rivals.items():
        theirs = mae_s(seconds, proof.actual_s)
        if own >= theirs * (1 - rules.least_gain):
            reasons.append(f"MAE {own:.1f} s is not below that of {NAMES[name]}, {theirs:.1f} s")
    return reasons


def _against_groups(proof: Proof, rivals: Mapping[str, Floats], rules: GateRules) -> list[str]:
    """Groups that the champion (without one, the better baseline) serves much better."""
    old = {"champion": rivals["champion"]} if "champion" in rivals else rivals
    reasons = []
    for group, members in proof.groups.items():
        if members.sum() < rules.fewest_in_slice:
            continue
        own = mae_s(proof.predicted_s["model"][members], proof.actual_s[members])
        best = min(mae_s(seconds[members], proof.actual_s[members]) for seconds in old.values())
        if own > best * (1 + rules.slice_slack):
            reasons.append(f"{group}: MAE {own:.1f} s instead of {best:.1f} s")
    return reasons
