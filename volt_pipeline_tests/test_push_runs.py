"""What a push leaves in `volt_ops.runs`, and that two pushes of one export never write at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from volt_pipeline.activate.guard import Guard, PushAsks
from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.entities import Refused
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.warehouse.errors import LeaseHeld, WarehouseUnfit

from .pushing import Row, planned, publish, pushed, recorded
from .syncing import asked, new_world, synced
from .warehouse.loading import ask

MANY = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Iterator[Sandbox]:
    server.world = new_world(accounts=1, contacts=MANY)
    yield server
    server.faults = Faults()


def everyone(sandbox: Sandbox) -> list[Row]:
    me = sandbox.world.accounts[0].primary_phone
    return [(me, each.phone_number, f"New {each.id}", None, None) for each in sandbox.world.contacts]


def runs(url: str) -> list[Row]:
    return ask(url, "SELECT run_id, kind, outcome, finished_at IS NOT NULL FROM volt_ops.runs ORDER BY started_at")


def part(url: str, export: str = "contacts") -> dict[str, Any]:
    ((found,),) = ask(url, "SELECT report -> %s FROM volt_ops.runs WHERE kind = 'push'", export)
    assert isinstance(found, dict)
    return found


async def test_a_push_is_a_run_with_its_figures_and_a_dry_run_is_none(sandbox: Sandbox, warehouse_url: str) -> None:
    me = sandbox.world.accounts[0].primary_phone
    publish(warehouse_url, "contacts", *everyone(sandbox), (me, "12", "Ann", None, None))
    planned(sandbox, warehouse_url, run_id="dry")
    assert runs(warehouse_url) == []
    seen: list[list[Row]] = []
    await pushed(
        sandbox,
        warehouse_url,
        guard=Guard(permitted=MANY),
        observe=lambda *_: seen.append(runs(warehouse_url)),
    )
    assert seen[-1] == [("run-1", "push", "running", False)]  # so a push that is killed there does not look finished
    assert runs(warehouse_url) == [("run-1", "push", "succeeded", True)]
    found = part(warehouse_url)
    assert found["outcomes"] == {"update": {"sent": MANY}, "refused": {"refused": 1}}
    assert (found["planned"], found["stopped"], found["outcome"]) == (MANY + 1, "", "succeeded")
    assert found["requests"]["createOrUpdateContact"] == 1 + 3
    assert found["seconds"] > 0


async def test_a_run_of_two_exports_is_over_after_both_and_ends_as_the_worse(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    me = sandbox.world.accounts[0].primary_phone
    publish(warehouse_url, "contacts", *everyone(sandbox)[:3])
    publish(warehouse_url, "lists", (me, "Orphan", "Nowhere", None, []))
    lists = planned(sandbox, warehouse_url, "lists")
    contacts = planned(sandbox, warehouse_url)
    assert (await pushed(sandbox, warehouse_url, "lists", plan_id=lists.plan_id)).outcome == "rejected"
    assert runs(warehouse_url) == [("run-1", "push", "running", False)]  # its contacts wait
    assert (await pushed(sandbox, warehouse_url, plan_id=contacts.plan_id)).outcome == "succeeded"
    assert runs(warehouse_url) == [("run-1", "push", "rejected", True)]
    assert part(warehouse_url, "lists")["outcomes"] == {"create": {"failed": 1}}


async def test_a_push_that_asks_or_breaks_is_a_failed_run(sandbox: Sandbox, warehouse_url: str) -> None:
    with pytest.raises(WarehouseUnfit):
        await pushed(sandbox, warehouse_url)
    assert runs(warehouse_url) == [("run-1", "push", "failed", True)]
    publish(warehouse_url, "contacts", *everyone(sandbox))
    with pytest.raises(PushAsks):
        await pushed(sandbox, warehouse_url, run_id="run-2", guard=Guard(permitted=3))
    ((outcome, stopped),) = ask(
        warehouse_url,
        "SELECT outcome, report -> 'contacts' ->> 'stopped' FROM volt_ops.runs WHERE run_id = 'run-2'",
    )
    assert (outcome, "--yes-i-mean-it permits 3" in stopped) == ("failed", True)


async def test_of_two_pushes_the_second_says_who_is_at_work_and_writes_nothing(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    publish(warehouse_url, "contacts", *everyone(sandbox))
    publish(warehouse_url, "lists")
    begun = asyncio.Event()
    allowed = Guard(permitted=MANY)
    first = asyncio.create_task(
        pushed(sandbox, warehouse_url, guard=allowed, observe=lambda *_: begun.set(), run_id="first")
    )
    with sandbox.world.lock:  # Volt does not answer, so the first one is still at work
        while not ask(warehouse_url, "SELECT 1 FROM volt_ops.push_plans WHERE applied_at IS NOT NULL"):
            assert not first.done()
            await asyncio.sleep(0)
        with pytest.raises(LeaseHeld, match=r"Another push is at work: contacts of \+\d+ by .*\(process \d+\) since"):
            await pushed(sandbox, warehouse_url, guard=allowed, run_id="second")
        assert (await pushed(sandbox, warehouse_url, "lists", run_id="lists")).clean  # of other things, any time
    assert (await first).count("sent") == MANY
    assert begun.is_set()
    assert runs(warehouse_url) == [("first", "push", "succeeded", True), ("lists", "push", "succeeded", True)]
    assert (await pushed(sandbox, warehouse_url, guard=allowed, run_id="second")).count("unchanged") == MANY


async def test_a_push_goes_on_beside_a_sync(sandbox: Sandbox, warehouse_url: str) -> None:
    publish(warehouse_url, "contacts", *everyone(sandbox)[:3])
    ended: list[asyncio.Task[Any]] = []

    def begin(*_: Any) -> None:
        if not ended:
            ended.append(asyncio.create_task(pushed(sandbox, warehouse_url)))

    await synced(sandbox, warehouse_url, observe=begin)
    assert (await ended[0]).count("sent") == 3


async def test_a_push_that_was_taken_for_dead_sends_nothing_more(sandbox: Sandbox, warehouse_url: str) -> None:
    publish(warehouse_url, "contacts", *everyone(sandbox))

    def taken_over(*_: Any) -> None:
        ask(warehouse_url, "UPDATE volt_ops.leases SET epoch = epoch + 1")

    report = await pushed(sandbox, warehouse_url, guard=Guard(permitted=MANY), observe=taken_over)
    assert "another push has taken over" in report.stopped
    assert asked(sandbox)["createOrUpdateContact"] == report.count("sent") == 1
    assert len(recorded(warehouse_url)) == MANY
    assert runs(warehouse_url) == [("run-1", "push", "failed", True)]


async def test_a_push_that_was_cut_off_is_completed_by_the_next(sandbox: Sandbox, warehouse_url: str) -> None:
    publish(warehouse_url, "contacts", *everyone(sandbox))
    allowed = Guard(permitted=MANY)

    def kill(*_: Any) -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await pushed(sandbox, warehouse_url, guard=allowed, observe=kill)
    assert runs(warehouse_url) == [("run-1", "push", "failed", True)]
    changed = sum(each.name == f"New {each.id}" for each in sandbox.world.contacts)
    assert 1 <= changed < MANY
    report = await pushed(sandbox, warehouse_url, guard=allowed, run_id="run-2")
    assert (report.clean, report.count("sent"), report.count("unchanged")) == (True, MANY - changed, changed)


async def test_a_volt_that_errs_after_doing_everything_is_written_once(sandbox: Sandbox, warehouse_url: str) -> None:
    publish(warehouse_url, "contacts", *everyone(sandbox))
    sandbox.faults.disturb(
        disturbances.http_error(500), times=MANY, when=lambda asked: asked.is_mutation, after_effect=True
    )
    report = await pushed(sandbox, warehouse_url, guard=Guard(permitted=MANY))
    assert asked(sandbox)["createOrUpdateContact"] == MANY == report.count("sent")
    assert report.clean
    assert {reason for (reason,) in recorded(warehouse_url, "split_part(reason, '; ', 2)")} == {
        "Volt's answer was lost"
    }


async def test_an_export_of_one_row_whose_contact_volt_refuses_is_a_red_run(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contact(account: object, phone: str) -> None:
        raise Refused("Something broke", "INTERNAL_SERVER_ERROR")

    monkeypatch.setattr(sandbox.world.ledger, "contact", contact)
    publish(warehouse_url, "contacts", everyone(sandbox)[0])
    assert not (await pushed(sandbox, warehouse_url)).clean
    assert runs(warehouse_url)[0][2] != "succeeded"
    assert asked(sandbox)["createOrUpdateContact"] == 0
