"""The jobs, executed in process against a running sandbox and an embedded Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from volt_pipeline import catalog
from volt_pipeline.defs.checks import CHECKS
from volt_pipeline.defs.location import build
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.world import World
from volt_pipeline.warehouse.embedded import EmbeddedPostgres

# dagster_dbt's own; ours would still be errors.
pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning")
First = tuple[dg.ExecuteInProcessResult, dict[str, int]]
VERDICT = dg.AssetKey(["volt_ops", "verdict"])


@pytest.fixture(scope="module")
def volt(environment: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A Volt whose world stands still but for what a test does to it; the environment points to it."""
    with running(World.create(seed=5, accounts=2, contacts=30, now=datetime.now(UTC))) as sandbox:
        sandbox.world.settle(sandbox.world.clock())
        environment.setenv("VOLT_API_URL", sandbox.url)
        environment.setenv("VOLT_API_TOKEN", sandbox.token)
        environment.setenv("VOLT_ACCOUNTS", ",".join(account.primary_phone for account in sandbox.world.accounts))
        yield sandbox
        for name in ("VOLT_API_URL", "VOLT_API_TOKEN", "VOLT_ACCOUNTS"):
            environment.delenv(name)


@pytest.fixture(scope="module")
def warehouse(home: Path) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """The warehouse that the jobs use, kept up for all of them."""
    with EmbeddedPostgres(home).running() as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def location(volt: Sandbox) -> dg.Definitions:
    return build()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def execute(location: dg.Definitions, job: str, **how: Any) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        definition = location.resolve_job_def(job)
        return definition.execute_in_process(instance=instance, raise_on_error=False, **how)


@pytest.fixture(scope="module")
def first(location: dg.Definitions, warehouse: psycopg.Connection[tuple[Any, ...]], volt: Sandbox) -> First:
    """The first sync, with what the world held then."""
    # A text between two of our own accounts stands in the conversations of both.
    spoken = sum(map(len, volt.world.ledger.conversations.values()))
    expected = {**volt.world.expected_counts(), "messages in conversations": spoken}
    return execute(location, "sync_job"), expected


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}


def figures(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
    (found,) = (
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["volt", table])
    )
    return {name: value.value for name, value in found.items()}


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """What each failed step said."""
    found = {}
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            failure = event.step_failure_data
            told = failure.user_failure_data
            found[str(event.step_key)] = str(told.description if told and told.description else failure.error)
    return found


def one(connection: psycopg.Connection[tuple[Any, ...]], statement: str, *parameters: Any) -> Any:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def test_a_sync_makes_everything_and_ends_green(first: First, location: dg.Definitions) -> None:
    result, _ = first
    assert result.success, failures(result)
    job = location.resolve_job_def("sync_job")
    assert made(result) == {key.to_user_string() for key in job.asset_layer.selected_asset_keys}


def test_its_figures_are_those_of_the_world(first: First, warehouse: psycopg.Connection[tuple[Any, ...]]) -> None:
    result, expected = first
    for table in ("organizations", "accounts", "contacts", "messages", "waves", "lists", "conversations", "webhooks"):
        found = figures(result, table)
        assert found["rows written"] == expected[table], table
        assert found["rows read"] == found["rows written"] + found["rows unchanged"], table
        assert found["rows rejected"] == 0, table
        assert one(warehouse, f"SELECT count(*) FROM volt.{table}") == expected[table]
    messages = figures(result, "messages")
    assert messages["rows held"] == messages["Volt's total"] == expected["messages in conversations"]
    assert messages["coverage"] == 1.0
    assert messages["requests"] > 0
    assert messages["seconds"] > 0
    assert messages["accounts"] == "+19185550100, +16025550100"


def test_every_check_ran_and_passed(first: First) -> None:
    result, _ = first
    found = {(each.asset_key.to_user_string(), each.check_name): each for each in result.get_asset_check_evaluations()}
    assert {(check.key.asset_key.to_user_string(), check.name) for check in CHECKS} <= found.keys()
    assert any(asset.startswith("volt_marts/") for asset, _ in found)
    assert not [key for key, each in found.items() if not each.passed]


def test_the_marts_hold_what_was_read(first: First, warehouse: psycopg.Connection[tuple[Any, ...]]) -> None:
    assert one(warehouse, "SELECT count(*) FROM volt_marts.messages") == first[1]["messages in conversations"]
    assert one(warehouse, "SELECT count(*) FROM volt_exports.export_contacts") == 0  # not the demo's, for a real Volt


def test_the_build_leaves_nothing_in_the_source_tree(first: First, home: Path) -> None:
    run = first[0].run_id[:7]
    project = Path(__file__).parents[2] / "dbt_project"
    assert not list(project.glob(f"target/*{run}*"))
    assert not list(home.glob(f"dbt/*{run}*"))
    assert (home / "dbt" / "partial_parse.msgpack").exists()


def test_one_table_alone(first: First, location: dg.Definitions, volt: Sandbox) -> None:
    volt.requests.clear()
    everything = {"ops": {"volt_raw": {"config": {"full": True}}}}
    chosen = [dg.AssetKey(["volt", "lists"])]
    result = execute(location, "sync_job", asset_selection=chosen, run_config=everything)
    assert result.success, failures(result)
    assert made(result) == {"volt/lists"}
    assert {field for asked in volt.requests for field in asked.root_fields} == {"inbox", "list"}
    assert figures(result, "lists")["rows read"] == first[1]["lists"]
    ran = {(each.asset_key.to_user_string(), each.check_name) for each in result.get_asset_check_evaluations()}
    assert ran <= {("volt/lists", check.name) for check in CHECKS}


