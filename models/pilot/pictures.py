"""The pilot's pictures (plotly), each a piece of HTML for a page that has plotly's script."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from models.pilot.habits import Flaw

if TYPE_CHECKING:
    from models.pilot.report import Pilot

AT_STOP, LATER, LIMIT, ZERO = "#1f6f8b", "#d9822b", "#7a8794", "#b8c4cf"
KINDS: Final = (("made at the stop", AT_STOP), ("entered afterwards", LATER))


def bland_altman(pilot: "Pilot") -> str:
    """Difference against mean of both service times, with bias and limits of agreement."""
    dots = []
    for (name, colour), pairs in zip(KINDS, _by_flaw(pilot), strict=True):
        mean = [round((p.visit.service_time_s + p.note_s) / 2, 1) for p in pairs]
        off = [round(p.service_s, 1) for p in pairs]
        text = [f"{p.visit.driver_id}, {p.visit.customer_id}" for p in pairs]
        dots.append(_dots(name, colour, mean, off, text))
    lines = []
    told = pilot.careful or pilot.overall
    if told is not None:
        lines = [
            _level(told.bias_s, f"bias {told.bias_s:+.0f} s", AT_STOP, "solid"),
            _level(told.low_limit_s, f"lower limit {told.low_limit_s:+.0f} s", LIMIT, "dash"),
            _level(told.high_limit_s, f"upper limit {told.high_limit_s:+.0f} s", LIMIT, "dash"),
        ]
    notes = [note for _, note in lines]
    shapes = [shape for shape, _ in lines]
    return _html(
        "bland-altman", dots, "mean of both service times, s", "measured less manual, s",
        shapes=shapes, annotations=notes,
    )  # fmt: skip


def scatter(pilot: "Pilot") -> str:
    """Measured against manual service times."""
    dots = []
    most = 1.0
    for (name, colour), pairs in zip(KINDS, _by_flaw(pilot), strict=True):
        manual, measured = [p.note_s for p in pairs], [p.visit.service_time_s for p in pairs]
        most = max([most, *manual, *measured])
        text = [f"{p.visit.driver_id}, {p.visit.customer_id}" for p in pairs]
        dots.append(_dots(name, colour, manual, measured, text))
    same = {
        "type": "line", "x0": 0, "y0": 0, "x1": most, "y1": most, "layer": "below",
        "line": {"color": ZERO, "width": 1},
    }  # fmt: skip
    return _html("scatter", dots, "manual, s", "measured, s", shapes=[same])


def distributions(pilot: "Pilot") -> str:
    """How much later, or earlier, arrival and departure are measured than written down at the stop."""
    pairs = _by_flaw(pilot)[0]
    bars = [
        _bars("arrival", AT_STOP, [p.arrive_s for p in pairs]),
        _bars("departure", LATER, [p.depart_s for p in pairs]),
    ]
    return _html("times", bars, "measured less manual time, s", "visits", barmode="overlay")


def _by_flaw(pilot: "Pilot") -> tuple[list[Any], list[Any]]:
    told = list(zip(pilot.matching.pairs, pilot.flaws, strict=True))
    at_stop = [p for p, wrong in told if Flaw.AFTERWARDS not in wrong]
    return at_stop, [p for p, wrong in told if Flaw.AFTERWARDS in wrong]


def _dots(
    name: str, colour: str, x: Sequence[float], y: Sequence[float], text: Sequence[str]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "text": list(text),
        "hovertemplate": "%{text}<br>%{x:.0f} s, %{y:.0f} s<extra></extra>",
        "marker": {"color": colour, "size": 6, "opacity": 0.55},
    }


def _bars(name: str, colour: str, x: Sequence[float]) -> dict[str, Any]:
    near = [max(-600.0, min(600.0, v)) for v in x]
    bins = {"start": -600, "end": 615, "size": 15}
    marker = {"color": colour}
    return {"type": "histogram", "name": name, "x": near, "xbins": bins, "opacity": 0.6, "marker": marker}


def _level(y: float, text: str, colour: str, dash: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line across the picture at that height, and what is written on it."""
    line = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y,
        "line": {"color": colour, "dash": dash, "width": 1.5},
    }  # fmt: skip
    note = {
        "xref": "paper", "x": 1, "xanchor": "right", "y": y, "yanchor": "bottom", "text": text,
        "showarrow": False, "font": {"color": colour, "size": 12},
    }  # fmt: skip
    return line, note


def _html(name: str, traces: Sequence[Any], x: str, y: str, **layout: Any) -> str:
    from plotly.io import to_html

    look = {
        "template": "plotly_white",
        "height": 380,
        "margin": {"l": 60, "r": 20, "t": 10, "b": 50},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.08},
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, "zerolinecolor": ZERO},
        **layout,
    }
    figure = {"data": list(traces), "layout": look}
    shown = {"displayModeBar": False, "responsive": True}
    return str(to_html(figure, full_html=False, include_plotlyjs=False, div_id=name, config=shown))
