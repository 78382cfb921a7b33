"""What the agents' work needs of the consumer that feeds it."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from aiokafka import TopicPartition


class Intake(Protocol):
    """The app's consumer as the work sees it."""

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at these offsets."""

    async def starting_points(self, tps: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where the consumer group left off, else the first offset there is."""

    def readable_end(self, tp: TopicPartition) -> int | None:
        """The offset after the last record that can be read, as far as known."""
