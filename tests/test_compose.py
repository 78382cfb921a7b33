"""docker-compose.yml, the Dockerfile and deploy/ fit together and fit the code."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from prometheus_client import CollectorRegistry

from streams.broker.jars import pinned
from streams.cli.main import cli
from streams.metrics import Instruments, PartitionReport, StateCollector

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/servicetime.json").read_text())


def mounts(service: str) -> dict[str, str]:
    """Path in the container → volume, or path from the project's root."""
    triples = [mount.split(":") for mount in SERVICES[service].get("volumes", ())]
    return {target: source for source, target, *_ in triples}


def inside(service: str, path: str) -> Path:
    """The project's file that a container of `service` sees at `path`."""
    for target, source in mounts(service).items():
        if source.startswith("./") and (path == target or path.startswith(f"{target}/")):
            return ROOT / source / path.removeprefix(target).lstrip("/")
    raise AssertionError(f"{service} sees no file of ours at {path}")


def port_of(service: str, address: str) -> int:
    """The port in HOST:PORT, where HOST is that service's name."""
    host, port = address.removeprefix("http://").split(":")
    assert host == service
    return int(port)


def joined(path: Path) -> list[str]:
    """The lines of a file, continued ones joined, without empty ones."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()]


def stages() -> list[list[str]]:
    """The Dockerfile's instructions by stage."""
    lines = [line for line in joined(ROOT / "Dockerfile") if not line.startswith("#")]
    starts = [i for i, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]


def arguments(stage: list[str], instruction: str) -> list[str]:
    return [line.split(" ", 1)[1] for line in stage if line.startswith(f"{instruction} ")]


def parsed_worker(words: list[str]) -> click.Context:
    """The worker's command line as the command itself reads it."""
    assert words[0] == "worker"
    with click.Context(cli) as context:
        command = cli.get_command(context, "worker")
        assert command is not None
        return command.make_context("worker", words[1:], parent=context)


def exported_metrics() -> set[str]:
    """The names of all series that a worker exports."""
    registry = CollectorRegistry()
    instruments = Instruments(registry)
    report = PartitionReport(0, True, lag={"gps-pings": 1})
    registry.register(StateCollector(lambda: [report], lambda: 1))
    for counter in (instruments.checkpoints, instruments.outputs, instruments.setbacks):
        counter.labels("0")
    instruments.predictions.labels("rule")
    instruments.quarantined.labels("service_time_s")
    return {sample.name for family in registry.collect() for sample in family.samples}


def series_in(expression: str) -> set[str]:
    return set(re.findall(r"servicetime_\w+", expression))


def test_services_are_kafka_a_worker_and_their_watchers():
    assert set(SERVICES) == {"kafka", "worker", "prometheus", "grafana"}


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_mounts_exists(service):
    for source in mounts(service).values():
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
        else:
            assert source in COMPOSE["volumes"], source


def test_every_volume_is_used():
    assert set(COMPOSE["volumes"]) == {s for name in SERVICES for s in mounts(name).values() if "/" not in s}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_depends_on_services_that_exist_and_can_fulfil_the_condition(service):
    needed = SERVICES[service].get("depends_on", {})
    for name in needed:
        condition = needed[name]["condition"] if isinstance(needed, dict) else "service_started"
        assert name in SERVICES
        assert condition == "service_started" or "healthcheck" in SERVICES[name]


def test_ports_are_open_to_this_machine_alone_and_do_not_collide():
    published = [port.split(":") for service in SERVICES.values() for port in service.get("ports", ())]
    assert {host for host, _, _ in published} == {"127.0.0.1"}
    assert len({port for _, port, _ in published}) == len(published) == 4


def test_kafka_is_the_version_of_the_embedded_one():
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{pinned().kafka_version}"


