"""The report's pictures, as Plotly figures."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from geofence.fences import Fence
from geofence.times import format_time
from simulation.scoring import Claim
from streams.demo.choosing import Scene
from streams.demo.judging import Findings, Judged, service_errors_s
from streams.demo.summary import PREDICTORS

OURS, PLAIN, FENCE, TRACK, FAINT = "#0f766e", "#d97706", "#64748b", "#64748b", "#cbd5e1"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
ERRORS_UP_TO_S: Final = 120.0
CIRCLE: Final = np.linspace(0, 2 * np.pi, 49)


def day_map(scene: Scene) -> go.Figure:
    """Fences, track and visits of one driver's day, in metres; hover tells arrival, departure, confidence."""
    served = {visit.customer_id for visit in scene.visits}
    own = [fence for fence in scene.fences if fence.customer_id in served]
    others = [fence for fence in scene.fences if fence.customer_id not in served]
    figure = go.Figure(
        [
            _fences(scene, others, "other geofence", FAINT, "rgba(0,0,0,0)"),
            _fences(scene, own, "geofence visited", OURS, "rgba(15,118,110,0.08)"),
            _track(scene),
            _visits(scene),
        ]
    )
    _style(figure, 560)
    figure.update_xaxes(title="metres east", zeroline=False, showgrid=False)
    figure.update_yaxes(title="metres north", zeroline=False, showgrid=False, scaleanchor="x")
    figure.update_layout(hovermode="closest")
    return figure


def _fences(scene: Scene, fences: Sequence[Fence], name: str, line: str, inside: str) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for fence in fences:
        if fence.radius_m is None:
            continue
        east, north = scene.place(fence.lat, fence.lon)
        x += [*(east + fence.radius_m * np.cos(CIRCLE)).tolist(), None]
        y += [*(north + fence.radius_m * np.sin(CIRCLE)).tolist(), None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        fill="toself",
        line={"color": line, "width": 1},
        fillcolor=inside,
        name=name,
        hoverinfo="skip",
    )


def _track(scene: Scene) -> go.Scatter:
    times = [format_time(int(ts_s * 1000))[11:19] for ts_s in scene.ts_s]
    return go.Scatter(
        x=scene.x.round(1),
        y=scene.y.round(1),
        mode="lines+markers",
        line={"color": TRACK, "width": 1.5},
        marker={"size": 3, "color": TRACK},
        name="ping",
        text=times,
        hovertemplate="%{text}<extra>ping</extra>",
    )


