"""Writes the demonstration's report: one HTML file with tables and pictures that needs no network."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from streams.demo.choosing import scene
from streams.demo.judging import Findings, Judged
from streams.demo.summary import (
    DETECTION_COLUMNS,
    PREDICTION_COLUMNS,
    detection_rows,
    gate,
    learning_rows,
    prediction_rows,
    proven_on,
)

PREDICTIONS_SHOWN = 12


def write_report(found: Findings, path: Path) -> None:
    """Write the report to a file. Raises OSError."""
    from streams.files import whole_file

    with whole_file(path) as file:
        file.write(report(found).encode())


def report(found: Findings) -> str:
    """The report's HTML."""
    from jinja2 import Environment
    from plotly.offline import get_plotlyjs

    template = files("streams.demo").joinpath("report.html.j2").read_text("utf-8")
    page: str = (
        Environment(autoescape=True)
        .from_string(template)
        .render(
            plotly_js=get_plotlyjs(),
            found=found,
            cards=_cards(found),
            detection_columns=DETECTION_COLUMNS,
            detection_rows=detection_rows(found),
            recordings=[_recording(judged) for judged in found.judged],
            learning_rows=learning_rows(found),
            proven_on=proven_on(found),
            gate=gate(found),
            learning=_learning(found),
            prediction_columns=PREDICTION_COLUMNS,
            prediction_rows=prediction_rows(found, PREDICTIONS_SHOWN),
        )
    )
    return page


def _recording(judged: Judged) -> dict[str, Any]:
    """A recording's pictures and what is said about them."""
    from streams.demo.figures import day_map, error_distribution, signed_errors

    shown = scene(judged)
    return {
        "name": judged.recording.name,
        "title": judged.recording.title,
        "driver": shown.driver_id,
        "visits": len(shown.visits),
        "pings": len(shown.x),
        "score": judged.score,
        "map": _html(day_map(shown), f"map-{judged.recording.name}"),
        "within": _html(error_distribution(judged), f"within-{judged.recording.name}"),
        "signed": _html(signed_errors(judged), f"signed-{judged.recording.name}"),
    }


def _learning(found: Findings) -> dict[str, str]:
    from streams.demo.figures import predicted_against_actual, predictor_errors

    return {
        "errors": _html(predictor_errors(found), "errors"),
        "scatter": _html(predicted_against_actual(found), "scatter"),
    }


def _html(figure: Any, name: str) -> str:
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return text


def _cards(found: Findings) -> list[tuple[str, str]]:
    """The figures that come first, with what they are."""
    visits = sum(len(judged.visits) for judged in found.judged)
    real, *_ = found.judged
    own, rule = found.mae_s["model"], found.mae_s["rule"]
    error = "-" if real.score.mae_s is None else f"{real.score.mae_s:.0f} s"
    return [
        (f"{found.pings:,}", "pings through Kafka"),
        (f"{visits:,}", "visits found"),
        (f"{real.score.f1:.3f}", "F1 on real drivers"),
        (error, "service-time error on real drivers"),
        (f"{own:.0f} s", f"model error, against {rule:.0f} s of the seven-minute rule"),
    ]
