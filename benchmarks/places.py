"""What learned places win back: recall at customers with a wrong geocode, before and after correcting."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from geofence.engine import detected
from geofence.events import ServiceTime
from geofence.fences import Fence
from geofence.geometry import LocalPlane, distance_m
from geofence.halts import Halt, all_halts
from models.places import Learning, Suggestion, apply
from models.rounds import APPLIED, suggest_in_rounds
from simulation.profiles import PROFILES
from simulation.recording import Recording, simulate
from simulation.scoring import claim_of, final_claims, score

DAY_MS = 86_400_000
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Won:
    """Recall at the moved fences on the later days, and what was suggested from the earlier ones."""

    town: str
    stops: int
    recall_moved: float | None
    recall_corrected: float | None
    recall_right: float | None
    f1_moved: float | None
    f1_corrected: float | None
    f1_right: float | None
    moved_fences: int
    corrected: int
    wrongly: int
    median_off_m: float | None


@click.command()
@click.option("--profiles", default="suburb,dense,countryside,hostile", show_default=True)
@click.option("--seeds", default="0,1", show_default=True, help="Comma-separated seeds of the towns.")
@click.option("--drivers", default=2, show_default=True)
@click.option("--learned", default=8, show_default=True, help="Days learned from.")
@click.option("--judged", default=6, show_default=True, help="Later days that recall is measured on.")
@click.option("--share", default=0.2, show_default=True, help="Share of the fences that are moved.")
@click.option(
    "--far", default=(40.0, 80.0), type=(float, float), show_default=True, help="By so many metres."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    profiles: str,
    seeds: str,
    drivers: int,
    learned: int,
    judged: int,
    share: float,
    far: tuple[float, float],
    as_json: bool,
) -> None:
    """Move some fences, learn from the first days, correct, and score the later days."""
    found = []
    for profile in profiles.split(","):
        for seed in seeds.split(","):
            won = measure(profile, int(seed), drivers, learned, judged, share, far)
            print(won, file=sys.stderr)
            found.append(won)
    if as_json:
        print(json.dumps([asdict(won) for won in found]))
    else:
        _show(found)


def measure(
    profile: str, seed: int, drivers: int, learned: int, judged: int, share: float, far: tuple[float, float]
) -> Won:
    """One town, whose customers are visited about every other day."""
    town = replace(PROFILES[profile], customers_a_stop=(2.0, 2.0))
    made = simulate(town, drivers, learned + judged, seed, weather=False)
    proof_ms = int(made.pings.ts_ms.min()) // DAY_MS * DAY_MS + learned * DAY_MS
    fences, whose = shifted(made.fences, share, far, np.random.default_rng(seed))
    before = detected([made.pings], fences, made.routes)
    suggested = learn(made, fences, before, proof_ms)
    corrected, _ = apply(fences, [s.fence for s in suggested], APPLIED)
    after, right = (detected([made.pings], f, made.routes) for f in (corrected, made.fences))
    recalls = [recall(made, records, proof_ms, whose) for records in (before, after, right)]
    f1 = [judge(made, records, proof_ms) for records in (before, after, right)]
    stops = sum(t.arrived_s * 1000 >= proof_ms and t.customer_id in whose for t in made.truth)
    used = [s for s in suggested if s.confidence >= APPLIED]
    off = [error_m(made, s.fence) for s in used]
    old = {f.fence_id: f for f in fences}
    wrongly = sum(o > error_m(made, old[s.fence.fence_id]) for o, s in zip(off, used, strict=True))
    median = round(float(np.median(off)), 1) if off else None
    return Won(
        f"{profile} {seed}",
        stops,
        recalls[0],
        recalls[1],
        recalls[2],
        f1[0],
        f1[1],
        f1[2],
        len(whose),
        len(used),
        wrongly,
        median,
    )


def shifted(
    fences: Sequence[Fence], share: float, far: tuple[float, float], rng: np.random.Generator
) -> tuple[list[Fence], set[str]]:
    """That share of the fences moved by so many metres in any direction, and whose they are."""
    moved, whose = [], set()
    for fence in fences:
        if fence.radius_m is None or rng.random() >= share:
            moved.append(fence)
            continue
        angle, way = rng.uniform(0, 2 * np.pi), rng.uniform(*far)
        lat, lon = LocalPlane(fence.lat, fence.lon).to_degrees(way * np.cos(angle), way * np.sin(angle))
        moved.append(replace(fence, lat=lat, lon=lon))
        whose.add(fence.customer_id)
    return moved, whose


def learn(
    made: Recording, fences: Sequence[Fence], records: Sequence[ServiceTime], until_ms: int
) -> list[Suggestion]:
    """What the days before a time suggest."""
    halts: dict[str, list[Halt]] = {
        driver: [h for h in of if h.departed_ms < until_ms] for driver, of in all_halts([made.pings]).items()
    }
    routes = [r for r in made.routes if r.starts_ms < until_ms]

    def past(records: Iterable[ServiceTime]) -> list[ServiceTime]:
        return [r for r in records if r.arrived_ms < until_ms]

    def again(corrected: Sequence[Fence]) -> list[ServiceTime]:
        return past(detected([made.pings], corrected, made.routes))

    return suggest_in_rounds(ROUNDS, past(records), halts, fences, routes, Learning(), again)


def recall(made: Recording, records: Sequence[ServiceTime], from_ms: int, whose: set[str]) -> float | None:
    """Share of the later services at these customers that were found."""
    claims = [c for c in final_claims(map(claim_of, records)) if c.arrived_s * 1000 >= from_ms]
    rows = [t for t in made.truth if t.arrived_s * 1000 >= from_ms and t.customer_id in whose]
    return score([c for c in claims if c.customer_id in whose], rows).recall


def judge(made: Recording, records: Sequence[ServiceTime], from_ms: int) -> float | None:
    """F1 of the later days, everybody's."""
    claims = [c for c in final_claims(map(claim_of, records)) if c.arrived_s * 1000 >= from_ms]
    return score(claims, [t for t in made.truth if t.arrived_s * 1000 >= from_ms]).f1


def error_m(made: Recording, fence: Fence) -> float:
    """From the middle of a fence to its customer's true door."""
    for district in made.town.districts:
        for customer in district.customers:
            if customer.customer_id == fence.customer_id:
                return distance_m(fence.lat, fence.lon, *district.plane.to_degrees(*customer.door))
    raise KeyError(fence.customer_id)


def _show(found: Sequence[Won]) -> None:
    table = Table(title="Recall at customers with a wrong geocode, on later days; F1 is everybody's")
    table.add_column("town", no_wrap=True)
    names = ("stops", "moved", "corrected", "right", "F1 moved", "F1 corrected", "F1 right")
    for name in (*names, "fences moved", "corrected", "wrongly", "off m"):
        table.add_column(name, justify="right")
    for w in found:
        values = list(asdict(w).values())[1:]
        table.add_row(
            w.town, *("" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v) for v in values)
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    main()
