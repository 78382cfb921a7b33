"""The pilot's findings put together: as plain values, and as a page that opens anywhere."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from geofence.events import ServiceTime
from geofence.times import format_time
from models.pilot.agreement import Agreement, Group, agreement, groups
from models.pilot.habits import Flaw, Habit, flaws, forgotten_visits, habits
from models.pilot.matching import Matching, Written, match
from models.pilot.truth import AgainstTruth, Witnessed, against_truth
from models.pilot.verdict import Verdict, decide
from models.sightings import standing

TEMPLATE: Final = Path(__file__).with_name("report.html.j2")
LISTED: Final = 200
"""At most so many missed, forgotten and other extra visits are listed on the page; the JSON has all."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """All findings; `careful` and `groups` are of the records that were made at the stop."""

    matching: Matching
    flaws: list[frozenset[Flaw]]
    forgotten: list[ServiceTime]
    overall: Agreement | None
    careful: Agreement | None
    groups: list[Group]
    habits: list[Habit]
    truth: AgainstTruth | None
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """The findings by name: JSON's kinds only, numbers rounded to three digits."""
        m = self.matching
        found = {
            "verdict": {**asdict(self.verdict), "answer": self.verdict.answer.value},
            "manual_records": len(m.pairs) + len(m.missed),
            "visits": len(m.pairs) + len(m.extra),
            "matched": len(m.pairs),
            "missed": len(m.missed),
            "extra": len(m.extra),
            "forgotten": len(self.forgotten),
            "coverage": m.coverage,
            "agreement": None if self.overall is None else asdict(self.overall),
            "agreement_made_at_the_stop": None if self.careful is None else asdict(self.careful),
            "against_truth": None if self.truth is None else asdict(self.truth),
            "groups": [g.as_dict() for g in self.groups],
            "drivers": [asdict(h) for h in self.habits],
            "pairs": [
                {
                    "visit_id": p.visit.visit_id,
                    "stop_id": p.note.stop_id,
                    "driver_id": p.visit.driver_id,
                    "measured_s": p.visit.service_time_s,
                    "manual_s": p.note_s,
                    "arrived_later_s": p.arrive_s,
                    "departed_later_s": p.depart_s,
                    "flaws": sorted(f.value for f in wrong),
                }
                for p, wrong in zip(m.pairs, self.flaws, strict=True)
            ],
            "missed_records": [_note(n) for n in m.missed],
            "extra_visits": [_visit(v) for v in m.extra],
        }
        return {name: _rounded(value) for name, value in found.items()}


def compare(
    records: Iterable[ServiceTime],
    notes: Iterable[Written],
    regions: Mapping[str, str] | None = None,
    truth: Iterable[Witnessed] | None = None,
) -> Pilot:
    """Compare service-time records (all revisions) with manual ones; `regions` is by customer."""
    matching = match(standing(records), notes)
    wrong = flaws(matching.pairs)
    at_stop = [p for p, w in zip(matching.pairs, wrong, strict=True) if Flaw.AFTERWARDS not in w]
    careful, kept = agreement(at_stop), habits(matching)
    told = None if truth is None else against_truth(matching, truth)
    found = groups(Matching(at_stop, matching.missed, matching.extra), regions or {})
    return Pilot(
        matching=matching,
        flaws=wrong,
        forgotten=forgotten_visits(matching),
        overall=agreement(matching.pairs),
        careful=careful,
        groups=found,
        habits=kept,
        truth=told,
        verdict=decide(matching, careful, at_stop, kept, found, told),
    )


def write(pilot: Pilot, folder: Path) -> tuple[Path, Path]:
    """Write `pilot.html` and `pilot.json` and return their paths; equal findings give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "pilot.html", folder / "pilot.json"
    data.write_text(json.dumps(pilot.as_dict(), indent=1), encoding="utf-8")
    page.write_text(render(pilot), encoding="utf-8")
    return page, data


def render(pilot: Pilot) -> str:
    """The page as HTML, with its pictures and all they need in it."""
    from jinja2 import Environment
    from plotly.offline import get_plotlyjs

    from models.pilot.pictures import bland_altman, distributions, scatter

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    found = pilot.as_dict()
    matched = bool(pilot.matching.pairs)
    return template.render(
        found=found,
        verdict=pilot.verdict,
        tiles=_tiles(pilot),
        kinds=_by_kind(pilot.groups),
        pictures={
            "Bland–Altman": bland_altman(pilot),
            "Measured and manual": scatter(pilot),
            "When it begins and ends": distributions(pilot),
        }
        if matched
        else {},
        missed=found["missed_records"][:LISTED],
        forgotten=[_visit(v) for v in pilot.forgotten[:LISTED]],
        plotly_js=get_plotlyjs(),
    )


def _tiles(pilot: Pilot) -> list[tuple[str, str]]:
    m, careful = pilot.matching, pilot.careful
    tiles = [
        (f"{100 * m.coverage:.1f} %", f"of {len(m.pairs) + len(m.missed)} manual records have a visit"),
        (f"{len(m.missed)}", "manual records without a visit"),
        (f"{len(m.extra)}", f"visits not written down; {len(pilot.forgotten)} at planned stops"),
    ]
    if careful is not None:
        tiles += [
            (f"{careful.bias_s:+.0f} s", f"bias (± {careful.bias_error_s:.0f} s), measured less manual"),
            (f"{careful.mae_s:.0f} s", f"mean absolute difference; median {careful.median_ae_s:.0f} s"),
        ]
    if pilot.truth is not None:
        t = pilot.truth
        said = f"mean error against the truth, manual {t.manual_mae_s:.0f} s"
        tiles.append((f"{t.measured_mae_s:.0f} s", said))
    return tiles


def _by_kind(found: Sequence[Group]) -> dict[str, list[Group]]:
    kinds: dict[str, list[Group]] = {}
    for group in found:
        kinds.setdefault(group.kind, []).append(group)
    return kinds


def _note(note: Written) -> dict[str, Any]:
    return {
        "stop_id": note.stop_id,
        "driver_id": note.driver_id,
        "customer_id": note.customer_id,
        "arrived_at": format_time(note.arrived_ms),
        "departed_at": format_time(note.departed_ms),
    }


def _visit(visit: ServiceTime) -> dict[str, Any]:
    return {
        "visit_id": visit.visit_id,
        "stop_id": visit.stop_id,
        "driver_id": visit.driver_id,
        "customer_id": visit.customer_id,
        "arrived_at": format_time(visit.arrived_ms),
        "departed_at": format_time(visit.departed_ms),
        "confidence": visit.confidence,
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value
