"""What the code location defines: keys, columns, lineage, checks, jobs, schedules. Others build on these names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from volt_pipeline import catalog
from volt_pipeline.defs.assets import raw_key
from volt_pipeline.defs.checks import volt_raw_checks
from volt_pipeline.defs.fan_out import marts_job
from volt_pipeline.defs.location import build
from volt_pipeline.defs.picture import REPORT_KEY
from volt_pipeline.defs.schedules import sync_job
from volt_pipeline.door.jobs import DBT_STEP
from volt_pipeline.warehouse.postgres import conninfo

ROOT = Path(__file__).parents[2]

ASSETS = """
volt: account_numbers accounts contact_changes contact_lists contacts conversations inbox_items list_sizes lists
volt: message_statuses messages organizations report wave_lists wave_totals waves webhooks
volt_activation: contacts lists outbox
volt_api: conversation inbox list wave webhooks
volt_exports: crm_contacts crm_lists export_contacts export_contacts_candidate export_lists export_lists_candidate
volt_marts: account_daily accounts consent_events contacts conversations list_members lists_daily messages pushes
volt_marts: responses sessions wave_replies waves
volt_ops: pushes verdict webhook_events
volt_staging: account_holidays account_hours account_zones consent_keywords demo_crm_contacts demo_crm_lists
volt_staging: failure_reasons int_contact_by_phone int_conversation_totals int_message_directions int_messages
volt_staging: int_own_numbers int_webhook_hints message_rates stg_volt_ops__webhook_events
volt_staging: stg_volt__account_numbers stg_volt__accounts stg_volt__contact_changes stg_volt__contact_lists
volt_staging: stg_volt__contacts stg_volt__conversations stg_volt__inbox_items stg_volt__list_sizes stg_volt__lists
volt_staging: stg_volt__message_statuses stg_volt__messages stg_volt__organizations stg_volt__wave_lists
volt_staging: stg_volt__wave_totals stg_volt__waves stg_volt__webhooks
"""
# The pipeline's own tables that dbt reads and no sync makes.
OPS_SOURCES = {dg.AssetKey(["volt_ops", table]) for table in ("pushes", "webhook_events")}
RAW_CHECKS = """
account_numbers: keys_whole no_open_rejects
accounts: keys_whole no_open_rejects
contact_lists: contact_id_known keys_whole list_id_known no_open_rejects
contacts: account_id_known keys_whole no_open_rejects
conversations: keys_whole no_open_rejects
inbox_items: contact_id_known coverage keys_whole no_open_rejects no_sudden_zero
lists: coverage keys_whole no_open_rejects no_sudden_zero
messages: contact_id_known coverage keys_whole no_open_rejects no_sudden_zero wave_id_known
organizations: keys_whole no_open_rejects
wave_lists: keys_whole list_id_known no_open_rejects wave_id_known
waves: coverage keys_whole no_open_rejects
webhooks: keys_whole no_open_rejects
"""


@pytest.fixture(scope="module")
def location() -> dg.Definitions:
    return build()


@pytest.fixture(scope="module")
def parents(location: dg.Definitions) -> dict[dg.AssetKey, set[dg.AssetKey]]:
    """Each asset's direct parents."""
    graph = location.resolve_asset_graph()
    return {key: set(graph.get(key).parent_keys) for key in graph.get_all_asset_keys()}


def _ancestors(parents: dict[dg.AssetKey, set[dg.AssetKey]], key: dg.AssetKey) -> set[dg.AssetKey]:
    found: set[dg.AssetKey] = set()
    fresh = {key}
    while fresh:
        fresh = set().union(*(parents[each] for each in fresh)) - found
        found |= fresh
    return found


def _listed(pairs: Iterable[tuple[str, str]]) -> str:
    """One line a pair, sorted: what a person can read where two snapshots differ."""
    return "\n".join(sorted(f"{group}: {name}" for group, name in pairs))


def _spread(snapshot: str) -> str:
    lines = (line.split(": ") for line in snapshot.strip().splitlines())
    return _listed((group, name) for group, names in lines for name in names.split())