def test_a_message_that_cannot_be_stored_turns_the_run_red_and_spoils_nothing(
    first: First,
    location: dg.Definitions,
    volt: Sandbox,
    warehouse: psycopg.Connection[tuple[Any, ...]],
) -> None:
    held = one(warehouse, "SELECT count(*) FROM volt_marts.messages")
    moved = volt.world.move(0.1, volt.world.clock())
    broken, key = moved[0], moved[0].id
    broken.id = ""
    try:
        result = execute(location, "sync_job")
    finally:
        broken.id = key
    assert not result.success
    said = failures(result)
    assert list(said) == ["volt_ops__verdict"]
    assert "1 of messages: id is missing" in said["volt_ops__verdict"]
    assert broken.body not in said["volt_ops__verdict"]
    assert one(warehouse, "SELECT count(*) FROM volt_marts.messages") == held + len(moved) - 1
    assert figures(result, "messages")["rows rejected"] == 1
    assert "volt_marts/messages" in made(result)
    assert VERDICT.to_user_string() not in made(result)
    red = [each.check_name for each in result.get_asset_check_evaluations() if not each.passed]
    assert red == ["no_open_rejects"]


def test_a_mart_that_cannot_be_built_is_named_and_nobody_in_it(
    first: First,
    location: dg.Definitions,
    warehouse: psycopg.Connection[tuple[Any, ...]],
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret = 'Ann "the cat" Smith'
    contact, name = warehouse.execute("SELECT id, name FROM volt.contacts ORDER BY id LIMIT 1").fetchone() or ("", "")
    warehouse.execute("UPDATE volt.contacts SET name = %s WHERE id = %s", [secret, contact])
    warehouse.execute(
        f"ALTER TABLE volt_marts.contacts ADD CONSTRAINT too_few CHECK (contact_id <> '{contact}') NOT VALID".encode()
    )
    try:
        result = execute(location, "sync_job", asset_selection=[dg.AssetKey(["volt_marts", "contacts"])])
    finally:
        warehouse.execute("ALTER TABLE volt_marts.contacts DROP CONSTRAINT too_few")
        warehouse.execute("UPDATE volt.contacts SET name = %s WHERE id = %s", [name, contact])
    (said,) = failures(result).values()
    assert 'model contacts (new row for relation "contacts" violates check constraint "too_few")' in said
    told = capfd.readouterr()
    assert "violates check constraint" in told.out
    everything = [said, told.out, told.err, *(path.read_text(errors="replace") for path in files(home / "dbt"))]
    assert not [text for text in everything if "Smith" in text or "the cat" in text]
    assert {path.suffix for path in files(home / "dbt") if result.run_id[:7] in str(path)} == {".sql"}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_schedule_waits_for_the_run_before(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    def tick(schedule: str) -> tuple[int, str | None]:
        with dg.build_schedule_context(instance=instance, resources={"pipeline": Pipeline()}) as context:
            data = location.resolve_schedule_def(schedule).evaluate_tick(context)
            return len(data.run_requests or ()), data.skip_message

    def begin(job: str) -> dg.DagsterRun:
        return instance.add_run(dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.STARTED))

    assert tick("sync_schedule") == (1, None)
    refresh = begin("refresh_job")
    assert tick("sync_schedule") == (0, "refresh_job is still at work; the next tick catches up.")
    instance.report_run_failed(refresh)
    assert tick("sync_schedule") == (1, None)
    sync = begin("sync_job")
    assert tick("sync_schedule") == (0, "sync_job is still at work; the next tick catches up.")
    assert tick("push_schedule") == (1, None)
    instance.report_run_canceled(sync)
    assert tick("sync_schedule") == (1, None)
    begin("push_job")
    assert tick("push_schedule") == (0, "push_job is still at work; the next tick catches up.")


def test_a_push_writes_what_differs_and_a_second_one_nothing(
    first: First,
    location: dg.Definitions,
    volt: Sandbox,
    warehouse: psycopg.Connection[tuple[Any, ...]],
) -> None:
    store = volt.world.accounts[0].primary_phone
    warehouse.execute(
        "INSERT INTO volt_exports.export_contacts (account_phone, phone_number, name, custom_fields, blocked) "
        "VALUES (%s, '+19185559998', 'Wile E. Coyote', '{\"tier\": \"gold\"}', NULL)",
        [store],
    )
    warehouse.execute(
        "INSERT INTO volt_exports.export_lists (account_phone, list_name, source_list_name, name_search_term, rules) "
        "VALUES (%s, 'Coyotes', 'All', 'Coyote', '[]')",
        [store],
    )
    result = execute(location, "push_job")
    assert result.success, failures(result)
    contact = next(each for each in volt.world.contacts if each.phone_number == "+19185559998")
    assert (contact.name, contact.blocked) == ("Wile E. Coyote", False)
    assert {field.key: field.value for field in contact.custom_fields} == {"tier": "gold"}
    assert "Coyotes" in {each.name for each in volt.world.lists}
    outcomes = (
        "SELECT array_agg(export || ' ' || action || ' ' || outcome ORDER BY 1) FROM volt_ops.pushes WHERE run_id = %s"
    )
    assert one(warehouse, outcomes, result.run_id) == ["contacts create sent", "lists create sent"]

    volt.requests.clear()
    again = execute(location, "push_job")
    assert again.success
    asked = {field for request in volt.requests for field in request.root_fields}
    assert asked
    assert not {field for field in asked if field.startswith("create")}
    assert one(warehouse, outcomes, again.run_id) == ["contacts unchanged unchanged", "lists unchanged unchanged"]


def test_every_raw_table_has_figures(first: First) -> None:
    for table in catalog.QUERIES:
        assert {"rows read", "rows written", "rows unchanged", "rows rejected", "requests", "seconds"} <= figures(
            first[0], table
        ).keys()
