"""push_job: what it tells Dagster, and when it is red."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg
import pytest

from volt_pipeline.defs.activation import push_checks
from volt_pipeline.defs.location import build
from volt_pipeline.sandbox.entities import Contact
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline_tests.pushing import publish
from volt_pipeline_tests.syncing import new_world
from volt_pipeline_tests.warehouse.loading import ask

CONTACTS, LISTS = dg.AssetKey(["volt_activation", "contacts"]), dg.AssetKey(["volt_activation", "lists"])


@pytest.fixture
def volt(monkeypatch: pytest.MonkeyPatch, warehouse_url: str) -> Iterator[Sandbox]:
    """A Volt and a warehouse with two empty exports; the environment points to them."""
    with running(new_world(accounts=1)) as sandbox:
        me = sandbox.world.accounts[0].primary_phone
        for name, value in (("API_URL", sandbox.url), ("API_TOKEN", sandbox.token), ("ACCOUNTS", me)):
            monkeypatch.setenv(f"VOLT_{name}", value)
        monkeypatch.setenv("WAREHOUSE_URL", warehouse_url)
        publish(warehouse_url, "contacts")
        publish(warehouse_url, "lists")
        yield sandbox


Checks = dict[tuple[dg.AssetKey, str], bool]


def execute(**config: Any) -> tuple[dg.ExecuteInProcessResult, Checks]:
    """One run, and the checks on record, also those that a step told before it failed."""
    job = build(with_dbt=False).resolve_job_def("push_job")
    with dg.DagsterInstance.ephemeral() as instance:
        run_config = {"ops": {"plan": {"config": config}}}
        result = job.execute_in_process(instance=instance, raise_on_error=False, run_config=run_config)
        logs = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    told = [each.dagster_event.event_specific_data for each in logs if each.dagster_event]
    found = {(each.asset_key, each.check_name): each.passed for each in told}  # type: ignore[union-attr]
    return result, found


def test_a_push_is_in_the_lineage_with_its_outcomes_and_checks(volt: Sandbox, warehouse_url: str) -> None:
    ann = volt.world.contacts[0]
    me = ann.account.primary_phone
    publish(warehouse_url, "contacts", (me, ann.phone_number, "Renamed", None, None), (me, "12", "Ann", None, None))
    publish(warehouse_url, "lists", (me, "Renamed ones", "All", "Renamed", []))
    result, found = execute()
    assert result.success
    made = {event.asset_key: event.materialization for event in result.get_asset_materialization_events()}
    assert made.keys() == {CONTACTS, LISTS}
    outcomes = made[CONTACTS].metadata["outcomes"]
    assert isinstance(outcomes, dg.TableMetadataValue)
    assert [record.data for record in outcomes.records] == [
        {"action": "refused", "outcome": "refused", "rows": 1},
        {"action": "update", "outcome": "sent", "rows": 1},
    ]
    assert set(push_checks.check_keys) == {dg.AssetCheckKey(*pair) for pair in found}
    assert [pair for pair, passed in found.items() if not passed] == [(CONTACTS, "no_refused_rows")]
    ((size,),) = ask(warehouse_url, "SELECT size FROM volt.lists WHERE name = 'Renamed ones'")
    assert size == 1


def test_a_row_that_fails_turns_the_job_red(volt: Sandbox, warehouse_url: str) -> None:
    me = volt.world.accounts[0].primary_phone
    publish(warehouse_url, "lists", (me, "Orphan", "Nowhere", None, []))
    result, found = execute(only="lists")
    assert not result.success
    assert {pair for pair, passed in found.items() if not passed} == {(LISTS, "no_failed_rows")}
    (failure,) = (each for each in result.all_events if each.event_type is dg.DagsterEventType.STEP_FAILURE)
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "1 of 1 lists were not pushed. volt_ops.pushes holds each row" in str(told.description)


def test_what_stops_the_contacts_stops_the_run(
    volt: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = volt.world.contacts[0]
    ann.blocked = True
    me = ann.account.primary_phone

    def contact_changed(contact: Contact, _at: datetime) -> None:
        contact.blocked = False

    monkeypatch.setattr(volt.world.ledger, "contact_changed", contact_changed)
    publish(warehouse_url, "contacts", (me, ann.phone_number, "Renamed", None, None))
    publish(warehouse_url, "lists", (me, "Renamed ones", "All", "Renamed", []))
    result, found = execute()
    assert not result.success
    assert (CONTACTS, "no_failed_rows") in {pair for pair, passed in found.items() if not passed}
    assert ask(warehouse_url, "SELECT export, outcome FROM volt_ops.pushes") == [("contacts", "failed")]
    assert ask(warehouse_url, "SELECT kind, outcome FROM volt_ops.runs") == [("push", "failed")]


def test_empty_exports_are_a_good_run(volt: Sandbox, warehouse_url: str) -> None:
    volt.requests.clear()
    result, found = execute()
    assert result.success
    assert all(found.values())
    assert volt.requests == []
    assert ask(warehouse_url, "SELECT kind, outcome FROM volt_ops.runs") == [("push", "succeeded")]


def test_a_dry_run_keeps_its_plans_and_asks_volt_nothing(volt: Sandbox, warehouse_url: str) -> None:
    me = volt.world.accounts[0].primary_phone
    publish(warehouse_url, "contacts", (me, "+19185559998", "New", None, None))
    volt.requests.clear()
    assert execute(dry_run=True)[0].success
    assert volt.requests == []
    plans = dict(ask(warehouse_url, "SELECT export, plan_id FROM volt_ops.push_plans WHERE applied_at IS NULL"))
    assert plans.keys() == {"contacts", "lists"}
    assert execute(apply=plans["contacts"])[0].success
    assert [each.name for each in volt.world.contacts if each.phone_number == "+19185559998"] == ["New"]
    assert not execute(apply=plans["contacts"])[0].success
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.pushes") == [(1,)]
