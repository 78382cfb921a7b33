"""Brokers for tests: one that the whole session shares, and ones to stop, kill and start again."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from streams.broker import Broker, EmbeddedBroker, choose_broker

settings.register_profile("here", deadline=None)  # a busy machine fails no test
settings.register_profile("ci", deadline=None, derandomize=True)  # the same examples each time
settings.load_profile("ci" if os.environ.get("CI") else "here")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in the background hands that down
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Shared by all tests, started when the first asks for it; `get_bootstrap_server()` is its address.

    What SERVICETIME_BOOTSTRAP names, else one in Docker where an engine answers, else an embedded one.
    """
    directory = tmp_path_factory.mktemp("kafka")
    with choose_broker(os.environ.get("SERVICETIME_BOOTSTRAP"), directory) as broker:
        yield broker
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., EmbeddedBroker]]:
    """Makes embedded brokers, started, that a test may stop, kill and start again; ended after the module.

    `own_broker()` takes a new directory and any free port; `own_broker(directory, port)` those.
    """
    with ExitStack() as stack:

        def make(directory: Path | None = None, port: int | None = None) -> EmbeddedBroker:
            if directory is None:
                directory = tmp_path_factory.mktemp("own-broker")
                stack.callback(shutil.rmtree, directory, ignore_errors=True)
            return stack.enter_context(EmbeddedBroker(directory, port))

        yield make
