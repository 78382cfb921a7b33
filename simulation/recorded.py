"""Where the recorded real drivers are that come with this package (GOAL, CC BY 4.0; see their README)."""

from pathlib import Path


def goal_dir() -> Path:
    """The directory with the recorded drivers' pings.jsonl.gz, fences.geojson, routes.jsonl, truth.jsonl."""
    return Path(__file__).parent / "data" / "goal"