def test_it_is_loadable(location: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(location)


def test_the_asset_keys(parents: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
    assert _listed((key.path[0], "/".join(key.path[1:])) for key in parents) == _spread(ASSETS)


def test_the_checks_of_the_raw_tables() -> None:
    keys = volt_raw_checks.check_keys
    assert _listed((key.asset_key.path[-1], key.name) for key in keys) == _spread(RAW_CHECKS)


def test_the_jobs_and_what_they_make(location: dg.Definitions, parents: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
    made = {key for key in parents if key.path[0] not in ("volt_api", "volt_activation")} - OPS_SOURCES
    for name in ("sync_job", "refresh_job"):
        assert location.resolve_job_def(name).asset_layer.selected_asset_keys == made
    jobs = {job.name for job in location.resolve_all_job_defs()} - {"__ASSET_JOB", "sync_job", "refresh_job"}
    assert {name: set(location.resolve_job_def(name).graph.node_dict) for name in jobs} == {
        "marts_job": {"dbt_models", "volt__report", "volt_raw_checks"},
        "push_job": {"plan", "push_contacts", "push_lists", "verify"},
        "send_job": {"send_outbox"},
        "drift_job": {"schema_drift"},
        "webhook_job": {"reread"},
        "register_webhook_job": {"register_webhook"},
        "delete_webhook_job": {"delete_webhook"},
    }


def test_a_refresh_reads_everything_and_a_sync_does_not(location: dg.Definitions) -> None:
    assert location.resolve_job_def("refresh_job").run_config == {"ops": {"volt_raw": {"config": {"full": True}}}}
    assert not location.resolve_job_def("sync_job").run_config


def test_the_schedules(location: dg.Definitions) -> None:
    schedules = {
        schedule.name: (schedule.cron_schedule, schedule.job_name, schedule.default_status)
        for schedule in location.get_repository_def().schedule_defs
    }
    assert schedules == {
        "sync_schedule": ("*/15 * * * *", "sync_job", dg.DefaultScheduleStatus.RUNNING),
        "push_schedule": ("5,35 * * * *", "push_job", dg.DefaultScheduleStatus.STOPPED),
        "send_schedule": ("*/5 * * * *", "send_job", dg.DefaultScheduleStatus.STOPPED),
        "drift_schedule": ("20 6 * * *", "drift_job", dg.DefaultScheduleStatus.RUNNING),
    }


def test_the_sensors(location: dg.Definitions) -> None:
    sensors = {
        sensor.name: (sensor.minimum_interval_seconds, sensor.job_name, sensor.default_status)
        for sensor in location.get_repository_def().sensor_defs
    }
    assert sensors == {
        "webhook_sensor": (5, "webhook_job", dg.DefaultSensorStatus.RUNNING),
        "marts_sensor": (30, "marts_job", dg.DefaultSensorStatus.RUNNING),
    }


def test_the_marts_job_makes_what_a_sync_makes_of_its_raw_tables(location: dg.Definitions) -> None:
    """And it checks them, as a sync does."""
    whole, marts = (location.resolve_job_def(name).asset_layer for name in ("sync_job", "marts_job"))
    raw = {raw_key(table) for table in catalog.QUERIES}
    assert whole.selected_asset_keys - marts.selected_asset_keys == raw | {dg.AssetKey(["volt_ops", "verdict"])}
    checks = marts_job.selection.resolve_checks(location.resolve_asset_graph())
    assert checks == sync_job.selection.resolve_checks(location.resolve_asset_graph())
    assert volt_raw_checks.check_keys <= checks


def test_the_resources(location: dg.Definitions) -> None:
    assert set(location.resources or ()) == {"pipeline", "dbt"}


def test_every_asset_is_in_a_group_and_says_what_it_is(location: dg.Definitions) -> None:
    for spec in location.resolve_all_asset_specs():
        assert spec.group_name not in (None, "default"), spec.key
        assert spec.description, spec.key


def test_the_columns_shown_are_those_of_the_database(location: dg.Definitions, warehouse_url: str) -> None:
    with psycopg.connect(conninfo(warehouse_url)) as connection:
        rows = connection.execute(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
            FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'volt'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
            """
        ).fetchall()
    held = {(table, column, kind, comment) for table, column, kind, comment in rows}
    shown = set()
    for spec in location.resolve_all_asset_specs():
        if spec.key.path[0] == "volt" and spec.key != REPORT_KEY:
            table = spec.key.path[-1]
            assert spec.metadata["dagster/table_name"] == f"volt.{table}"
            for column in spec.metadata["dagster/column_schema"].columns:
                kind = "timestamp with time zone" if column.type == "timestamptz" else column.type
                shown.add((table, column.name, kind, column.description))
    assert shown == held


def test_every_raw_table_comes_from_a_query_of_volts(parents: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
    for table, query in catalog.QUERIES.items():
        assert parents[raw_key(table)] == {dg.AssetKey(["volt_api", query])}


def test_staging_reads_the_raw_tables_that_dagster_makes(parents: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
    for table in catalog.QUERIES:
        assert parents[dg.AssetKey(["volt_staging", f"stg_volt__{table}"])] == {raw_key(table)}


def test_one_lineage_from_volt_to_the_marts(parents: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
    line = _ancestors(parents, dg.AssetKey(["volt_marts", "messages"]))
    assert {
        dg.AssetKey(["volt_staging", "stg_volt__messages"]),
        raw_key("messages"),
        dg.AssetKey(["volt_api", "conversation"]),
    } <= line


def test_the_verdict_comes_after_everything(parents: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
    verdict = dg.AssetKey(["volt_ops", "verdict"])
    outbox = dg.AssetKey(["volt_activation", "outbox"])
    assert _ancestors(parents, verdict) == parents.keys() - {verdict, REPORT_KEY, outbox}
    assert parents[outbox] == set()
    for export in ("contacts", "lists"):
        assert parents[dg.AssetKey(["volt_activation", export])] == {dg.AssetKey(["volt_exports", f"export_{export}"])}


def test_without_dbt_the_raw_part_remains() -> None:
    raw = build(with_dbt=False)
    keys = {key for key in raw.resolve_asset_graph().get_all_asset_keys() if key.path[0] != "volt_api"}
    assert keys == {raw_key(table) for table in catalog.QUERIES} | {dg.AssetKey(["volt_ops", "verdict"])}
    assert set(raw.resources or ()) == {"pipeline"}


def test_dagster_loads_the_workspace_with_an_empty_environment(home: Path, tmp_path: Path) -> None:
    """As a server does: by workspace.yaml, in a process of its own, without a single setting."""
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")]
    done = subprocess.run(
        command, env={"VOLT_HOME": str(home)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location volt_pipeline." in done.stdout + done.stderr


def test_the_command_line_knows_which_step_is_dbt(location: dg.Definitions) -> None:
    """It tells how long that one took."""
    assert DBT_STEP in {node.name for node in location.resolve_job_def("sync_job").nodes}
