"""Forgetting a person of a sandbox's world: nothing of them is left anywhere, and nobody else is touched."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.warehouse.erasure import (
    NotErasable,
    forget,
    remains,
)
from volt_pipeline.warehouse.errors import LeaseHeld, WarehouseError
from volt_pipeline.warehouse.marts import building
from volt_pipeline.warehouse.pushes import push_verdicts
from volt_pipeline.warehouse.traces import HARMLESS, TRACES
from volt_pipeline_tests.forgetting import SECRET, digits, everything, holding, somebody
from volt_pipeline_tests.syncing import gaps, new_world, synced

from .loading import ask, loading

STRANGER = "+19185559876"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.world = new_world()
    server.world.settle(server.world.clock())
    return server


@pytest.fixture
def person(sandbox: Sandbox) -> str:
    return somebody(sandbox.world)


def raw(url: str) -> dict[str, list[str]]:
    return {table: rows for table, rows in everything(url).items() if table.startswith("volt.")}


async def test_nothing_of_them_is_left_and_nobody_else_is_touched(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    await synced(sandbox, warehouse_url)
    assert set(holding(warehouse_url, digits(person))) >= {
        "volt.contacts", "volt.contact_changes", "volt.messages", "volt.conversations", "volt.inbox_items",
        "volt_ops.walks",
    }  # fmt: skip
    contacts = [key for (key,) in ask(warehouse_url, "SELECT id FROM volt.contacts WHERE phone_number = %s", person)]
    messages = [key for (key,) in ask(warehouse_url, "SELECT id FROM volt.messages WHERE contact_phone = %s", person)]
    assert len(contacts) == 2
    before = raw(warehouse_url)
    erasure = await forget(warehouse_url, person)
    marks = (digits(person), SECRET)
    assert holding(warehouse_url, *marks) == []
    assert (await remains(warehouse_url, person), erasure.known) == ({}, False)
    assert erasure.deleted["volt.messages"] == len(messages)
    assert erasure.deleted["volt.contacts"] == 2
    counted = ask(
        warehouse_url,
        "SELECT w.withheld, w.held - (SELECT count(*) FROM volt.inbox_items AS i WHERE i.account_id = w.account_id) "
        "FROM volt_ops.walks AS w WHERE stream = 'inbox_items'",
    )
    assert (counted, gaps(warehouse_url)) == ([(1, 0), (1, 0)], [])
    ids = {"contact_id": contacts, "message_id": messages}
    for table, rows in raw(warehouse_url).items():
        theirs = {"volt.contact_lists": "contact_id", "volt.message_statuses": "message_id"}.get(table)
        if theirs:  # rows without a phone or name
            assert ask(warehouse_url, f"SELECT {theirs} FROM {table} WHERE {theirs} = ANY(%s)", ids[theirs]) == []
            assert set(rows) <= set(before[table])
        else:
            assert rows == [row for row in before[table] if not any(mark in row for mark in marks)], table


async def test_one_of_our_own_numbers_is_not_forgotten(sandbox: Sandbox, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    with pytest.raises(NotErasable, match="our own numbers"):
        await forget(warehouse_url, sandbox.world.accounts[0].primary_phone)


async def test_it_waits_for_no_sync_that_is_at_work(sandbox: Sandbox, person: str, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    async with loading(warehouse_url, "run-x", sandbox.world.accounts[1].primary_phone):
        with pytest.raises(LeaseHeld, match="at work"):
            await forget(warehouse_url, person)
    with building(warehouse_url), pytest.raises(LeaseHeld, match="building the marts"):
        await forget(warehouse_url, person)
    assert "volt.messages" in holding(warehouse_url, SECRET)
    assert (await forget(warehouse_url, person)).deleted["volt.messages"]
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.leases WHERE expires_at IS NOT NULL") == [(0,)]


async def test_one_that_is_killed_in_the_middle_has_done_nothing(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    await synced(sandbox, warehouse_url)
    before = everything(warehouse_url)
    blocker = psycopg.connect(warehouse_url)
    blocker.execute("LOCK TABLE volt.conversations IN ACCESS EXCLUSIVE MODE")  # it has erased messages by then
    failed: list[BaseException] = []

    def attempt() -> None:
        try:
            asyncio.run(forget(warehouse_url, person))
        except WarehouseError as error:
            failed.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    waiting = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'volt_pipeline' "
        "AND datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%volt.conversations%'"
    )
    while not ask(warehouse_url, waiting):
        assert thread.is_alive()
    thread.join()
    blocker.rollback()
    blocker.close()
    assert failed
    assert digits(person) not in str(failed[0])
    assert everything(warehouse_url) == before
    await forget(warehouse_url, person)
    assert holding(warehouse_url, digits(person), SECRET) == []


def _fill(url: str, person: str) -> None:
    """Something of the person in each table that a sync alone leaves empty."""
    other = "+19185550009"
    sent = json.dumps({"phoneNumber": person, "name": SECRET})
    with psycopg.connect(url, autocommit=True) as db:
        for key in (person, other):
            db.execute(
                "INSERT INTO volt_ops.pushes (run_id, export, row_key, account_phone, action, outcome, before, sent, "
                "after, row_digest, plan_id, position) "
                "VALUES ('r', 'contacts', %s, '+1', 'update', 'sent', %s, %s, %s, 'd', 'p', %s)",
                [key, sent if key == person else "{}", sent if key == person else "{}", "{}", int(key == other)],
            )
            db.execute(
                "INSERT INTO volt_ops.unblock_approvals (account_phone, phone_number, approved_by, reason) "
                "VALUES ('+1', %s, 'me', 'asked')",
                [key],
            )
            db.execute("INSERT INTO volt_ops.suppressions (phone_number, reason) VALUES (%s, 'asked')", [key])
            db.execute(
                "INSERT INTO volt_ops.webhook_events (event_key, scheme, signed_by, body) VALUES (%s, 'rsa', 'k', %s)",
                [f"sha256:{key[-1]}", json.dumps({"payload": {"from_number": key}}).encode()],
            )
            db.execute(
                "INSERT INTO volt_ops.outbox (intent_key, account_phone, to_phone, body) VALUES (%s, '+1', %s, 'hi')",
                [f"order-{key[-1]}", key],
            )
        db.execute(
            "INSERT INTO volt_ops.outbox (intent_key, kind, account_phone, contact_numbers, body, scheduled_at) "
            "VALUES ('both', 'scheduled_message', '+1', %s, 'hi', now()), "
            "('alone', 'scheduled_message', '+1', %s, 'hi', now())",
            [[other, person], [person]],
        )
        rows = [{"position": at, "row_key": key, "action": "update"} for at, key in enumerate((person, other))]
        db.execute(
            "INSERT INTO volt_ops.push_plans (plan_id, export, digest, rows, counts, row_count, run_id, applied_at, "
            "applied_by_run) VALUES ('p', 'contacts', 'd', %s, '{}', 2, 'r', now(), 'r')",
            [json.dumps(rows)],
        )


async def test_pushes_sends_and_webhooks_lose_the_person_and_stay_whole(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    await synced(sandbox, warehouse_url)
    _fill(warehouse_url, person)
    erasure = await forget(warehouse_url, person)
    assert holding(warehouse_url, digits(person), SECRET) == []
    assert erasure.blanked == {"volt_ops.pushes": 1, "volt_ops.push_plans": 1, "volt_ops.outbox": 1}
    ((kept, _),) = ask(warehouse_url, "SELECT row_key, id FROM volt_ops.pushes WHERE row_key LIKE '(forgotten %'")
    ((planned,),) = ask(warehouse_url, "SELECT rows -> 0 ->> 'row_key' FROM volt_ops.push_plans")
    assert planned == kept
    (verdict,) = push_verdicts(warehouse_url)
    assert (verdict.planned, verdict.sent, verdict.balanced) == (2, 2, True)
    assert ask(warehouse_url, "SELECT intent_key FROM volt_ops.outbox ORDER BY 1") == [("both",), ("order-9",)]
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.webhook_events") == [(1,)]
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.suppressions") == [(1,)]
    with pytest.raises(psycopg.Error, match="never deleted"):  # the guard is back
        ask(warehouse_url, "DELETE FROM volt_ops.outbox")


async def test_what_is_being_sent_is_waited_for(sandbox: Sandbox, person: str, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    _fill(warehouse_url, person)
    claim = (
        "UPDATE volt_ops.outbox SET claimed_by = 'run', claimed_until = now() + interval '1 minute' WHERE to_phone = %s"
    )
    ask(warehouse_url, claim, person)
    with pytest.raises(LeaseHeld, match="being sent"):
        await forget(warehouse_url, person)
    assert "volt_ops.outbox" in holding(warehouse_url, digits(person))


async def test_a_number_in_somebody_elses_conversation_goes_and_the_text_stays(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    await synced(sandbox, warehouse_url)
    ((key,),) = ask(
        warehouse_url,
        "UPDATE volt.messages SET from_number = %s WHERE id = (SELECT min(id) FROM volt.messages "
        "WHERE contact_phone <> %s) RETURNING id",
        person,
        person,
    )
    ask(warehouse_url, "UPDATE volt.messages SET body = body || %s WHERE id = %s", f" call {digits(person)}", key)
    await forget(warehouse_url, person)
    assert ask(warehouse_url, "SELECT from_number FROM volt.messages WHERE id = %s", key) == [(None,)]
    assert await remains(warehouse_url, person) == {"volt.messages.body": 1}


def test_every_table_that_may_hold_a_phone_is_declared(warehouse_url: str) -> None:
    suspicious = (
        "SELECT DISTINCT table_schema || '.' || table_name FROM information_schema.columns "
        "JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema IN ('volt', 'volt_ops') AND table_type = 'BASE TABLE' "
        "AND (column_name ~ 'phone|number|contact_id|message_id|body|payload|snapshot' "
        "OR column_name IN ('row_key', 'raw', 'rows', 'before', 'sent', 'after') OR data_type = 'bytea') "
        "AND data_type IN ('text', 'jsonb', 'json', 'bytea', 'ARRAY', 'character varying')"
    )
    found = {name for (name,) in ask(warehouse_url, suspicious)}
    declared = {trace.table for trace in TRACES} | HARMLESS.keys()
    ours = {"volt_ops.keys", "volt_ops.forgotten", "volt_ops.withheld"}
    assert found - declared - ours == set()


async def test_marts_lose_them_whatever_they_are_called(sandbox: Sandbox, person: str, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    ask(warehouse_url, "CREATE SCHEMA volt_marts")
    marts: dict[str, tuple[str, Any]] = {
        "texts": ("message_id, body", "id, body FROM volt.messages"),
        "talks": (
            "conversation_id, account_id",
            "md5(account_id || '|' || contact_phone), account_id FROM volt.conversations",
        ),
        "people": ("contact_id, name", "id, name FROM volt.contacts"),
        "numbers": ("customer_phone", "contact_phone FROM volt.inbox_items"),
        "counts": ("account_id, texts", "account_id, count(*)::text FROM volt.messages GROUP BY 1"),
    }
    for table, (columns, source) in marts.items():
        ask(warehouse_url, f"CREATE TABLE volt_marts.{table} ({', '.join(f'{c} text' for c in columns.split(', '))})")
        ask(warehouse_url, f"INSERT INTO volt_marts.{table} SELECT {source}")
    before = {table: len(rows) for table, rows in everything(warehouse_url).items()}
    erasure = await forget(warehouse_url, person)
    assert holding(warehouse_url, digits(person), SECRET) == []
    for table, raw_table in (
        ("texts", "messages"),
        ("talks", "conversations"),
        ("people", "contacts"),
        ("numbers", "inbox_items"),
    ):
        gone = erasure.deleted[f"volt_marts.{table}"]
        assert gone == erasure.deleted[f"volt.{raw_table}"] > 0
        assert len(everything(warehouse_url)[f"volt_marts.{table}"]) == before[f"volt_marts.{table}"] - gone
    assert len(everything(warehouse_url)["volt_marts.counts"]) == before["volt_marts.counts"]


async def test_a_login_that_does_not_own_the_tables_is_told_so(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    await synced(sandbox, warehouse_url)
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        db.execute("CREATE ROLE onlooker LOGIN PASSWORD 'hunter2'")
        try:
            for schema in ("volt", "volt_ops"):
                db.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO onlooker").format(sql.Identifier(schema)))
                grant = sql.SQL("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {} TO onlooker")
                db.execute(grant.format(sql.Identifier(schema)))
            url = make_url(warehouse_url).set(username="onlooker", password="hunter2")
            with pytest.raises(WarehouseError, match="does not own"):
                await forget(url.render_as_string(hide_password=False), person)
        finally:
            db.execute("DROP OWNED BY onlooker")
            db.execute("DROP ROLE onlooker")
    assert "volt.messages" in holding(warehouse_url, SECRET)
