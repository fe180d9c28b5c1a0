"""Whoever edits the dbt project learns here whether it still parses, builds and publishes."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from volt_pipeline import catalog

from . import fixture_world as world
from .conftest import DEMO, Built, fresh_warehouse

MARTS = (
    "account_daily",
    "accounts",
    "consent_events",
    "contacts",
    "conversations",
    "list_members",
    "lists_daily",
    "messages",
    "pushes",
    "responses",
    "sessions",
    "wave_replies",
    "waves",
)
EXPORTS = ("export_contacts", "export_lists")
_SHORT = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
}


# --- the project ------------------------------------------------------------------------------------------------


def test_an_empty_warehouse_builds_and_stays_empty(server_url: str, tmp_path: Path) -> None:
    with fresh_warehouse(server_url, "dbt_empty", tmp_path) as warehouse:
        built = warehouse.dbt.run("build")
        assert built.exit_code == 0, built.text
        assert set(built.statuses.values()) == {"success", "pass"}
        relations = [*(f"volt_marts.{mart}" for mart in MARTS), *(f"volt_exports.{export}" for export in EXPORTS)]
        assert {name: warehouse.value(f"select count(*) from {name}") for name in relations} == dict.fromkeys(
            relations, 0
        )


def test_a_warehouse_with_rows_builds_without_a_warning(warehouse: Built) -> None:
    assert warehouse.outcome.exit_code == 0, warehouse.outcome.text
    assert set(warehouse.outcome.statuses.values()) == {"success", "pass"}


def test_every_raw_table_is_a_source_with_the_asset_key_of_its_loader(warehouse: Built) -> None:
    sources = {
        source["name"]: source for source in warehouse.manifest["sources"].values() if source["source_name"] == "volt"
    }
    loaded = {stream.name for stream in catalog.STREAMS} | {history.name for history in catalog.HISTORIES}
    assert set(sources) == loaded
    for name, source in sources.items():
        assert source["schema"] == "volt"
        assert source["config"]["meta"]["dagster"]["asset_key"] == ["volt", name]
        assert source["description"]


def test_every_model_and_every_column_is_described(warehouse: Built) -> None:
    models = [node for node in warehouse.manifest["nodes"].values() if node["resource_type"] == "model"]
    undescribed = [model["name"] for model in models if not model["description"].startswith("One row per ")]
    for model in models:
        table = sa.Table(model["name"], sa.MetaData(), schema=model["schema"], autoload_with=warehouse.engine)
        described = {name for name, column in model["columns"].items() if column["description"]}
        undescribed += [f"{model['name']}.{name}" for name in set(table.columns.keys()) ^ described]
    assert undescribed == []


def test_every_column_names_the_type_that_it_has(warehouse: Built) -> None:
    """Dagster shows `data_type`; it knows the warehouse only when a run connects."""
    shown = {
        (node["schema"], node["name"], name): column["data_type"]
        for node in warehouse.manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed")
        for name, column in node["columns"].items()
    }
    held = {
        (schema, table, column): _SHORT.get(kind, kind)
        for schema, table, column, kind in warehouse.rows(
            "select c.relnamespace::regnamespace::text, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)"
            " from pg_attribute as a join pg_class as c on c.oid = a.attrelid"
            " where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'v')"
            " and c.relnamespace::regnamespace::text in ('volt_staging', 'volt_marts', 'volt_exports')"
        )
    }
    assert shown == held


def test_every_mart_is_known(warehouse: Built) -> None:
    nodes = warehouse.manifest["nodes"].values()
    assert {
        node["name"] for node in nodes if node["schema"] == "volt_marts" and node["resource_type"] == "model"
    } == set(MARTS)


def test_every_test_of_a_candidate_can_hold_the_export_back(warehouse: Built) -> None:
    """dbt makes a model wait for a test only if all that the test reads is upstream of the model."""
    nodes = warehouse.manifest["nodes"]
    parents = warehouse.manifest["parent_map"]

    def upstream(node: str) -> set[str]:
        return {node}.union(*(upstream(parent) for parent in parents[node]))

    for export in EXPORTS:
        candidate = f"model.volt_pipeline.{export}_candidate"
        tests = {name for name, node in nodes.items() if node["resource_type"] == "test" and candidate in parents[name]}
        assert tests
        for test in tests:
            assert nodes[test]["config"]["severity"].lower() == "error"
            assert set(parents[test]) <= upstream(f"model.volt_pipeline.{export}"), test


# --- the exports: these change the warehouse, so they stand last ------------------------------------------------------


def test_the_demo_publishes_its_crm(warehouse: Built) -> None:
    assert warehouse.value("select count(*) from volt_exports.export_contacts") == 40
    rules = warehouse.value(
        "select rules from volt_exports.export_lists where account_phone = :phone", phone=world.PHOENIX
    )
    assert rules == [{"field": "lifetime_spend", "operator": "gte", "value": "2500"}]


BAD_CONTACTS = f"""
    insert into volt_exports.export_contacts_candidate values
    ('{world.TULSA}', '(918) 555-7001', null, null, null),
    ('{world.TULSA}', '+19995550123', null, '{{"visits": 3}}', null),
    ('+19995550100', '+19995550124', null, null, null),
    ('9185550100', '+19995550125', null, null, null),
    ('{world.TULSA}', '{world.POOLED}', null, null, null),
    ('{world.TULSA}', '+19995550126', 'Twice', null, null),
    ('{world.TULSA}', '+19995550126', 'Twice', null, null),
    ('{world.TULSA}', '{world.JAMES}', null, null, false)
"""
BAD_LISTS = f"""
    insert into volt_exports.export_lists_candidate values
    ('{world.TULSA}', null, 'All', null, '[]'),
    ('{world.TULSA}', 'no source', null, null, '[]'),
    ('{world.TULSA}', 'rules', 'All', null, '{{}}'),
    ('{world.TULSA}', 'operator', 'All', null, '[{{"field": "n", "operator": "equals", "value": "5"}}]'),
    ('+19995550100', 'unknown account', 'All', null, '[]'),
    ('9185550100', 'not E.164', 'All', null, '[]'),
    ('{world.TULSA}', 'twice', 'All', null, '[]'),
    ('{world.TULSA}', 'twice', 'All', null, '[]')
"""


def test_each_rule_of_the_exports_catches_its_row(warehouse: Built) -> None:
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(BAD_CONTACTS)
        connection.exec_driver_sql(BAD_LISTS)
    outcome = warehouse.dbt.run(
        "test", "--select", "export_contacts_candidate", "export_lists_candidate", variables=DEMO
    )
    passed = {name for name, status in outcome.statuses.items() if status != "fail"}
    assert passed == {"export_contacts_is_near_last_published"}, "eight rows more than 40 are within 30 %"


def test_a_bad_candidate_leaves_the_published_export_in_place(warehouse: Built) -> None:
    """Without the demo's CRM the candidate is empty; the export that was published is not."""
    outcome = warehouse.dbt.run("build", "--select", "crm_contacts+", "crm_lists+")
    assert outcome.exit_code == 1
    assert outcome.statuses["export_contacts_is_near_last_published"] == "fail"
    assert outcome.statuses["export_contacts"] == "skipped"
    assert outcome.statuses["export_lists"] == "skipped"
    assert warehouse.value("select count(*) from volt_exports.export_contacts_candidate") == 0
    assert warehouse.value("select count(*) from volt_exports.export_contacts") == 40
    assert warehouse.value("select count(*) from volt_exports.export_lists") == 3
