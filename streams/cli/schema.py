"""`servicetime schema`: the JSON Schema of the records."""

import json

import click

TOPICS = (
    "gps-pings",
    "routes",
    "device-fence-events",
    "manual-records",
    "weather",
    "service-times",
    "geofence-events",
    "stop-predictions",
    "dead-letters",
)
"""Topics with a schema, written out so that `--help` needs no import."""


@click.command()
@click.argument("topic", type=click.Choice(TOPICS))
def command(topic: str) -> None:
    """Print the JSON Schema of a topic's records (a file's lines).

    Geofences are GeoJSON Features, as RFC 7946 has them.
    """
    from streams.records.schemas import schema_of

    click.echo(json.dumps(schema_of(topic), indent=2))
