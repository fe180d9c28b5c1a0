"""Dagster's storage, kept open: the same files, readable by Dagster's own classes, and the UI still sees a run live."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from volt_pipeline.defs.history import Events

ROOT = Path(__file__).parents[2]
TABLES = ("event_logs", "asset_keys", "asset_check_executions", "asset_event_tags")
INDEX = "index"


@dg.asset(check_specs=[dg.AssetCheckSpec(name, asset="texts") for name in ("whole", "fresh")])
def texts() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    yield dg.MaterializeResult(metadata={"rows": 3}, tags={"kind": "raw"})
    yield dg.AssetCheckResult(check_name="whole", passed=True)
    yield dg.AssetCheckResult(check_name="fresh", passed=False, severity=dg.AssetCheckSeverity.WARN)


@dg.asset(deps=[texts])
def broken() -> None:
    raise dg.Failure("It broke.")


def run(instance: dg.DagsterInstance) -> str:
    """A run with what a sync has: a materialization, checks that pass and fail, a step that breaks."""
    return dg.materialize([texts, broken], instance=instance, raise_on_error=False).run_id


@pytest.fixture
def settle(environment: pytest.MonkeyPatch) -> Iterator[Callable[[Path, bool], dg.DagsterInstance]]:
    """Makes the Dagster instance of a directory, with this project's dagster.yaml or without any."""
    opened: list[dg.DagsterInstance] = []

    def make(directory: Path, ours: bool) -> dg.DagsterInstance:
        directory.mkdir(exist_ok=True)
        file = directory / "dagster.yaml"
        file.unlink(missing_ok=True)
        if ours:
            shutil.copyfile(ROOT / "dagster.yaml", file)
        else:
            file.write_text("telemetry: {enabled: false}\n")
        environment.setenv("DAGSTER_HOME", str(directory))
        opened.append(dg.DagsterInstance.get())
        return opened[-1]

    yield make
    for instance in opened:
        instance.dispose()
    environment.delenv("DAGSTER_HOME", raising=False)


def told(instance: dg.DagsterInstance, run_id: str) -> list[Any]:
    """What the UI shows of a run and of its asset, but for times and ids."""
    record = instance.get_latest_materialization_event(dg.AssetKey("texts"))
    assert record is not None
    assert record.asset_materialization is not None
    checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(dg.AssetKey("texts"), name) for name in ("whole", "fresh")]
    )
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return [
        run.status,
        [(event.step_key, event.dagster_event_type) for event in instance.all_logs(run_id)],
        record.run_id == run_id,
        record.asset_materialization.metadata,
        {key.name: each.status for key, each in checks.items()},
    ]


@pytest.mark.parametrize("ours", [True, False], ids=["Dagster reads ours", "we read Dagster's"])
def test_either_reads_what_the_other_wrote(
    settle: Callable[[Path, bool], dg.DagsterInstance], tmp_path: Path, ours: bool
) -> None:
    first = settle(tmp_path / "dagster", ours)
    assert isinstance(first.event_log_storage, Events) is ours
    run_id = run(first)
    expected = told(first, run_id)
    first.dispose()
    second = settle(tmp_path / "dagster", not ours)
    assert told(second, run_id) == expected
    again = run(second)  # and goes on where the other stopped
    assert told(second, again)[2:] == expected[2:]
    assert second.get_runs_count() == 2


def rows(directory: Path, shard: str) -> dict[str, list[dict[str, Any]]]:
    """All that a file holds, but for the database's own clock."""
    with closing(sqlite3.connect(directory / f"{shard}.db")) as connection:
        connection.row_factory = sqlite3.Row
        found = {table: connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in TABLES}
    return {
        table: [{name: row[name] for name in row.keys() if name != "create_timestamp"} for row in listed]  # noqa: SIM118
        for table, listed in found.items()
    }


@pytest.fixture(scope="module")
def events() -> list[EventLogEntry]:
    with dg.DagsterInstance.ephemeral() as instance:
        return list(instance.all_logs(run(instance)))


def test_the_same_events_make_the_same_rows(events: list[EventLogEntry], tmp_path: Path) -> None:
    stores = [SqliteEventLogStorage(str(tmp_path / "theirs")), Events(str(tmp_path / "ours"))]
    with dg.DagsterInstance.ephemeral() as instance:
        for store in stores:
            store.register_instance(instance)
            for event in events:
                store.store_event(event)
            store.dispose()
    for shard in (INDEX, events[0].run_id):
        theirs, ours = (rows(tmp_path / name, shard) for name in ("theirs", "ours"))
        assert theirs["event_logs"]
        assert ours == theirs


def test_the_ui_is_told_of_each_event(events: list[EventLogEntry], tmp_path: Path) -> None:
    """The webserver watches the run's file from another process, while this one keeps it open."""
    run_id, seen, all_seen = events[0].run_id, [], threading.Event()

    def see(event: EventLogEntry, _cursor: str) -> None:
        seen.append(event.dagster_event_type)
        if len(seen) == len(events):
            all_seen.set()

    writer, reader = Events(str(tmp_path)), SqliteEventLogStorage(str(tmp_path))
    writer.store_event(events[0])
    reader.watch(run_id, None, see)
    for event in events[1:]:
        writer.store_event(event)
    assert all_seen.wait(30)
    reader.dispose()
    writer.dispose()
    assert seen == [event.dagster_event_type for event in events]


def open_files(directory: Path) -> set[str]:
    links = (Path("/dev/fd") / name for name in os.listdir("/dev/fd"))
    found = {os.path.realpath(link) for link in links}
    return {Path(each).name for each in found if each.startswith(os.path.realpath(directory))}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells the names of open files")
def test_few_files_are_open_at_once_and_none_in_the_end(events: list[EventLogEntry], tmp_path: Path) -> None:
    store = Events(str(tmp_path))
    runs = [f"run-{number}" for number in range(20)]
    for run_id in [*runs, *runs[:3]]:  # the first ones once more, after they were closed
        store.store_event(events[0]._replace(run_id=run_id))
        assert f"{run_id}.db" in open_files(tmp_path)
        assert len([name for name in open_files(tmp_path) if name.endswith(".db")]) <= 8
    assert {run_id: len(store.get_logs_for_run(run_id)) for run_id in runs[:4]} == dict(
        zip(runs[:4], (2, 2, 2, 1), strict=True)
    )
    store.dispose()
    assert not open_files(tmp_path)
    assert not list(tmp_path.glob("*-wal"))  # all is in the files themselves


def test_a_log_that_was_wiped_begins_anew(events: list[EventLogEntry], tmp_path: Path) -> None:
    store = Events(str(tmp_path))
    store.store_event(events[0])
    store.wipe()
    assert not store.get_logs_for_run(events[0].run_id)
    store.store_event(events[1])
    assert [event.message for event in store.get_logs_for_run(events[0].run_id)] == [events[1].message]
    store.dispose()


def test_two_writers_at_once(events: list[EventLogEntry], tmp_path: Path) -> None:
    """The UI and a command write to one index; neither may fail, and nothing may be lost."""
    stores = [Events(str(tmp_path)) for _ in range(2)]

    def write(store: Events, run_id: str) -> None:
        for event in events:
            if event.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
                for _ in range(50):
                    store.store_event(event._replace(run_id=run_id))

    threads = [threading.Thread(target=write, args=(store, f"run-{at}")) for at, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(store.get_logs_for_run(f"run-{at}")) for at, store in enumerate(stores)] == [50, 50]
    with stores[0].index_connection() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar() == 100
    for store in stores:
        store.dispose()
