"""What the agents' work needs of the consumer that feeds it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

AGAIN_AFTER_S: Final = 2.0

Found = TypeVar("Found")

log = logging.getLogger(__name__)


class Intake(Protocol):
    """The app's consumer as the work sees it."""

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at these offsets."""

    async def starting_points(self, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where the consumer group left off, else the first offset there is."""

    def readable_end(self, tp: TopicPartition) -> int | None:
        """The offset after the last record that can be read, as far as known."""


async def until_it_works(ask: Callable[[], Awaitable[Found]], what: str) -> Found:
    """What Kafka answers, asked again for as long as it cannot; `what` says in the log what that is."""
    while True:
        try:
            return await ask()
        except KafkaError as error:
            log.warning("Cannot %s: %r; trying again", what, error)
            await asyncio.sleep(AGAIN_AFTER_S)
