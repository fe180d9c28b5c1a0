"""Batches → rows: what is new is inserted, what differs is updated, what is the same or stale is left alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from volt_pipeline.batch import Batch, Discovery, Reading, Reject
from volt_pipeline.catalog import ACCOUNTS, CONTACTS, MESSAGES, STREAMS, Kind, Stream
from volt_pipeline.warehouse import lane, load
from volt_pipeline.warehouse.errors import WarehouseError
from volt_pipeline.warehouse.load import Loader
from volt_pipeline.warehouse.transaction import Counts

from .loading import ask, at, batch, contact, end_connections, loading, made, message, until_waiting, versions

ONE: dict[Kind, Any] = {Kind.TEXT: "one", Kind.INTEGER: 1, Kind.BOOLEAN: True, Kind.TIMESTAMP: at(1), Kind.JSON: "[1]"}
TWO: dict[Kind, Any] = {Kind.TEXT: "two", Kind.INTEGER: 2, Kind.BOOLEAN: False, Kind.TIMESTAMP: at(2), Kind.JSON: "{}"}


def one_row_each(values: dict[Kind, Any], minute: int) -> Batch:
    """A row of every stream, with the same key whatever the values."""

    def row(stream: Stream) -> dict[str, Any]:
        given = {column.name: values[column.kind] for column in stream.columns}
        return given | {column.name: ONE[column.kind] for column in stream.columns if column.name in stream.key}

    return batch(*((stream, made(stream, at(minute), **row(stream))) for stream in STREAMS))


async def test_every_stream_is_inserted_left_alone_and_updated(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(one_row_each(ONE, 10))
        assert loader.counts == {stream.name: Counts(read=1, inserted=1) for stream in STREAMS}
        before = versions(warehouse_url)

        await loader.load(one_row_each(ONE, 11))
        assert versions(warehouse_url) == before
        assert {counts.unchanged for counts in loader.counts.values()} == {1}

        await loader.load(one_row_each(TWO, 9))  # asked before what is held
        assert versions(warehouse_url) == before

        await loader.load(one_row_each(TWO, 12))
        assert loader.counts == {stream.name: Counts(read=4, inserted=1, updated=1) for stream in STREAMS}
    for stream in STREAMS:
        names = ", ".join(stream.column_names)
        expected = [
            TWO[column.kind] if column.name not in stream.key else ONE[column.kind] for column in stream.columns
        ]
        json = {"[1]": [1], "{}": {}}
        (found,) = ask(warehouse_url, f"SELECT {names}, first_seen_at, loaded_at, run_id FROM volt.{stream.name}")
        assert list(found) == [*(json.get(str(value), value) for value in expected), at(10), at(12), "run-1"]


async def test_each_single_column_that_differs_is_noticed(warehouse_url: str) -> None:
    values = {column.name: ONE[column.kind] for column in CONTACTS.columns}
    async with loading(warehouse_url) as loader:
        await loader.load(batch((CONTACTS, made(CONTACTS, at(0), **values))))
        for minute, column in enumerate(CONTACTS.columns[1:], start=1):
            values[column.name] = None
            await loader.load(batch((CONTACTS, made(CONTACTS, at(minute), **values))))
            assert loader.counts["contacts"].updated == minute


async def test_of_two_answers_in_a_batch_the_later_stays(warehouse_url: str) -> None:
    for first, second in ((1, 2), (2, 1)):
        rows = [(CONTACTS, contact(at(minute), name=f"minute {minute}")) for minute in (first, second)]
        merged = batch(rows[0])
        merged.merge(batch(rows[1]))
        for filled in (batch(*rows), merged):
            assert [row[-1] for row in filled.rows["contacts"].values()] == [at(2)]
    async with loading(warehouse_url) as loader:
        await loader.load(merged)
    assert ask(warehouse_url, "SELECT name, loaded_at FROM volt.contacts") == [("minute 2", at(2))]


async def test_what_was_gone_and_is_seen_again_is_there_again(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(batch((CONTACTS, contact(at(1)))))
        ask(warehouse_url, "UPDATE volt.contacts SET deleted_at = now()")
        await loader.load(batch((CONTACTS, contact(at(2)))))
    assert ask(warehouse_url, "SELECT deleted_at, loaded_at FROM volt.contacts") == [(None, at(2))]


async def test_what_is_new_and_what_has_changed_are_written_side_by_side(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(batch((MESSAGES, message(at(1), "old")), (MESSAGES, message(at(1), "same"))))
        changed = [(MESSAGES, message(at(2), "old", status="sent")), (MESSAGES, message(at(2), "same"))]
        await loader.load(batch(*changed, (MESSAGES, message(at(2), "new"))))
    assert loader.counts["messages"] == Counts(read=5, inserted=3, updated=1)
    histories = ask(warehouse_url, "SELECT message_id, status FROM volt.message_statuses ORDER BY 1, observed_at")
    assert histories == [("new", "sending"), ("old", "sending"), ("old", "sent"), ("same", "sending")]
    assert ask(warehouse_url, "SELECT id, status FROM volt.messages WHERE loaded_at = %s ORDER BY 1", at(2)) == [
        ("new", "sending"),
        ("old", "sent"),
    ]


async def test_a_message_keeps_every_status_it_was_seen_with(warehouse_url: str) -> None:
    seen: list[tuple[float, dict[str, Any]]] = [
        (1, {}),
        (2, {}),
        (3, {"status": "sent"}),
        (2.5, {"status": "teleported"}),  # a stale answer
        (4, {"status": "delivered", "is_final": True, "confirmed_at": at(4)}),
        (5, {"status": "delivered", "is_final": True, "confirmed_at": at(4), "body": "edited"}),
    ]
    async with loading(warehouse_url) as loader:
        for minute, values in seen:
            await loader.load(batch((MESSAGES, message(at(minute), **values))))
        await loader.load(batch((MESSAGES, message(at(6), "rf_2", status="received", is_final=True))))
    found = ask(warehouse_url, "SELECT message_id, status, observed_at FROM volt.message_statuses ORDER BY 3")
    expected = [("sending", at(1)), ("sent", at(3)), ("delivered", at(4))]
    assert found == [("rf_1", status, minute) for status, minute in expected]


async def test_a_contact_keeps_every_version_that_was_seen(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(batch((CONTACTS, contact(at(1), custom_fields='[{"key": "a", "value": "b"}]'))))
        await loader.load(batch((CONTACTS, contact(at(2), custom_fields='[{"value": "b", "key": "a"}]'))))
        await loader.load(batch((CONTACTS, contact(at(3), blocked=True, custom_fields="[]"))))
    found = ask(warehouse_url, "SELECT observed_at, blocked FROM volt.contact_changes ORDER BY 1")
    assert found == [(at(1), None), (at(3), True)]


def member(minute: float, *lists: str) -> Batch:
    filled = batch((CONTACTS, contact(at(minute))))
    filled.add_membership("1", at(minute), frozenset(lists))
    return filled


async def test_memberships_are_intervals(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        for minute, lists in ((1, "ab"), (2, "ab"), (3, "b"), (2.5, "abc"), (4, "bc"), (5, "abc"), (6, "")):
            await loader.load(member(minute, *lists))
    found = ask(warehouse_url, "SELECT list_id, valid_from, valid_to FROM volt.contact_lists ORDER BY 1, 2")
    assert found == [("a", at(1), at(3)), ("a", at(5), at(6)), ("b", at(1), at(6)), ("c", at(4), at(6))]


async def test_a_membership_that_lasts_is_not_written_again(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(member(1, "a", "b"))
        before = versions(warehouse_url)
        await loader.load(member(2, "b", "a"))
    assert versions(warehouse_url) == before


def refused(key: str, raw: str = "{}") -> Batch:
    return Batch(rejects=[Reject("messages", "a", key, "sentAt is no RFC 3339 time", raw, "+2")])


async def test_a_reject_stands_once_however_often_it_is_met(warehouse_url: str) -> None:
    for run_id in ("run-1", "run-2"):
        async with loading(warehouse_url, run_id) as loader:
            for key, raw in (
                ("rf_1", "{}"),
                ("rf_1", '{"a": 1}'),
                ("", '{"b": 1}'),
                ("", '{"b": 1}'),
                ("", '{"c": 1}'),
            ):
                await loader.load(refused(key, raw))
            assert loader.counts["messages"].rejected == 5
    found = ask(warehouse_url, "SELECT key, raw, run_id, times FROM volt_ops.rejects ORDER BY id")
    assert found == [("rf_1", {"a": 1}, "run-2", 2), ("", {"b": 1}, "run-2", 2), ("", {"c": 1}, "run-2", 2)]


async def test_a_reject_is_resolved_when_its_row_is_stored_and_open_again_when_it_is_not(warehouse_url: str) -> None:
    async def is_open() -> bool:
        ((resolved_at,),) = ask(warehouse_url, "SELECT resolved_at FROM volt_ops.rejects WHERE key = 'rf_1'")
        return resolved_at is None

    async with loading(warehouse_url) as loader:
        await loader.load(refused("rf_1"))
        await loader.load(batch((MESSAGES, message(at(1), "rf_2")), (CONTACTS, contact(at(1), "rf_1"))))
        assert await is_open()
        await loader.load(batch((MESSAGES, message(at(2)))))
        assert not await is_open()
        await loader.load(refused("rf_1"))
        assert await is_open()


async def test_findings_are_remembered_with_their_last_answer(warehouse_url: str) -> None:
    async def read(minute: float, *, found: bool) -> None:
        reading = Reading("list", "a", "VIP", at(minute), found, "77" if found else "")
        await loader.load(Batch(readings=[reading]))

    async with loading(warehouse_url) as loader:
        for via in ("contacts", "waves"):
            await loader.load(Batch(discoveries={Discovery("list", "a", "VIP", via), Discovery("wave", "", "5", via)}))
        await read(1, found=True)
        await read(2, found=False)
        await read(3, found=False)
    found = ask(warehouse_url, "SELECT kind, key, via, object_id, read_at, misses FROM volt_ops.discoveries ORDER BY 1")
    assert found == [("list", "VIP", "contacts", "77", at(3), 2), ("wave", "5", "contacts", None, None, 0)]


async def test_an_error_reaches_everyone_who_waited_for_the_write_and_tells_no_value(warehouse_url: str) -> None:
    bad = batch((ACCOUNTS, made(ACCOUNTS, at(1), name="SECRET")))  # it has no id
    names = ("alone", "with the bad one", "with it too")
    good = [batch((CONTACTS, contact(at(1), name))) for name in names]
    async with loading(warehouse_url) as loader:
        with psycopg.connect(warehouse_url) as beside:
            beside.execute("LOCK TABLE volt.contacts IN EXCLUSIVE MODE")
            tasks = [asyncio.create_task(loader.load(good[0]))]  # under way while the others gather
            await until_waiting(beside, 1)
            tasks += [asyncio.create_task(loader.load(each)) for each in (good[1], bad, good[2])]
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(WarehouseError) as later:  # it may rest on what was not written
            await loader.load(batch((CONTACTS, contact(at(1), "afterwards"))))
        assert await loader.fetch("account_numbers", {}) == []
    assert ask(warehouse_url, "SELECT id FROM volt.contacts") == [("alone",)]
    assert loader.counts == {"contacts": Counts(read=1, inserted=1)}
    assert outcomes[0] == set()
    assert outcomes[1:] == [later.value] * 3
    assert re.search(r"refused a write \(SQLSTATE 23502", str(later.value))
    assert "SECRET" not in str(later.value)


async def test_many_small_batches_share_transactions(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await asyncio.gather(*(loader.load(batch((CONTACTS, contact(at(1), str(n))))) for n in range(50)))
    ((rows, transactions),) = ask(warehouse_url, "SELECT count(*), count(DISTINCT xmin::text) FROM volt.contacts")
    assert (rows, transactions) == (50, 1)
    assert loader.counts["contacts"] == Counts(read=50, inserted=50)


@pytest.mark.parametrize("away", [False, True])
async def test_what_was_given_is_written_although_its_caller_is_called_off(away: bool, warehouse_url: str) -> None:
    """Be it in the middle of its transaction, before its turn, or while the server is away and is waited for."""
    server, name = warehouse_url.rsplit("/", 1)
    async with loading(warehouse_url) as loader:
        with psycopg.connect(warehouse_url) as beside:
            beside.execute("LOCK TABLE volt.contacts IN EXCLUSIVE MODE")
            tasks = []
            for number in range(3):
                tasks.append(asyncio.create_task(loader.load(batch((CONTACTS, contact(at(1), str(number)))))))
                await asyncio.sleep(0)  # it is given
            await until_waiting(beside, 1)
            if away:
                ask(f"{server}/postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                beside.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
                await asyncio.sleep(0.1)  # it tries to connect again, and waits
            tasks[0].cancel()
            tasks[1].cancel()
            beside.rollback()
            ask(f"{server}/postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [True, True, False]
    assert ask(warehouse_url, "SELECT id FROM volt.contacts ORDER BY id") == [("0",), ("1",), ("2",)]
    assert loader.counts["contacts"] == Counts(read=3, inserted=3)


class CallingOff:
    """Calls `task` off, so many `times`, when psycopg waits for its next command but so many (`command`; 0: never)."""

    task: asyncio.Task[Any]
    command = 0
    times = 1

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = psycopg.AsyncConnection.wait

        async def counted(connection: Any, command: Any, **options: Any) -> Any:
            self.command -= 1
            if self.command == 0:
                for _ in range(self.times):
                    asyncio.get_running_loop().call_soon(self.task.cancel)
            return await real(connection, command, **options)

        monkeypatch.setattr(psycopg.AsyncConnection, "wait", counted)

    async def off(self, called: Coroutine[Any, Any, Any], command: int) -> bool:
        """Whether it was called off, when it has ended."""
        self.command, self.task = command, asyncio.create_task(called)
        await asyncio.wait([self.task])
        self.command = 0
        return self.task.cancelled()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_load_may_be_called_off_in_any_command(
    times: int, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, as when two accounts fail one after the other. It is written, and so is what follows."""
    calling = CallingOff(monkeypatch)
    calling.times = times
    async with loading(warehouse_url) as loader:
        point, cancelled = 0, True
        while cancelled:
            point += 1
            cancelled = await calling.off(loader.load(batch((CONTACTS, contact(at(1), str(point))))), point)
            await loader.load(batch((MESSAGES, message(at(point)))))
    assert point > 10
    assert loader.counts["contacts"] == Counts(read=point, inserted=point)
    assert loader.counts["messages"].read == point


