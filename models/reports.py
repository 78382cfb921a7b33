"""The evaluation as a page that opens anywhere: tables, pictures, warnings, all in one file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from models import pictures

Report = Mapping[str, Any]

TEMPLATE: Final = Path(__file__).with_name("report.html.j2")
NAMES: Final[Mapping[str, str]] = {
    "model": "model",
    "rule": "seven-minute rule",
    "rule_adjusted": "rule, adjusted by hand",
    "historical_mean": "historical mean",
    "linear": "linear model",
    "law": "knows the law",
    "model_expected": "model, mean",
    "model_p75": "model, P75",
    "model_p90": "model, P90",
    "model_p50": "model, P50",
}


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    title: str
    text: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    picture: str = ""
    warnings: Sequence[str] = field(default_factory=tuple)


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write `evaluation.html` and `evaluation.json`; the same report gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "evaluation.html", folder / "evaluation.json"
    data.write_text(json.dumps(report, indent=1, sort_keys=True), encoding="utf-8")
    page.write_text(render(report), encoding="utf-8")
    return page, data


def render(report: Report) -> str:
    """The page as HTML."""
    from jinja2 import Environment

    source = TEMPLATE.read_text(encoding="utf-8")
    template = Environment(autoescape=True).from_string(source)
    first, last = report["windows"][0]["from"], report["windows"][-1]["until"]
    return template.render(
        title="How well service times are predicted",
        lead=f"{report['visits']:,} visits; every figure is of days from {first} to {last} that the "
        f"model in question never saw, in {len(report['windows'])} backtests one after another.",
        tiles=_tiles(report),
        sections=_sections(report),
        plotly_js=pictures.library(),
    )


def _tiles(report: Report) -> list[dict[str, str]]:
    errors = {row["predictor"]: row for row in report["errors"]}
    model, rule, mean = (errors[name]["mae_s"] for name in ("model", "rule", "historical_mean"))
    p90 = next(row["found"] for row in report["coverage"] if row["what"] == "P90")
    tiles = [
        {"value": f"{model:.1f} s", "label": "mean absolute error of the model"},
        {"value": f"{rule - model:+.1f} s", "label": f"saved against the seven-minute rule ({rule:.1f} s)"},
        {
            "value": f"{100 * (model / mean - 1):+.1f} %",
            "label": f"against the historical mean ({mean:.1f} s)",
        },
        {"value": f"{100 * p90:.1f} %", "label": "of visits within P90"},
    ]
    if "law" in errors:
        law = errors["law"]
        above = 100 * (law["model_mae_s"] / law["mae_s"] - 1)
        tiles.append({"value": f"{above:+.1f} %", "label": f"above the noise floor ({law['mae_s']:.1f} s)"})
    return tiles


def _sections(report: Report) -> list[Section]:
    found = [
        _errors(report),
        _labels(report),
        _windows(report),
        _coverage(report),
        _groups(report),
        _cold(report),
    ]
    found += [_routes(report), _costs(report), _curve(report), _importance(report)]
    found += [_examples(report), _regions(report)]
    return [section for section in found if section.rows]


def _errors(report: Report) -> Section:
    return Section(
        "Errors",
        "Mean absolute error first; bias is predicted minus actual. Knowing the law of a simulated town is "
        "its noise floor.",
        ("predictor", "MAE", "median", "RMSE", "bias"),
        [
            (NAMES[r["predictor"]], *(f"{r[k]:.1f} s" for k in ("mae_s", "median_s", "rmse_s", "bias_s")))
            for r in report["errors"]
        ],
        pictures.errors(report, NAMES),
    )


def _labels(report: Report) -> Section:
    labels = report["labels"]
    if not labels["visits"]:
        return Section("True times", "")
    return Section(
        "True times",
        f"Of this town the truth is known: detected service times are off by {labels['mae_s']:.1f} s on "
        f"average, by {labels['median_s']:.1f} s in the middle ({labels['bias_s']:+.1f} s bias). P90 covers "
        f"{_percent(labels['p90_coverage'])} of the true times. Errors against those:",
        ("predictor", "MAE against true times"),
        [(NAMES[r["predictor"]], f"{r['true_mae_s']:.1f} s") for r in report["errors"]],
    )


def _windows(report: Report) -> Section:
    names = list(report["windows"][0]["mae_s"])
    return Section(
        "Backtests",
        "Each model learned only from the days before its window.",
        ("window", "visits", *(NAMES[n] for n in names), "within P90"),
        [
            (
                f"{w['from']} to {w['until']}",
                f"{w['visits']:,}",
                *(f"{w['mae_s'][n]:.1f} s" for n in names),
                _percent(w["p90_coverage"]),
            )
            for w in report["windows"]
        ],
    )


def _coverage(report: Report) -> Section:
    return Section(
        "Intervals",
        "The share of visits that should lie below each quantile or inside each interval, and that does.",
        ("bound", "stated", "found"),
        [(r["what"], _percent(r["stated"]), _percent(r["found"])) for r in report["coverage"]],
        pictures.predictions(report),
    )


def _groups(report: Report) -> Section:
    return Section(
        "Groups",
        "A warning where a group of stops is served worse than the rest.",
        ("group", "visits", "mean", "MAE", "of the mean", "historical mean", "rule", "within P90"),
        [
            (
                r["group"],
                f"{r['visits']:,}",
                f"{r['mean_s']:.0f} s",
                f"{r['mae_s']:.1f} s",
                _percent(r["relative"]),
                f"{r['historical_mean_mae_s']:.1f} s",
                f"{r['rule_mae_s']:.1f} s",
                _percent(r["p90_coverage"]),
            )
            for r in report["groups"]
        ],
        warnings=report["warnings"],
    )


def _cold(report: Report) -> Section:
    return Section(
        "Cold start",
        "Errors by how many visits of the customer were known beforehand.",
        ("known visits", "visits", "model", "historical mean", "rule"),
        [
            (
                r["known_visits"],
                f"{r['visits']:,}",
                *(f"{r[k]:.1f} s" for k in ("mae_s", "historical_mean_mae_s", "rule_mae_s")),
            )
            for r in report["cold_start"]
        ],
    )


def _routes(report: Report) -> Section:
    routes = report["routes"]
    if not routes["routes"]:
        return Section("Routes", "")
    return Section(
        "Routes",
        f"Errors of stops cancel along a route: {_percent(routes['relative_stop_error'])} of a stop, "
        f"{_percent(routes['relative_route_error'])} of a route of {routes['stops_a_route']:.0f} stops. "
        f"P90 of the total lies {routes['p90_margin_s'] / 60:.0f} minutes above the mean and covers "
        f"{_percent(routes['p90_coverage'])}; adding up the stops' margins would give "
        f"{routes['p90_margin_if_errors_added_s'] / 60:.0f} minutes.",
        ("predictor", "MAE of the total"),
        [(NAMES[name], f"{value / 60:.1f} min") for name, value in routes["mae_s"].items()],
    )


def _costs(report: Report) -> Section:
    prices = report["prices"]
    return Section(
        "What plans would have cost",
        f"Minutes a stop in the later half of the backtests, at {prices['late_per_minute']:g} a late minute "
        f"and {prices['idle_per_minute']:g} an idle one. Lateness piles up along a "
        "route, so medians alone make no plan: the buffered plan multiplies all times by the factor that was "
        "cheapest in the earlier half.",
        ("plan made with", "late", "idle", "price", "buffer", "price with buffer"),
        [
            (
                NAMES.get(r["predictor"], r["predictor"]),
                f"{r['late_minutes']:.2f} min",
                f"{r['idle_minutes']:.2f} min",
                f"{r['price']:.2f}",
                f"× {r['buffer']:g}" if "buffer" in r else "–",
                f"{r['buffered_price']:.2f}" if "buffer" in r else "–",
            )
            for r in report["costs"]
        ],
    )


def _curve(report: Report) -> Section:
    return Section(
        "Learning curve",
        "The error on the last window had the table begun later.",
        ("days", "visits", "MAE"),
        [(f"{r['days']:.0f}", f"{r['visits']:,}", f"{r['mae_s']:.1f} s") for r in report["learning_curve"]],
        pictures.learning_curve(report),
    )


def _importance(report: Report) -> Section:
    return Section(
        "What matters",
        "Mean size of each feature's contribution to a stop (SHAP), and its share of the trees' gain.",
        ("feature", "minutes a stop", "share of gain"),
        [
            (r["feature"], f"{r['effect_minutes']:.2f}", _percent(r["gain_share"]))
            for r in report["importance"][:20]
        ],
        pictures.importance(report),
    )


def _examples(report: Report) -> Section:
    return Section(
        "Why a stop takes as long as it does",
        "Stops from short to long: what an average stop takes, and the minutes that each feature adds.",
        ("predicted", "took", "average", "made longer or shorter by (minutes)"),
        [
            (
                *(f"{r[k]:.1f} min" for k in ("p50_minutes", "actual_minutes", "base_minutes")),
                ", ".join(f"{name} {value:+.1f}" for name, value in r["effects_minutes"].items())
                + f", others {r['other_minutes']:+.1f}",
            )
            for r in report["examples"]
        ],
    )


def _regions(report: Report) -> Section:
    layouts, unseen = report["regions"]["layouts_mae_s"], report["regions"]["unseen"]
    said = "; ".join(f"{name} {value:.1f} s" for name, value in layouts.items())
    return Section(
        "Regions",
        f"Ways to treat regions, on the last window: {said}. Below, the errors in a region that a model "
        "never learned from.",
        ("region", "visits", "learned from", "unseen, with its history", "unseen, first week"),
        [
            (
                r["region"],
                f"{r['visits']:,}",
                *(f"{r[k]:.1f} s" for k in ("learned_s", "with_history_s", "first_week_s")),
            )
            for r in unseen
        ],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
