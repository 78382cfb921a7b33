"""Reads topics as any consumer would: read_committed, from the beginning to the present end."""

import asyncio
from collections.abc import Collection
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from simulation.scoring import Claim, final_claims
from streams.errors import Unavailable
from streams.files.judged import decode_claim
from streams.reading import read_stretch
from streams.topics import Topics

Record = dict[str, Any]


def values(bootstrap: str, topics: Topics, topic: str) -> list[bytes]:
    """The values of all committed records of one of the contract's topics. Raises Unavailable."""
    try:
        return asyncio.run(_values(bootstrap, topics, topic))
    except KafkaError as error:
        raise Unavailable(f"cannot read {topics.name(topic)} at {bootstrap}: {error}") from error


async def _values(bootstrap: str, topics: Topics, topic: str) -> list[bytes]:
    found: list[bytes] = []
    for partition in range(topics.count(topic)):
        async for records in read_stretch(bootstrap, topics.name(topic), partition):
            found += [record.value for record in records if record.value is not None]
    return found


def revisions(visits: Collection[bytes]) -> dict[str, int]:
    """The highest revision of each visit."""
    highest: dict[str, int] = {}
    for value in visits:
        record = msgspec.json.decode(value)
        highest[record["visit_id"]] = max(record["revision"], highest.get(record["visit_id"], 0))
    return highest


def claims(visits: Collection[bytes], drivers: Collection[str]) -> list[Claim]:
    """What holds in the end of what was told about these drivers."""
    return [c for c in final_claims(decode_claim(v) for v in visits) if c.driver_id in drivers]


def predictions(bootstrap: str, topics: Topics, route_ids: Collection[str]) -> dict[str, Record]:
    """The newest prediction of each stop of these routes."""
    records = map(msgspec.json.decode, values(bootstrap, topics, "stop-predictions"))
    return {r["stop_id"]: r for r in records if r["route_id"] in route_ids}
