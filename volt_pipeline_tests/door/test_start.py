"""What a command waits for: what it imports, how its servers start, and where it says that the time went."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from volt_pipeline.door.jobs import JobEnd, step_seconds
from volt_pipeline.door.showing import show_sync
from volt_pipeline.settings import Settings
from volt_pipeline.warehouse.embedded import EmbeddedPostgresError
from volt_pipeline.workplace import local_servers, warehouse

HEAVY = {"dagster", "dagster_dbt", "dbt", "pandas", "numpy", "alembic", "uvicorn", "starlette"}
IMPORTED = {
    "volt_pipeline.cli": {"psycopg", "sqlalchemy", "aiohttp", "rich.table"},  # --help
    "volt_pipeline.door.showing": {"aiohttp", "graphql"},  # status, rejects
    "volt_pipeline.door.drawing": {"aiohttp", "graphql"},
    "volt_pipeline.door.jobs": {"aiohttp", "graphql"},
    "volt_pipeline.door.forget": {"graphql"},
    "volt_pipeline.door.doctor": set(),
    "volt_pipeline.door.send_preview": set(),
    "volt_pipeline.door.webhook_commands": {"psycopg", "sqlalchemy"},
}


def imported(module: str) -> set[str]:
    """What a fresh Python holds after this import."""
    program = f"import sys, {module}; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize("module", IMPORTED)
def test_a_command_imports_nothing_heavy_that_it_does_not_need(module: str) -> None:
    assert not (HEAVY | IMPORTED[module]) & imported(module)


def test_a_raw_sync_imports_neither_dbt_nor_what_plans_pushes() -> None:
    found = imported("volt_pipeline.defs.location")
    assert "dagster" in found
    assert not {"dagster_dbt", "dbt", "pandas", "uvicorn", "starlette"} & found


def answers(home: Path) -> bool:
    """Whether the embedded Postgres of this home runs: the last one to use it takes its record away."""
    return (home / "postgres" / "service.json").exists()


def test_servers_start_while_something_else_is_done_and_stay_up_until_the_end(tmp_path: Path) -> None:
    settings, done = Settings(sandbox=False, home=tmp_path), []
    with local_servers(settings, meanwhile=lambda: done.append(threading.current_thread())):
        assert done == [threading.main_thread()]  # where imports are safe
        assert answers(tmp_path)
        for _ in range(2):
            with warehouse(settings) as url, psycopg.connect(url) as connection:
                connection.execute("SELECT")
            assert answers(tmp_path)  # one that was begun by the command ends with it
    assert not answers(tmp_path)


def test_a_server_is_let_go_when_what_is_done_meanwhile_fails(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), local_servers(Settings(sandbox=False, home=tmp_path), meanwhile=fail):
        pytest.fail("it went on")
    assert not answers(tmp_path)


def test_what_keeps_a_server_from_starting_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("not a directory")
    with (
        pytest.raises(EmbeddedPostgresError, match="VOLT_HOME"),
        local_servers(Settings(sandbox=False, home=home), meanwhile=lambda: None),
    ):
        pytest.fail("it went on")


def test_no_server_is_started_where_all_is_elsewhere(tmp_path: Path) -> None:
    settings = Settings(sandbox=False, home=tmp_path, warehouse_url="postgresql://me@127.0.0.1:9/w")
    with local_servers(settings, meanwhile=lambda: None):
        assert not list(tmp_path.iterdir())


@dg.op
def fine() -> None:
    """Ends well."""


@dg.op
def broken() -> None:
    raise dg.Failure("It broke.")


def test_a_step_took_some_time_however_it_ended() -> None:
    @dg.job
    def both() -> None:
        fine()
        broken()

    with dg.DagsterInstance.ephemeral() as instance:
        run_id = both.execute_in_process(instance=instance, raise_on_error=False).run_id
        for step in ("fine", "broken"):
            took = step_seconds(instance, run_id, step)
            assert took is not None
            assert took > 0
        assert step_seconds(instance, run_id, "dbt_models") is None  # as of a raw sync


@pytest.mark.parametrize("marts", [None, 1.9], ids=["raw", "with marts"])
def test_a_sync_tells_where_the_time_went(
    warehouse_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], marts: float | None
) -> None:
    report = {"requests": {"inbox": 3}, "seconds": 0.6, "coverage": {}, "tables": {}}
    with psycopg.connect(warehouse_url) as connection:
        connection.execute(
            "INSERT INTO volt_ops.runs (run_id, kind, outcome, report) VALUES ('one', 'sync', 'succeeded', %s)",
            [json.dumps(report)],
        )
    settings = Settings(sandbox=False, home=tmp_path, warehouse_url=warehouse_url)
    assert show_sync(settings, JobEnd("one", True, dbt_seconds=marts), since=time.monotonic() - 4)
    (line,) = re.findall(r"^Took .*$", capsys.readouterr().out, re.MULTILINE)
    told = re.fullmatch(r"Took ([\d.]+) s: Volt 0\.6 s,( marts 1\.9 s,)? start and bookkeeping ([\d.]+) s\.", line)
    assert told, line
    assert bool(told[2]) is (marts is not None)
    assert float(told[1]) >= 4
    assert float(told[1]) - float(told[3]) == pytest.approx(0.6 + (marts or 0), abs=0.11)  # as rounded


def test_a_sync_that_did_not_come_to_volt_tells_the_whole(
    warehouse_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(sandbox=False, home=tmp_path, warehouse_url=warehouse_url)
    assert not show_sync(settings, JobEnd("none", False, ["Volt is away."]), since=time.monotonic())
    told = capsys.readouterr()
    assert re.search(r"^Took [\d.]+ s: start and bookkeeping [\d.]+ s\.$", told.out, re.MULTILINE)
    assert "Volt is away." in told.err