async def test_a_reading_may_be_called_off_in_any_command(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows is read on the same connection."""
    calling = CallingOff(monkeypatch)
    async with loading(warehouse_url) as loader:
        for point in (1, 2, 3):  # BEGIN, the query, COMMIT
            assert await calling.off(loader.fetch("account_numbers", {}), point)
            assert await loader.fetch("account_numbers", {}) == []
        assert end_connections(warehouse_url) == 1


async def test_a_connection_that_is_killed_between_batches_is_replaced(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(batch((CONTACTS, contact(at(1), "1"))))
        assert end_connections(warehouse_url) == 1
        await loader.load(batch((CONTACTS, contact(at(1), "2"))))
        assert end_connections(warehouse_url) == 1
        assert await loader.fetch("account_numbers", {}) == []
    assert loader.counts["contacts"] == Counts(read=2, inserted=2)


async def test_a_connection_that_is_killed_inside_a_transaction_loses_and_doubles_nothing(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        with psycopg.connect(warehouse_url) as beside:
            beside.execute("LOCK TABLE volt.contacts IN EXCLUSIVE MODE")
            writing = asyncio.create_task(loader.load(batch((MESSAGES, message(at(1))), (CONTACTS, contact(at(1))))))
            await until_waiting(beside, 1)
            assert end_connections(warehouse_url) == 1
        await writing
    assert loader.counts == {name: Counts(read=1, inserted=1) for name in ("contacts", "messages")}
    assert ask(warehouse_url, "SELECT status FROM volt.message_statuses") == [("sending",)]


async def test_a_connection_whose_greeting_fails_is_closed(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(cursor: psycopg.AsyncCursor[Any]) -> None:
        await cursor.execute("SELECT 1 / 0")

    monkeypatch.setattr(lane, "create_stages", refused)
    with pytest.raises(WarehouseError, match="22012"):
        async with loading(warehouse_url):
            pass
    assert end_connections(warehouse_url) == 0


@pytest.fixture
def one_row_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_ROWS_A_TRANSACTION", 1)


AT_WORK = """
SELECT CASE state WHEN 'active' THEN 'written' ELSE 'staged' END, pid
FROM pg_stat_activity
WHERE application_name = 'volt_pipeline'
  AND (
    (state = 'active' AND wait_event_type = 'Lock')
    OR (state = 'idle in transaction' AND query LIKE 'COPY stage_contacts%')
  )
"""


@asynccontextmanager
async def one_written_one_staged(
    loader: Loader, url: str, *batches: Batch
) -> AsyncIterator[tuple[psycopg.Connection, dict[str, int], list[asyncio.Task[Any]]]]:
    """The first batch waits for a lock, the next is staged. Gives who holds the lock, their processes, all tasks."""
    with psycopg.connect(url, options="-c TimeZone=UTC -c idle_in_transaction_session_timeout=0") as beside:
        beside.execute("LOCK TABLE volt.contacts IN EXCLUSIVE MODE")
        tasks = [asyncio.create_task(loader.load(each)) for each in batches]
        processes: dict[str, int] = {}
        async with asyncio.timeout(20):
            while processes.keys() != {"written", "staged"}:
                await asyncio.sleep(0.02)
                processes = dict(ask(url, AT_WORK))
        yield beside, processes, tasks


def told(minute: float) -> Batch:
    return batch((CONTACTS, contact(at(minute), name=f"minute {minute}")))


@pytest.mark.usefixtures("one_row_a_transaction")
async def test_a_transaction_is_staged_while_another_is_written_and_they_keep_their_order(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        async with one_written_one_staged(loader, warehouse_url, *map(told, (1, 2, 3))) as (_, _, tasks):
            pass
        await asyncio.gather(*tasks)
    found = ask(warehouse_url, "SELECT name, observed_at FROM volt.contact_changes ORDER BY observed_at")
    assert found == [(f"minute {minute}", at(minute)) for minute in (1, 2, 3)]
    assert loader.counts["contacts"] == Counts(read=3, inserted=1, updated=2)


@pytest.mark.usefixtures("one_row_a_transaction")
@pytest.mark.parametrize("killed", [["written"], ["staged"], ["staged", "written"]])
async def test_whichever_connection_is_lost_the_order_stays(killed: list[str], warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        batches = map(told, (1, 2, 3))
        async with one_written_one_staged(loader, warehouse_url, *batches) as (beside, processes, tasks):
            for which in killed:
                beside.execute("SELECT pg_terminate_backend(%s)", [processes[which]])
        await asyncio.gather(*tasks)
    found = ask(warehouse_url, "SELECT name, observed_at FROM volt.contact_changes ORDER BY observed_at")
    assert found == [(f"minute {minute}", at(minute)) for minute in (1, 2, 3)]
    assert loader.counts["contacts"] == Counts(read=3, inserted=1, updated=2)


@pytest.mark.usefixtures("one_row_a_transaction")
async def test_nothing_is_written_after_what_could_not_be(warehouse_url: str) -> None:
    """A later page of a walk, above all: its state says that the pages before it are held."""
    bad = told(1)
    bad.add(MESSAGES, made(MESSAGES, at(1), body="it has no id"))
    async with loading(warehouse_url) as loader:
        async with one_written_one_staged(loader, warehouse_url, bad, told(2), told(3)) as (_, _, tasks):
            pass
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {WarehouseError}
    assert ask(warehouse_url, "SELECT id FROM volt.contacts") == []
    assert loader.counts == {}


@pytest.mark.usefixtures("one_row_a_transaction")
async def test_no_setting_of_the_database_comes_between(warehouse_url: str) -> None:
    name = warehouse_url.rsplit("/", 1)[1]
    ask(warehouse_url, f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '300ms'")
    ask(warehouse_url, f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    async with loading(warehouse_url) as loader:
        async with one_written_one_staged(loader, warehouse_url, *map(told, (1, 2))) as (_, _, tasks):
            await asyncio.sleep(0.6)
        await asyncio.gather(*tasks)
    assert loader.counts["contacts"] == Counts(read=2, inserted=1, updated=1)


@pytest.mark.usefixtures("one_row_a_transaction")
async def test_an_erasure_that_waits_for_what_is_staged_does_not_hold_what_is_written(warehouse_url: str) -> None:
    """What is begun again asks who is forgotten behind the erasure, which waits for what is staged."""
    async with loading(warehouse_url) as loader:
        batches = map(told, (1, 2))
        async with one_written_one_staged(loader, warehouse_url, *batches) as (beside, processes, tasks):
            with psycopg.connect(warehouse_url) as erasure:
                lock = "LOCK TABLE volt_ops.forgotten IN ACCESS EXCLUSIVE MODE"
                erasing = asyncio.create_task(asyncio.to_thread(erasure.execute, lock))
                await until_waiting(beside, 2)
                beside.execute("SELECT pg_terminate_backend(%s)", [processes["written"]])
                beside.rollback()
                await asyncio.wait_for(erasing, 20)
        await asyncio.gather(*tasks)
    assert loader.counts["contacts"] == Counts(read=2, inserted=1, updated=1)


@pytest.mark.usefixtures("one_row_a_transaction")
async def test_who_takes_the_lease_and_erases_waits_for_all_that_is_under_way(warehouse_url: str) -> None:
    """An erasure takes the lease, then looks that nobody reads who is forgotten: in the order of the transactions."""
    async with loading(warehouse_url) as loader:
        async with one_written_one_staged(loader, warehouse_url, *map(told, (1, 2))) as (beside, _, tasks):
            with psycopg.connect(warehouse_url) as erasure:
                locks = "SELECT FROM volt_ops.leases FOR UPDATE; LOCK TABLE volt_ops.forgotten IN ACCESS EXCLUSIVE MODE"
                erasing = asyncio.create_task(asyncio.to_thread(erasure.execute, locks))
                await until_waiting(beside, 2)
                beside.rollback()
                await asyncio.wait_for(erasing, 20)
        await asyncio.gather(*tasks)
    assert loader.counts["contacts"] == Counts(read=2, inserted=1, updated=1)


async def test_who_ends_the_loader_in_the_middle_leaves_nobody_waiting(warehouse_url: str) -> None:
    """As asyncio ends all tasks after a second Ctrl-C."""
    with psycopg.connect(warehouse_url) as beside:
        beside.execute("LOCK TABLE volt.contacts IN EXCLUSIVE MODE")
        others = asyncio.all_tasks()
        async with loading(warehouse_url) as loader:
            writing = asyncio.create_task(loader.load(told(1)))
            await until_waiting(beside, 1)
            for task in asyncio.all_tasks() - others:
                task.cancel()
            await asyncio.wait([writing], timeout=20)
            assert writing.cancelled()
            with pytest.raises(WarehouseError, match="ended before all was written"):
                await loader.load(told(2))
