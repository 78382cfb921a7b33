"""Whether Kafka answers: its clients try on in silence while it does not, and somebody has to say so."""

import asyncio
import logging
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

LOOK_EVERY_S: Final = 5.0
ANSWER_WITHIN_S: Final = 10.0
PART: Final = "Kafka"

log = logging.getLogger(__name__)


async def watch_kafka(bootstrap: str, problems: MutableMapping[str, str]) -> None:
    """Ask the brokers now and then, until cancelled; `problems` and the log tell while none answers."""
    while True:
        reason = await _silence(bootstrap)
        if reason is None:
            if problems.pop(PART, None) is not None:
                log.warning("Kafka answers again")
        elif PART not in problems:
            problems[PART] = f"no broker answers at {bootstrap}: {reason}"
            log.error("Kafka does not answer; intake waits. %s", problems[PART])
        await asyncio.sleep(LOOK_EVERY_S)


async def _silence(bootstrap: str) -> str | None:
    """Why nothing was answered, on a connection of its own; None when something was."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    try:
        await asyncio.wait_for(client.bootstrap(), ANSWER_WITHIN_S)
    except TimeoutError:
        return f"nothing for {ANSWER_WITHIN_S:.0f} s"
    except (KafkaError, OSError) as error:
        return " ".join(str(error).split())
    finally:
        with suppress(KafkaError, OSError):
            await client.close()
    return None
