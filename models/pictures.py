"""Pictures of an evaluation (plotly), each as a piece of HTML that needs `library` once on its page."""

from collections.abc import Mapping
from typing import Any, Final

Report = Mapping[str, Any]

OURS, THEIRS, FLOOR = "#1f6f8b", "#b8c4cf", "#e0962d"
LAYOUT: Final = {
    "template": "plotly_white",
    "height": 340,
    "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
    "font": {"family": "system-ui, sans-serif", "size": 13},
}


def library() -> str:
    """The script that draws pictures."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def errors(report: Report, names: Mapping[str, str]) -> str:
    """Bars of the mean absolute errors."""
    rows = sorted(report["errors"], key=lambda row: -float(row["mae_s"]))
    colours = {"model": OURS, "law": FLOOR}
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(row["mae_s"], 1) for row in rows],
        "y": [names[row["predictor"]] for row in rows],
        "text": [f"{row['mae_s']:.1f} s" for row in rows],
        "marker": {"color": [colours.get(row["predictor"], THEIRS) for row in rows]},
    }
    return _html("errors", [bars], "mean absolute error, s", "", {"l": 170})


def predictions(report: Report) -> str:
    """Predicted against actual seconds of some visits."""
    sample = report["sample"]
    dots = {
        "type": "scattergl",
        "mode": "markers",
        "x": sample["model"],
        "y": sample["actual_s"],
        "marker": {"color": OURS, "size": 4, "opacity": 0.5},
        "name": "visits",
    }
    most = max(sample["model"])
    line = {"type": "scatter", "mode": "lines", "x": [0, most], "y": [0, most], "line": {"color": FLOOR}}
    return _html("predictions", [dots, {**line, "name": "as predicted"}], "predicted, s", "actual, s")


def learning_curve(report: Report) -> str:
    """The error by the number of visits learned from."""
    rows = report["learning_curve"]
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [row["visits"] for row in rows],
        "y": [round(row["mae_s"], 2) for row in rows],
        "line": {"color": OURS},
    }
    return _html("curve", [line], "visits learned from", "mean absolute error, s")


def importance(report: Report) -> str:
    """Bars of the features' mean contributions."""
    rows = report["importance"][:15][::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(row["effect_minutes"], 3) for row in rows],
        "y": [row["feature"] for row in rows],
        "marker": {"color": OURS},
    }
    return _html("importance", [bars], "minutes a stop", "", {"l": 170})


def _html(
    name: str, traces: list[dict[str, Any]], x: str, y: str, margin: Mapping[str, int] | None = None
) -> str:
    """The picture as a div of that name; the same figures give the same text."""
    from plotly.io import to_html

    layout = {
        **LAYOUT,
        "margin": {**LAYOUT["margin"], **(margin or {})},  # type: ignore[dict-item]
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}},
        "showlegend": False,
    }
    figure = {"data": traces, "layout": layout}
    return str(
        to_html(
            figure, full_html=False, include_plotlyjs=False, div_id=name, config={"displayModeBar": False}
        )
    )
