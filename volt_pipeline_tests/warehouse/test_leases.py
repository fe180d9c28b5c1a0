"""Who may write an account: one run at a time, and nobody who was taken for dead."""

from __future__ import annotations

import asyncio
import os

import psycopg
import pytest

from volt_pipeline.batch import Discovery
from volt_pipeline.catalog import CONTACTS
from volt_pipeline.warehouse import load
from volt_pipeline.warehouse.errors import LeaseHeld, LeaseLost
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.load import Loader

from .loading import OTHER_PHONE, PHONE, ask, at, batch, contact, end_connections, loading, until_waiting, versions


async def refused(url: str, run_id: str, *phones: str) -> str:
    """What a run is told that may not begin."""
    with pytest.raises(LeaseHeld) as caught:
        async with loading(url, run_id, *phones):
            pass
    return str(caught.value)


async def until_renewed(url: str) -> None:
    async with asyncio.timeout(20):
        while ask(url, "SELECT 1 FROM volt_ops.leases WHERE expires_at < now()"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_second_run_is_told_who_is_at_work(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1"):
        told = await refused(warehouse_url, "run-2")
    assert f"{PHONE} by " in told
    assert f"(process {os.getpid()}) since " in told


async def test_the_same_run_cannot_be_at_work_twice_and_is_told_so(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1"):
        assert f"{PHONE} by " in await refused(warehouse_url, "run-1")


async def test_an_account_is_free_when_its_run_has_ended(warehouse_url: str) -> None:
    for run_id in ("run-1", "run-2", "run-1"):
        async with loading(warehouse_url, run_id) as loader:
            await loader.load(batch((CONTACTS, contact(at(1)))))
    assert ask(warehouse_url, "SELECT epoch, expires_at FROM volt_ops.leases") == [(3, None)]


async def test_an_account_is_free_when_its_run_has_failed(warehouse_url: str) -> None:
    with pytest.raises(RuntimeError, match="the run fails"):
        async with loading(warehouse_url, "run-1"):
            raise RuntimeError("the run fails")
    async with loading(warehouse_url, "run-2"):
        pass


async def test_other_accounts_are_no_hindrance(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1", PHONE), loading(warehouse_url, "run-2", OTHER_PHONE):
        pass


async def test_a_run_gets_all_of_its_accounts_or_none(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1", PHONE):
        told = await refused(warehouse_url, "run-2", PHONE, OTHER_PHONE)
        assert OTHER_PHONE not in told
        async with loading(warehouse_url, "run-3", OTHER_PHONE):
            pass


async def test_the_accounts_of_a_killed_run_are_free_at_once(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1") as killed:
        assert end_connections(warehouse_url) == 1
        async with loading(warehouse_url, "run-2") as successor:
            await successor.load(batch((CONTACTS, contact(at(1)))))
            with pytest.raises(LeaseLost):
                await killed.load(batch((CONTACTS, contact(at(1), "2"))))
    assert ask(warehouse_url, "SELECT id FROM volt.contacts") == [("1",)]


async def test_a_run_that_lost_its_connection_and_came_back_still_holds_its_accounts(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1") as loader:
        end_connections(warehouse_url)
        await loader.load(batch((CONTACTS, contact(at(1)))))
        assert PHONE in await refused(warehouse_url, "run-2")


async def test_a_lease_without_a_heartbeat_runs_out(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1") as silent:
        ask(warehouse_url, "UPDATE volt_ops.leases SET expires_at = now() - interval '1 second'")
        async with loading(warehouse_url, "run-2"):
            with pytest.raises(LeaseLost, match=rf"taken over \{PHONE}"):
                await silent.load(batch((CONTACTS, contact(at(1)))))


async def test_a_zombie_writes_nothing_and_disturbs_nobody(warehouse_url: str) -> None:
    async with loading(warehouse_url, "run-1", PHONE, OTHER_PHONE) as zombie:
        ask(warehouse_url, "UPDATE volt_ops.leases SET epoch = epoch + 1 WHERE account_phone = %s", OTHER_PHONE)
        before = versions(warehouse_url), versions(warehouse_url, "volt_ops")
        late = batch((CONTACTS, contact(at(1))))
        late.discoveries.add(Discovery("wave", "", "1", "messages"))
        with pytest.raises(LeaseLost, match="what it had committed stands"):
            await zombie.load(late)
        assert (versions(warehouse_url), versions(warehouse_url, "volt_ops")) == before
        assert zombie.counts == {}
    held = ask(warehouse_url, "SELECT account_phone FROM volt_ops.leases WHERE expires_at IS NOT NULL")
    assert held == [(OTHER_PHONE,)]  # its successor's lease is not the zombie's to release


async def test_a_heartbeat_keeps_the_lease(warehouse_url: str) -> None:
    async with Loader(warehouse_url, "run-1", Leases((PHONE,), "run-1", seconds=1)).open():
        ask(warehouse_url, "UPDATE volt_ops.leases SET expires_at = now() - interval '1 second'")
        await until_renewed(warehouse_url)
        assert PHONE in await refused(warehouse_url, "run-2")


async def test_a_heartbeat_outlives_a_warehouse_that_was_away(
    warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_TRIES", 1)
    server, name = warehouse_url.rsplit("/", 1)
    async with Loader(warehouse_url, "run-1", Leases((PHONE,), "run-1", seconds=1)).open():
        ask(f"{server}/postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        ask(f"{server}/postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
        await asyncio.sleep(0.6)  # at least one beat
        ask(f"{server}/postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        ask(warehouse_url, "UPDATE volt_ops.leases SET expires_at = now() - interval '1 second'")
        await until_renewed(warehouse_url)


async def test_a_write_under_way_is_not_taken_over(warehouse_url: str) -> None:
    """Who takes the account over waits for it, and so goes on from what it wrote."""

    async def take_over() -> list[tuple[str]]:
        async with loading(warehouse_url, "run-2"):
            return ask(warehouse_url, "SELECT id FROM volt.contacts")

    async with loading(warehouse_url) as slow:
        with psycopg.connect(warehouse_url) as beside:
            beside.execute("LOCK TABLE volt.contacts IN EXCLUSIVE MODE")
            writing = asyncio.create_task(slow.load(batch((CONTACTS, contact(at(1))))))
            await until_waiting(beside, 1)
            ask(warehouse_url, "UPDATE volt_ops.leases SET expires_at = now() - interval '1 second'")
            taking = asyncio.create_task(take_over())
            await until_waiting(beside, 2)
            beside.rollback()
            async with asyncio.timeout(20):
                await asyncio.gather(writing, taking)
    assert taking.result() == [("1",)]
