"""The figures of a demonstration as rows of text, for the terminal and the report."""

from typing import Final

from geofence.times import format_time
from simulation.scoring import Score
from streams.demo.judging import Findings, Judged

DETECTION_COLUMNS: Final = (
    "recording",
    "rule",
    "pings in",
    "visits out",
    "precision",
    "recall",
    "F1",
    "service-time error (MAE)",
)
PREDICTION_COLUMNS: Final = (
    "stop",
    "customer",
    "median",
    "nine in ten up to",
    "by",
    "moved most by",
)

PREDICTORS: Final = {
    "model": "LightGBM model",
    "rule": "seven-minute rule",
    "historical_mean": "historical mean per customer",
    "linear": "linear model",
}


def detection_rows(found: Findings) -> list[tuple[str, ...]]:
    """Two rows a recording: this project, and the plain rule."""
    return [row for judged in found.judged for row in _two_rows(judged)]


def _two_rows(judged: Judged) -> list[tuple[str, ...]]:
    recording = judged.recording
    pings = f"{len(recording.pings):,}"
    return [
        (recording.title, "servicetime", pings, f"{len(judged.visits):,}", *_figures(judged.score)),
        ("", "plain enter/exit", "", f"{judged.plain_score.records:,}", *_figures(judged.plain_score)),
    ]


def _figures(score: Score) -> tuple[str, ...]:
    mae = "-" if score.mae_s is None else f"{score.mae_s:.1f} s"
    return (f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", mae)


def learning_rows(found: Findings) -> list[tuple[str, str, str]]:
    """A row a predictor: its error, and how much smaller (-) or larger (+) the model's is."""
    own = found.mae_s["model"]
    rows = []
    for name, said in PREDICTORS.items():
        against = "" if name == "model" else f"{100 * (own / found.mae_s[name] - 1):+.0f} %"
        rows.append((said, f"{found.mae_s[name]:.1f} s", against))
    return rows


def proven_on(found: Findings) -> str:
    """Which visits the errors are of."""
    assert found.outcome is not None
    proof = found.outcome.trained.proof
    first, last = (format_time(ts_ms)[:10] for ts_ms in proof.days)
    when = f"newest day, {last}" if first == last else f"newest days, {first} to {last}"
    return f"{len(proof.actual_s):,} visits of the {when}"


def gate(found: Findings) -> str:
    """What the promotion gate said."""
    assert found.outcome is not None
    if found.outcome.promoted:
        return "The gate let the model take over."
    return "The gate kept the model back: " + "; ".join(found.outcome.verdict.reasons) + "."


def prediction_rows(found: Findings, count: int) -> list[tuple[str, ...]]:
    """The first predictions."""
    rows: list[tuple[str, ...]] = []
    for record in found.predictions[:count]:
        by = f"model {record['model']['version']}" if record["model"] else str(record["fallback"])
        factors = ", ".join(f"{f['feature']} {f['effect_s']:+.0f} s" for f in record["top_factors"][:3])
        rows.append(
            (
                record["stop_id"],
                record["customer_id"],
                _minutes(record["p50_s"]),
                _minutes(record["p90_s"]),
                by,
                factors or "-",
            )
        )
    return rows


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s"
