"""Syncs that are killed, cut off, sent away or refused: nothing is lost, doubled or written by two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from volt_pipeline.api.errors import AuthError
from volt_pipeline.extract import conversations
from volt_pipeline.extract.inbox import UnknownAccount
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sync import first_cause
from volt_pipeline.warehouse.errors import LeaseHeld, LeaseLost

from .syncing import asked, differences, gaps, new_world, outcome, synced
from .warehouse.loading import ask, end_connections, versions

STAGES = [("inbox pages", 1), ("conversations", 1), ("wave look-ups", 1), ("list look-ups", 1), ("webhooks", 0)]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    """The running server, with a fresh world."""
    server.world = new_world()
    return server


async def cause_of(sandbox: Sandbox, url: str, *phones: str, **options: Any) -> BaseException:
    """Why a sync does not get through."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        await synced(sandbox, url, *phones, **options)
    return first_cause(caught.value)


class Killed(Exception):
    """What the tests kill a sync with."""


def killing(stage: str, after: int = 1) -> Callable[[str, int, int], None]:
    def observe(name: str, done: int, _known: int) -> None:
        if name == stage and done >= after:
            raise Killed

    return observe


@pytest.mark.parametrize(("stage", "after"), STAGES)
async def test_a_sync_that_is_killed_anywhere_is_caught_up_by_the_next(
    sandbox: Sandbox, warehouse_url: str, stage: str, after: int
) -> None:
    assert isinstance(await cause_of(sandbox, warehouse_url, observe=killing(stage, after)), Killed)
    assert outcome(warehouse_url) == "failed"
    await synced(sandbox, warehouse_url)
    assert (differences(warehouse_url, sandbox.world), gaps(warehouse_url)) == ({}, [])
    assert outcome(warehouse_url) == "succeeded"


async def test_a_killed_sync_goes_on_where_it_was(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its conversations' pages are asked once in all, but for those that nobody had stored."""
    monkeypatch.setattr(conversations, "_ROWS", 1)  # each document's pages in a transaction of its own
    await synced(sandbox, warehouse_url)
    in_one = asked(sandbox)["conversation"]
    ask(warehouse_url, "TRUNCATE volt.messages, volt_ops.walks")
    await cause_of(sandbox, warehouse_url, observe=killing("conversations", 12), workers=1)
    first = asked(sandbox)["conversation"]
    held = ask(warehouse_url, "SELECT count(*) FROM volt.messages")
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.walks WHERE cursor IS NOT NULL") != [(0,)]
    await synced(sandbox, warehouse_url)
    assert 0 < first < in_one
    assert held != [(0,)]
    assert first + asked(sandbox)["conversation"] == in_one
    assert (differences(warehouse_url, sandbox.world), gaps(warehouse_url)) == ({}, [])


async def test_a_sync_that_is_cancelled_lets_go_of_its_accounts(sandbox: Sandbox, warehouse_url: str) -> None:
    tasks: list[asyncio.Task[Any]] = []

    def observe(stage: str, _done: int, _known: int) -> None:
        if stage == "conversations":
            tasks[0].cancel()

    tasks.append(asyncio.create_task(synced(sandbox, warehouse_url, observe=observe)))
    await asyncio.wait(tasks)
    assert tasks[0].cancelled()
    assert outcome(warehouse_url) == "failed"
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.leases WHERE expires_at IS NOT NULL") == [(0,)]
    await synced(sandbox, warehouse_url)
    assert (differences(warehouse_url, sandbox.world), gaps(warehouse_url)) == ({}, [])


async def test_a_world_that_moved_since_a_sync_was_killed_is_caught_up_with(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    world = sandbox.world
    await cause_of(sandbox, warehouse_url, observe=killing("conversations"), workers=1)
    world.move(1.0, world.clock())
    for _ in range(2):  # a walk that was cut off ends first; what came meanwhile is the next sync's
        await synced(sandbox, warehouse_url)
    assert (differences(warehouse_url, world), gaps(warehouse_url)) == ({}, [])


async def test_a_database_that_fails_over_in_the_middle_is_survived(sandbox: Sandbox, warehouse_url: str) -> None:
    ended: dict[str, int] = {}

    def observe(stage: str, _done: int, _known: int) -> None:
        if stage not in ended:
            ended[stage] = end_connections(warehouse_url)

    await synced(sandbox, warehouse_url, observe=observe)
    assert sum(ended.values()) > 3
    assert (differences(warehouse_url, sandbox.world), outcome(warehouse_url)) == ({}, "succeeded")


async def test_a_second_sync_of_the_same_accounts_is_sent_away(sandbox: Sandbox, warehouse_url: str) -> None:
    told: list[BaseException] = []

    def observe(_stage: str, _done: int, _known: int) -> None:
        if not told:
            with ThreadPoolExecutor(1) as pool:
                told.append(pool.submit(asyncio.run, cause_of(sandbox, warehouse_url, run_id="second")).result())

    await synced(sandbox, warehouse_url, observe=observe)
    assert isinstance(told[0], LeaseHeld)
    assert (differences(warehouse_url, sandbox.world), outcome(warehouse_url)) == ({}, "succeeded")
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.runs WHERE run_id = 'second'") == [(0,)]


async def test_a_sync_whose_account_was_taken_over_stops(sandbox: Sandbox, warehouse_url: str) -> None:
    def observe(stage: str, _done: int, _known: int) -> None:
        if stage == "conversations":
            ask(warehouse_url, "UPDATE volt_ops.leases SET epoch = epoch + 1")

    assert isinstance(await cause_of(sandbox, warehouse_url, observe=observe), LeaseLost)


@pytest.mark.parametrize("phones", [("+15555559999",), None], ids=["alone", "beside others"])
async def test_an_account_that_volt_does_not_show_stops_all_before_anything_is_written(
    sandbox: Sandbox, warehouse_url: str, phones: tuple[str, ...] | None
) -> None:
    before = versions(warehouse_url), versions(warehouse_url, "volt_ops")
    chosen = phones or (sandbox.world.accounts[0].primary_phone, "+15555559999")
    error = await cause_of(sandbox, warehouse_url, *chosen)
    assert isinstance(error, UnknownAccount)
    assert "VOLT_ACCOUNTS names +15555559999" in str(error)
    assert (versions(warehouse_url), versions(warehouse_url, "volt_ops")) == before


async def test_a_wrong_token_stops_all_before_anything_is_written(sandbox: Sandbox, warehouse_url: str) -> None:
    before = versions(warehouse_url), versions(warehouse_url, "volt_ops")
    error = await cause_of(sandbox, warehouse_url, token="another-token")
    assert isinstance(error, AuthError)
    assert "another-token" not in str(error)
    assert (versions(warehouse_url), versions(warehouse_url, "volt_ops")) == before