def _visits(scene: Scene) -> go.Scatter:
    places = [scene.at(visit) for visit in scene.visits]
    return go.Scatter(
        x=[x for x, _ in places],
        y=[y for _, y in places],
        mode="markers+text",
        marker={
            "size": [10 + 14 * min(1.0, v.service_time_s / 600) for v in scene.visits],
            "color": OURS,
            "opacity": 0.85,
            "line": {"color": "white", "width": 1.5},
        },
        text=[str(n) for n in range(1, len(places) + 1)] if len(places) <= 12 else None,
        textposition="top center",
        name="visit found",
        hovertext=[_about(visit, scene) for visit in scene.visits],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _about(visit: Claim, scene: Scene) -> str:
    true = next((t for t in scene.truth if _same(visit, t)), None)
    lines = [
        f"<b>{visit.customer_id}</b>",
        f"arrived {_clock(visit.arrived_s)}",
        f"departed {_clock(visit.departed_s)}",
        f"service time {visit.service_time_s:.0f} s",
    ]
    if visit.confidence is not None:
        lines.append(f"confidence {visit.confidence:.2f}")
    if true is not None:
        lines.append(f"truth {_clock(true.arrived_s)} to {_clock(true.departed_s)}")
    return "<br>".join(lines)


def _same(visit: Claim, true: Any) -> bool:
    meets = visit.arrived_s < true.departed_s and true.arrived_s < visit.departed_s
    return bool(true.customer_id == visit.customer_id and meets)


def _clock(at_s: float) -> str:
    return format_time(round(at_s * 1000))[11:19]


def error_distribution(judged: Judged) -> go.Figure:
    """Share of service times that are off by at most so many seconds: ours and the plain rule's."""
    figure = go.Figure()
    for name, verdict, colour in (
        ("servicetime", judged.ours, OURS),
        ("plain enter/exit", judged.plain, PLAIN),
    ):
        errors = np.sort(np.abs(service_errors_s(verdict)))
        visits = len(verdict.right) + len(verdict.misnamed) + len(verdict.missed)
        shares = 100 * np.arange(1, len(errors) + 1) / max(1, visits)
        figure.add_scatter(
            x=errors,
            y=shares,
            mode="lines",
            name=name,
            line={"color": colour, "width": 3, "shape": "hv"},
            hovertemplate="%{y:.0f} % within %{x:.0f} s<extra>" + name + "</extra>",
        )
    _style(figure, 340)
    figure.update_xaxes(title="service time off by at most (seconds)", range=[0, ERRORS_UP_TO_S])
    figure.update_yaxes(title="share of true visits (%)", range=[0, 101])
    return figure


def signed_errors(judged: Judged) -> go.Figure:
    """How far service times are off, too short to the left, too long to the right."""
    figure = go.Figure()
    for name, verdict, colour in (
        ("servicetime", judged.ours, OURS),
        ("plain enter/exit", judged.plain, PLAIN),
    ):
        figure.add_histogram(
            x=np.clip(service_errors_s(verdict), -ERRORS_UP_TO_S, ERRORS_UP_TO_S),
            xbins={"start": -ERRORS_UP_TO_S - 5, "end": ERRORS_UP_TO_S + 5, "size": 10},
            name=name,
            marker={"color": colour},
            opacity=0.65,
            hovertemplate="%{y} visits about %{x} s<extra>" + name + "</extra>",
        )
    _style(figure, 340)
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title="told minus true service time (s; ends: and beyond)")
    figure.update_yaxes(title="visits")
    return figure


def predicted_against_actual(found: Findings) -> go.Figure:
    """Each visit of the newest days: what the model had predicted, and how long it took."""
    assert found.outcome is not None
    proof = found.outcome.trained.proof
    actual, model = proof.actual_s / 60, proof.predicted_s["model"] / 60
    top = float(np.quantile(np.concatenate([actual, model]), 0.995)) * 1.05
    figure = go.Figure()
    figure.add_scatter(
        x=model,
        y=actual,
        mode="markers",
        marker={"color": OURS, "size": 6, "opacity": 0.4},
        name="visit",
        hovertemplate="predicted %{x:.1f} min<br>took %{y:.1f} min<extra></extra>",
    )
    figure.add_scatter(
        x=[0, top], y=[0, top], mode="lines", line={"color": FENCE, "dash": "dash"}, name="as predicted"
    )
    figure.add_scatter(
        x=[7, 7], y=[0, top], mode="lines", line={"color": PLAIN, "width": 2}, name="seven-minute rule"
    )
    _style(figure, 420)
    figure.update_xaxes(title="predicted (minutes)", range=[0, top])
    figure.update_yaxes(title="took (minutes)", range=[0, top])
    return figure


def predictor_errors(found: Findings) -> go.Figure:
    """Mean absolute error of the model beside what it has to beat."""
    names = list(PREDICTORS)
    values = [found.mae_s[name] for name in names]
    figure = go.Figure(
        go.Bar(
            y=[PREDICTORS[name] for name in names],
            x=values,
            orientation="h",
            marker={"color": [OURS if name == "model" else "#cbd5e1" for name in names]},
            text=[f"{value:.0f} s" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.1f} s<extra></extra>",
        )
    )
    _style(figure, 420)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title="mean absolute error (seconds)", range=[0, 1.15 * max(values)])
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    return figure


def _style(figure: go.Figure, height: int) -> None:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        font={"family": FONT, "size": 13, "color": "#1f2937"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
