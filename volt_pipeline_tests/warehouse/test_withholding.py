"""Somebody who was forgotten stays out, whatever Volt goes on to say of them, and no count is the worse for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import psycopg
import pytest

from volt_pipeline.batch import Batch, Reject
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.warehouse.erasure import (
    NobodyFound,
    forget,
    remember,
    shown,
)
from volt_pipeline.warehouse.postgres import prepare
from volt_pipeline.warehouse.withholding import forgotten_now
from volt_pipeline_tests.forgetting import SECRET, digits, everything, holding, somebody
from volt_pipeline_tests.syncing import asked, gaps, new_world, open_rejects, outcome, synced

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


async def test_no_sync_brings_them_back_nor_turns_red(sandbox: Sandbox, person: str, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    await forget(warehouse_url, person)
    before = raw(warehouse_url)
    for full in (False, True, False):
        report = await synced(sandbox, warehouse_url, full=full)
        assert holding(warehouse_url, digits(person), SECRET) == []
        assert (gaps(warehouse_url), open_rejects(warehouse_url), outcome(warehouse_url)) == ([], [], "succeeded")
        assert {stream: coverage.share for stream, coverage in report.coverage.items()} == dict.fromkeys(
            ("inbox_items", "messages", "waves", "lists"), 1.0
        )
        assert {**before, "volt.webhooks": []} == {**raw(warehouse_url), "volt.webhooks": []}
        ((held,),) = ask(warehouse_url, "SELECT count(*) FROM volt.inbox_items")
        assert asked(sandbox)["conversation"] <= (held * 3 if full else 0)
        if full:
            assert min(report.tables[table].withheld for table in ("inbox_items", "contacts")) >= 2
    assert ask(warehouse_url, "SELECT in_inbox FROM volt_ops.withheld") == [(True,), (True,)]


async def test_what_they_write_later_is_left_out_too(sandbox: Sandbox, person: str, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    await forget(warehouse_url, person)
    world = sandbox.world
    world.mutate("createMessage", {"to": person, "from_": world.accounts[0].primary_phone, "body": f"Again {SECRET}"})
    world.move(1.0, world.clock())
    await synced(sandbox, warehouse_url)
    assert holding(warehouse_url, digits(person), SECRET) == []
    assert (gaps(warehouse_url), outcome(warehouse_url)) == ([], "succeeded")
    before = asked(sandbox)["conversation"]
    await synced(sandbox, warehouse_url)
    assert before
    assert holding(warehouse_url, digits(person), SECRET) == []


async def test_somebody_who_is_removed_in_volt_afterwards_leaves_no_gap(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    await synced(sandbox, warehouse_url)
    await forget(warehouse_url, person)
    for contact in [each for each in sandbox.world.contacts if each.phone_number == person]:
        sandbox.world.forget_contact(contact)
    await synced(sandbox, warehouse_url)
    assert [row for row in gaps(warehouse_url) if row[0] == "inbox_items"] == []
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.withheld WHERE in_inbox") == [(0,)]
    assert outcome(warehouse_url) == "succeeded"


async def test_one_who_is_remembered_comes_back(sandbox: Sandbox, person: str, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    await forget(warehouse_url, person)
    await synced(sandbox, warehouse_url)
    await remember(warehouse_url, person)
    await synced(sandbox, warehouse_url)
    assert "volt.messages" in holding(warehouse_url, SECRET)
    assert (gaps(warehouse_url), outcome(warehouse_url)) == ([], "succeeded")
    with pytest.raises(NobodyFound, match=r"\+1•••••"):
        await remember(warehouse_url, person)


async def test_somebody_unknown_is_kept_out_only_where_that_is_asked(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    with pytest.raises(NobodyFound) as caught:
        await forget(warehouse_url, person)
    assert digits(person) not in str(caught.value)
    assert shown(person) in str(caught.value)
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.forgotten") == [(0,)]
    await forget(warehouse_url, person, ahead=True)
    await synced(sandbox, warehouse_url)
    assert holding(warehouse_url, digits(person), SECRET) == []
    assert [row for row in gaps(warehouse_url) if row[0] != "lists"] == []
    assert outcome(warehouse_url) == "succeeded"
    assert (await forget(warehouse_url, person)).known


async def test_the_number_itself_is_kept_nowhere_and_two_warehouses_do_not_agree_on_it(
    warehouse_url: str, database_url: str
) -> None:
    prepare(database_url)
    await forget(warehouse_url, STRANGER, ahead=True)
    await forget(database_url, STRANGER, ahead=True)
    one, other = (ask(url, "SELECT digest FROM volt_ops.forgotten") for url in (warehouse_url, database_url))
    assert len(one[0][0]) == 32
    assert one != other
    assert holding(warehouse_url, digits(STRANGER)) == []


def test_forgotten_tells_who_was_however_they_are_written(warehouse_url: str) -> None:
    asyncio.run(forget(warehouse_url, STRANGER, ahead=True))
    others = ["+19185550000", ""]
    written = [STRANGER, "+1 (918) 555-9876", "19185559876"]
    with psycopg.connect(warehouse_url) as connection:
        forgotten = forgotten_now(connection)
    assert {phone for phone in [*written, *others] if phone in forgotten} == set(written)


async def test_a_load_without_a_lease_that_has_begun_is_waited_for_and_erased(
    sandbox: Sandbox, person: str, warehouse_url: str
) -> None:
    """As a webhook's or a push's reading is loaded."""
    await synced(sandbox, warehouse_url)
    with psycopg.connect(warehouse_url) as reader:
        reader.execute("SELECT count(*) FROM volt_ops.forgotten")  # as the first statement of each load
        reader.execute(
            "INSERT INTO volt.contacts (id, account_id, phone_number, name) VALUES ('late', '1', %s, %s)",
            [person, SECRET],
        )
        done = threading.Event()

        def attempt() -> None:
            asyncio.run(forget(warehouse_url, person))
            done.set()

        thread = threading.Thread(target=attempt)
        thread.start()
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'volt_ops.forgotten'::regclass"
        while not ask(warehouse_url, waits):
            assert thread.is_alive()
        assert not done.is_set()
        reader.commit()
    thread.join()
    assert holding(warehouse_url, digits(person), SECRET) == []


async def test_rejects_of_them_go_and_do_not_come_back(sandbox: Sandbox, person: str, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    other = "+19185550009"

    def rejects() -> Batch:
        message = json.dumps({"toNumber": person, "body": SECRET})
        return Batch(
            rejects=[
                Reject("conversations", "1", f"1|{person}", "cannot be read", contact_phone=person),
                Reject("contacts", "1", "77", "name is no text", json.dumps({"phoneNumber": person, "name": SECRET})),
                Reject("messages", "1", "rf_x", "body is no text", message),
                Reject("inbox_items", "1", "", "no time", json.dumps({"contact": {"phoneNumber": person}})),
                Reject("contacts", "1", "78", "name is no text", json.dumps({"phoneNumber": other})),
                Reject("waves", "", "9", "no name", "{}"),
            ]
        )

    async with loading(warehouse_url, "run-1", "a") as loader:
        await loader.load(rejects())
    assert len(open_rejects(warehouse_url)) == 6
    await forget(warehouse_url, person)
    assert [key for _, key, _ in open_rejects(warehouse_url)] == ["78", "9"]
    async with loading(warehouse_url, "run-2", "a") as loader:
        await loader.load(rejects())
        assert sum(counts.rejected for counts in loader.counts.values()) == 2
    assert [key for _, key, _ in open_rejects(warehouse_url)] == ["78", "9"]
    assert holding(warehouse_url, digits(person), SECRET) == []
