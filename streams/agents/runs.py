"""What all agents of runs share: nothing may leave an agent's body, and every run makes room for the next."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import faust

from streams.transport import Consumer, Run, RunSchema

Take = Callable[[Run], Awaitable[None]]


def consumer_of(app: faust.App) -> Consumer:
    """The app's consumer, which is of this project's transport."""
    return cast(Consumer, app.consumer)


def agent_of_runs(app: faust.App, topic: str, take: Take) -> None:
    """Let an agent hand each run of a topic (as named on the cluster) to `take`; its errors stop the app."""

    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            run: Run = event.message.value
            try:
                await take(run)
            except Exception as error:  # Faust would acknowledge the event and go on
                await app.crash(error)
            finally:
                consumer_of(app).done(run)

    agent.__name__ = topic.replace("-", "_")
    app.agent(app.topic(topic, schema=RunSchema(), acks=False), name=f"{agent.__name__}_agent")(agent)