def test_kafkas_listeners_and_their_published_ports_agree():
    settings = SERVICES["kafka"]["environment"]
    listeners = dict(re.findall(r"(\w+)://:(\d+)", settings["KAFKA_LISTENERS"]))
    protocols = dict(p.split(":") for p in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(listeners) == set(protocols) == {"INTERNAL", "HOST", "CONTROLLER"}
    assert settings["KAFKA_ADVERTISED_LISTENERS"] == (
        f"INTERNAL://kafka:{listeners['INTERNAL']},HOST://localhost:{listeners['HOST']}"
    )
    assert settings["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"1@kafka:{listeners['CONTROLLER']}"
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{listeners['HOST']}:{listeners['HOST']}"]
    assert settings["KAFKA_LOG_DIRS"] in mounts("kafka")
    assert port_of("kafka", SERVICES["worker"]["environment"]["SERVICETIME_BOOTSTRAP"]) == int(
        listeners["INTERNAL"]
    )


def test_the_worker_understands_its_command_line_and_environment(monkeypatch):
    worker = SERVICES["worker"]
    for name, value in worker["environment"].items():
        monkeypatch.setenv(name, value)
    given = parsed_worker(worker["command"]).params
    assert given["bootstrap"] == "kafka:29092"
    assert given["web_host"] == "0.0.0.0"
    kept_below = next(iter(mounts("worker")))
    for place in (given["data_dir"], given["table"], given["registry"]):
        assert Path(place).is_relative_to(kept_below)
    assert f"127.0.0.1:{given['web_port']}:{given['web_port']}" in worker["ports"]


def test_the_images_own_command_line_serves_what_its_health_check_asks():
    _, final = stages()
    assert arguments(final, "ENTRYPOINT") == ['["servicetime"]']
    (words,) = map(json.loads, arguments(final, "CMD"))
    port = parsed_worker(words).params["web_port"]
    (check,) = arguments(final, "HEALTHCHECK")
    assert f"http://127.0.0.1:{port}/healthz" in check
    assert arguments(final, "EXPOSE") == [str(port)]


def test_the_image_is_built_from_hashed_requirements_and_does_not_run_as_root():
    build, final = stages()
    assert "--require-hashes -r /src/requirements/worker.txt" in " ".join(arguments(build, "RUN"))
    pins = [line for line in joined(ROOT / "requirements/worker.txt") if line[0].isalpha()]
    assert len(pins) > 50
    assert all("--hash=sha256:" in pin for pin in pins)
    (user,) = arguments(final, "USER")
    assert f"{user}\n" in "".join(f"{word}\n" for word in shlex.split(" ".join(arguments(final, "RUN"))))
    assert user not in {"root", "0"}


def test_what_the_image_copies_is_let_through_to_the_engine():
    build, _ = stages()
    sources = {s.rstrip("/") for line in arguments(build, "COPY") for s in line.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources == allowed
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
    assert packages <= sources


def test_prometheus_scrapes_the_worker_and_reads_the_alerts():
    (path,) = [w.split("=")[1] for w in SERVICES["prometheus"]["command"] if w.startswith("--config.file=")]
    settings = yaml.safe_load(inside("prometheus", path).read_text())
    (job,) = settings["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    assert f"127.0.0.1:{port_of('worker', target)}:8000" in SERVICES["worker"]["ports"]
    (rules,) = settings["rule_files"]
    assert yaml.safe_load(inside("prometheus", str(Path(path).parent / rules)).read_text())["groups"]


def test_alerts_ask_for_metrics_that_a_worker_exports():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in series_in(rule["expr"])}
    assert asked
    assert asked <= exported_metrics()


def test_grafana_finds_prometheus_and_the_dashboard():
    provisioning = "/etc/grafana/provisioning"
    sources = yaml.safe_load(inside("grafana", f"{provisioning}/datasources/prometheus.yml").read_text())
    (source,) = sources["datasources"]
    assert port_of("prometheus", source["url"]) == 9090
    providers = yaml.safe_load(inside("grafana", f"{provisioning}/dashboards/servicetime.yml").read_text())
    (provider,) = providers["providers"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).parent == Path(provider["options"]["path"])
    assert json.loads(inside("grafana", home).read_text()) == DASHBOARD
    used = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    used |= {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert used == {source["uid"]}


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_that_a_worker_exports(panel):
    asked = {name for target in panel["targets"] for name in series_in(target["expr"])}
    assert asked
    assert asked <= exported_metrics()


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for grid in [panel["gridPos"]]
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
