"""Draws the map of one driver's day as an SVG file, for documents."""

from collections.abc import Iterator
from html import escape
from math import dist
from pathlib import Path
from typing import Final

import numpy as np

from geofence.times import format_time
from streams.demo.choosing import MARGIN_M, Scene, scene
from streams.demo.judging import Judged

WIDTH: Final = 860.0
LIST: Final = 230.0
"""Width of the list of visits, to the right of the map."""

LEGEND: Final = 56.0
ENTRY: Final = 44.0
SAME_SPOT: Final = 12.0
STYLE: Final = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1f2937}"
    ".fence{fill:#64748b;fill-opacity:.1;stroke:#64748b}"
    ".track{fill:none;stroke:#64748b;stroke-width:1.5}.ping{fill:#64748b}"
    ".visit{fill:#0f766e;stroke:#fff;stroke-width:1.5}.soft{fill:#64748b}"
    ".number{fill:#0f766e;font-weight:700}"
)


def write_picture(judged: Judged, path: Path) -> None:
    """Write the map of the driver with the most right visits. Raises OSError."""
    from streams.files import whole_file

    with whole_file(path) as file:
        file.write(picture(scene(judged)).encode())


def picture(shown: Scene) -> str:
    """The map as SVG: fences, track, visits with their times."""
    places = [shown.at(visit) for visit in shown.visits]
    fences = [(*shown.place(f.lat, f.lon), f.radius_m or 0.0) for f in shown.fences]
    xs = [*shown.x, *(x + s * r for x, _, r in fences for s in (-1, 1))]
    ys = [*shown.y, *(y + s * r for _, y, r in fences for s in (-1, 1))]
    west, north = min(xs) - MARGIN_M, max(ys) + MARGIN_M / 2
    scale = (WIDTH - LIST) / (max(xs) - west + 2 * MARGIN_M)
    height = scale * (north - min(ys) + MARGIN_M / 2) + LEGEND

    def spot(x: float, y: float) -> tuple[float, float]:
        return round((x - west) * scale, 1), round((north - y) * scale + LEGEND, 1)

    body = [*_legend(shown), *(_circle("fence", spot(x, y), r * scale) for x, y, r in fences)]
    points = " ".join(f"{x},{y}" for x, y in (spot(*p) for p in zip(shown.x, shown.y, strict=True)))
    body.append(f'<polyline class="track" points="{points}"/>')
    body += [_circle("ping", spot(x, y), 1.8) for x, y in zip(shown.x, shown.y, strict=True)]
    body += _numbered([spot(*place) for place in places])
    body += _listed(shown)
    height = max(height, LEGEND + ENTRY * len(shown.visits) + 24)
    return _document(WIDTH, height, body)


def _numbered(spots: list[tuple[float, float]]) -> Iterator[str]:
    """Dots with the numbers of the visits; those at one spot share a label."""
    labels: list[tuple[tuple[float, float], list[int]]] = []
    for number, at in enumerate(spots, 1):
        yield _circle("visit", at, 8)
        near = next((told for where, told in labels if dist(where, at) < SAME_SPOT), None)
        if near is None:
            labels.append((at, [number]))
        else:
            near.append(number)
    for (x, y), numbers in labels:
        yield _text(x + 11, y - 8, ", ".join(map(str, numbers)), "number")


def _listed(shown: Scene) -> Iterator[str]:
    """When each visit began and ended, how long the service took, and how sure that is."""
    for number, visit in enumerate(shown.visits, 1):
        y = LEGEND + ENTRY * number - 20
        yield _text(WIDTH - LIST + 8, y, str(number), "number")
        yield _text(WIDTH - LIST + 30, y, f"{_clock(visit.arrived_s)} to {_clock(visit.departed_s)}")
        sure = "" if visit.confidence is None else f", confidence {visit.confidence:.2f}"
        yield _text(WIDTH - LIST + 30, y + 17, f"{visit.service_time_s:.0f} s{sure}", "soft")


def _legend(shown: Scene) -> Iterator[str]:
    yield _text(
        16, 24, f"Recorded driver {shown.driver_id}: {len(shown.x)} pings, {len(shown.visits)} visits found"
    )
    for x, kind, said in (
        (22, "fence", "geofence"),
        (112, "ping", "ping"),
        (172, "visit", "visit: arrival to departure"),
    ):
        yield _circle(kind, (x, 42), 3 if kind == "ping" else 6)
        yield _text(x + 12, 46, said, "soft")


def _document(width: float, height: float, body: list[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<style>{STYLE}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="12" fill="#fff" stroke="#e2e8f0"/>',
        *body,
        "</svg>\n",
    ]
    return "\n".join(lines)


def _circle(kind: str, at: tuple[float, float], radius: float) -> str:
    return f'<circle class="{kind}" cx="{at[0]}" cy="{at[1]}" r="{np.round(radius, 1)}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _clock(at_s: float) -> str:
    return format_time(round(at_s * 1000))[11:19]
