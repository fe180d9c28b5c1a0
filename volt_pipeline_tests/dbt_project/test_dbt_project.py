"""Whoever edits the dbt project learns here whether it still parses, builds and answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from volt_pipeline import catalog
from volt_pipeline.warehouse.tables import METADATA

from . import fixture_world as world
from .runner import Dbt, Outcome

MARTS = ("accounts", "contacts", "conversations", "messages", "waves")
EXPORTS = ("export_contacts", "export_lists")
DEMO = {"demo_crm": True}


@dataclass(frozen=True)
class Warehouse:
    """One database for the whole module: each dbt command takes seconds."""

    engine: sa.Engine
    dbt: Dbt
    built_empty: Outcome
    rows_when_empty: dict[str, int]
    built: Outcome
    manifest: dict[str, Any]

    def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement), parameters)]

    def value(self, statement: str, **parameters: Any) -> Any:
        [[value]] = self.rows(statement, **parameters)
        return value

    def row(self, relation: str, **where: Any) -> dict[str, Any]:
        """The one row of a mart that has these values."""
        condition = " and ".join(f"{column} = :{column}" for column in where)
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(f"select * from {relation} where {condition}"), where)
            return dict(found.mappings().one())


@pytest.fixture(scope="module")
def database(server_url: str) -> Iterator[sa.URL]:
    """A fresh database that lasts for the module."""
    name = sql.Identifier("dbt_project")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        yield sa.make_url(server_url).set(drivername="postgresql+psycopg", database="dbt_project")
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(scope="module")
def warehouse(database: sa.URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("volt"))
        METADATA.create_all(connection)
    dbt = Dbt(database, tmp_path_factory.mktemp("dbt"))

    built_empty = dbt.run("build")
    rows_when_empty = {}
    with engine.connect() as connection:
        for relation in (*(f"volt_marts.{mart}" for mart in MARTS), *(f"volt_exports.{name}" for name in EXPORTS)):
            if connection.scalar(sa.text("select to_regclass(:name)"), {"name": relation}) is not None:
                rows_when_empty[relation] = connection.scalar(sa.text(f"select count(*) from {relation}"))

    world.load(engine)
    # The unit tests need no rows: they have run above.
    built = dbt.run("build", "--exclude-resource-type", "unit_test", variables=DEMO)
    yield Warehouse(engine, dbt, built_empty, rows_when_empty, built, dbt.manifest())
    engine.dispose()


# --- the project ------------------------------------------------------------------------------------------------


def test_an_empty_warehouse_builds_and_stays_empty(warehouse: Warehouse) -> None:
    assert warehouse.built_empty.exit_code == 0, warehouse.built_empty.text
    assert set(warehouse.rows_when_empty.values()) == {0}
    assert len(warehouse.rows_when_empty) == len(MARTS) + len(EXPORTS)


def test_a_warehouse_with_rows_builds_without_a_warning(warehouse: Warehouse) -> None:
    assert warehouse.built.exit_code == 0, warehouse.built.text
    assert set(warehouse.built.statuses.values()) == {"success", "pass"}


def test_every_raw_table_is_a_source_with_the_asset_key_of_its_loader(warehouse: Warehouse) -> None:
    sources = {source["name"]: source for source in warehouse.manifest["sources"].values()}
    loaded = {stream.name for stream in catalog.STREAMS} | {history.name for history in catalog.HISTORIES}
    assert set(sources) == loaded
    for name, source in sources.items():
        assert source["schema"] == "volt"
        assert source["config"]["meta"]["dagster"]["asset_key"] == ["volt", name]
        assert source["description"]


def test_every_model_and_every_column_is_described(warehouse: Warehouse) -> None:
    models = [node for node in warehouse.manifest["nodes"].values() if node["resource_type"] == "model"]
    undescribed = [model["name"] for model in models if not model["description"].startswith("One row per ")]
    for model in models:
        table = sa.Table(model["name"], sa.MetaData(), schema=model["schema"], autoload_with=warehouse.engine)
        described = {name for name, column in model["columns"].items() if column["description"]}
        undescribed += [f"{model['name']}.{name}" for name in set(table.columns.keys()) ^ described]
    assert undescribed == []


def test_every_test_of_a_candidate_can_hold_the_export_back(warehouse: Warehouse) -> None:
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


# --- the marts --------------------------------------------------------------------------------------------------


def test_a_text_between_two_of_our_accounts_stands_in_both(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select account_id, direction, contact_phone, contact_id, sender from volt_marts.messages"
        " where message_id = 'rf_between' order by account_id"
    )
    assert found == [
        ("1", "outbound", world.PHOENIX, "106", "agent"),
        ("2", "inbound", world.TULSA, "107", "contact"),
    ]


def test_one_carrier_message_under_two_ids_is_one_row(warehouse: Warehouse) -> None:
    found = warehouse.rows("select message_id, status from volt_marts.messages where body = 'On its way'")
    assert found == [("rf_second", "delivered")]
    assert warehouse.value("select count(*) from volt_marts.messages where body in ('one', 'two')") == 2


def test_what_nothing_tells_is_unknown(warehouse: Warehouse) -> None:
    message = warehouse.row("volt_marts.messages", contact_phone=world.GHOST)
    assert (message["direction"], message["direction_evidence"], message["sender"]) == ("unknown", "none", None)
    assert message["estimated_cost_usd"] is None


def test_local_time_and_price(warehouse: Warehouse) -> None:
    reply = warehouse.row("volt_marts.messages", body="How much is it?")
    assert reply["sent_local"].isoformat() == "2026-07-02T10:00:00"
    picture = warehouse.row("volt_marts.messages", encoding="mms")
    assert (picture["media_count"], picture["segments"], float(picture["estimated_cost_usd"])) == (1, 1, 0.01)
    assert warehouse.row("volt_marts.messages", body="Last day 🧱")["non_gsm_characters"] == "🧱"
    failed = warehouse.row("volt_marts.messages", status="failed")
    assert failed["failure_reason"] == "Destination is a landline"


def test_consent_is_the_last_clear_word(warehouse: Warehouse) -> None:
    found = warehouse.rows("select contact_id, consent, can_text, needs_review from volt_marts.contacts order by 1")
    assert found == [
        ("101", "none", True, False),
        ("102", "opt_out", False, False),
        ("103", "none", True, False),
        ("104", "opt_in", True, False),
        ("105", "none", True, True),
        ("106", "none", True, False),
        ("107", "none", True, False),
        ("108", "none", False, False),
    ]
    assert warehouse.row("volt_marts.contacts", contact_id="101")["custom_fields"] == {"customer_type": "contractor"}


def test_conversations_stand_beside_what_volt_counts(warehouse: Warehouse) -> None:
    maria = warehouse.row("volt_marts.conversations", account_id="1", contact_phone=world.MARIA)
    assert (maria["messages_held"], maria["messages_total"], float(maria["coverage"])) == (3, 4, 0.75)
    assert (maria["contact_id"], maria["last_direction"], maria["is_unread"]) == ("101", "inbound", True)
    linh = warehouse.row("volt_marts.conversations", account_id="1", contact_phone=world.LINH)
    assert (linh["messages_held"], float(linh["coverage"])) == (6, 1.0), (
        "both ids of one text count, as Volt counts them"
    )
    unread_yet = warehouse.row("volt_marts.conversations", account_id="3", contact_phone=world.LINH)
    assert (unread_yet["messages_held"], unread_yet["coverage"], unread_yet["last_direction"]) == (0, None, None)


def test_waves_get_the_replies_that_they_were_the_last_before(warehouse: Warehouse) -> None:
    sale = warehouse.row("volt_marts.waves", wave_id="10")
    assert (sale["repliers_24h"], sale["repliers_72h"], sale["opt_outs"]) == (0, 1, 1)
    assert (float(sale["coverage"]), float(sale["delivery_rate"]), float(sale["opt_out_rate"])) == (1.0, 0.6667, 0.5)
    last_day = warehouse.row("volt_marts.waves", wave_id="11")
    assert (last_day["repliers_24h"], last_day["total_pending"], last_day["scheduled_at"]) == (1, 1, None)
    nobody = warehouse.row("volt_marts.waves", wave_id="12")
    assert (nobody["delivery_rate"], nobody["opt_out_rate"], nobody["is_campaign"]) == (None, None, False)


# --- the exports: these change the warehouse, so they stand last ------------------------------------------------------


def test_the_demo_publishes_its_crm(warehouse: Warehouse) -> None:
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


def test_each_rule_of_the_exports_catches_its_row(warehouse: Warehouse) -> None:
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(BAD_CONTACTS)
        connection.exec_driver_sql(BAD_LISTS)
    outcome = warehouse.dbt.run(
        "test", "--select", "export_contacts_candidate", "export_lists_candidate", variables=DEMO
    )
    passed = {name for name, status in outcome.statuses.items() if status != "fail"}
    assert passed == {"export_contacts_is_near_last_published"}, "eight rows more than 40 are within 30 %"


def test_a_bad_candidate_leaves_the_published_export_in_place(warehouse: Warehouse) -> None:
    """Without the demo's CRM the candidate is empty; the export that was published is not."""
    outcome = warehouse.dbt.run("build", "--select", "crm_contacts+", "crm_lists+")
    assert outcome.exit_code == 1
    assert outcome.statuses["export_contacts_is_near_last_published"] == "fail"
    assert outcome.statuses["export_contacts"] == "skipped"
    assert outcome.statuses["export_lists"] == "skipped"
    assert warehouse.value("select count(*) from volt_exports.export_contacts_candidate") == 0
    assert warehouse.value("select count(*) from volt_exports.export_contacts") == 40
    assert warehouse.value("select count(*) from volt_exports.export_lists") == 3
