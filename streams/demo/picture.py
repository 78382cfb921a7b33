"""Draws the map of one driver's day as an SVG file, for documents."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from geofence.times import format_time
from streams.demo.choosing import MARGIN_M, Scene, scene
from streams.demo.judging import Judged

WIDTH: Final = 860.0
LEGEND: Final = 56.0
STYLE: Final = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1f2937}"
    ".fence{fill:#64748b;fill-opacity:.1;stroke:#64748b}"
    ".track{fill:none;stroke:#64748b;stroke-width:1.5}.ping{fill:#64748b}"
    ".visit{fill:#0f766e;stroke:#fff;stroke-width:1.5}.soft{fill:#64748b}"
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
    scale = WIDTH / (max(xs) - west + 2 * MARGIN_M)
    height = scale * (north - min(ys) + MARGIN_M / 2) + LEGEND

    def spot(x: float, y: float) -> tuple[float, float]:
        return round((x - west) * scale, 1), round((north - y) * scale + LEGEND, 1)

    body = [*_legend(shown), *(_circle("fence", spot(x, y), r * scale) for x, y, r in fences)]
    points = " ".join(f"{x},{y}" for x, y in (spot(*p) for p in zip(shown.x, shown.y, strict=True)))
    body.append(f'<polyline class="track" points="{points}"/>')
    body += [_circle("ping", spot(x, y), 1.8) for x, y in zip(shown.x, shown.y, strict=True)]
    for visit, place in zip(shown.visits, places, strict=True):
        x, y = spot(*place)
        body.append(_circle("visit", (x, y), 8))
        body.append(_text(x + 13, y - 2, f"{_clock(visit.arrived_s)} to {_clock(visit.departed_s)}"))
        sure = "" if visit.confidence is None else f", confidence {visit.confidence:.2f}"
        body.append(_text(x + 13, y + 14, f"{visit.service_time_s:.0f} s{sure}", "soft"))
    return _document(WIDTH, height, body)


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
