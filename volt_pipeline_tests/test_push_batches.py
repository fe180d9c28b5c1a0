"""Pushes of many contacts in documents of many aliases, with faults in the middle, to a sandbox in both behaviours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import pytest

from volt_pipeline.activate.guard import Guard
from volt_pipeline.activate.planning import WRITERS
from volt_pipeline.sandbox import disturbances, mutations
from volt_pipeline.sandbox.disturbances import Disturbance
from volt_pipeline.sandbox.entities import Contact, bad_input
from volt_pipeline.sandbox.faults import Asked, Faults
from volt_pipeline.sandbox.server import Sandbox, running

from .pushing import Row, publish, pushed, recorded
from .syncing import new_world
from .warehouse.loading import ask

MANY = 40


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture(params=["merge", "replace"])
def sandbox(server: Sandbox, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """The running server, with a fresh world of either mode and many contacts, every third of them blocked."""
    server.world = new_world(accounts=1, contacts=MANY, custom_fields_mode=request.param)
    for contact in server.world.contacts[::3]:
        contact.blocked = True
    yield server
    server.faults = Faults()


def renamed(sandbox: Sandbox) -> list[Row]:
    """An export that gives everyone another name, and would like to un-block them all."""
    me = sandbox.world.accounts[0].primary_phone
    return [(me, each.phone_number, f"New {each.id}", {"tier": "gold"}, False) for each in sandbox.world.contacts]


def state(sandbox: Sandbox) -> dict[str, tuple[bool, dict[str, str]]]:
    return {each.id: (each.blocked, fields(each)) for each in sandbox.world.contacts}


def fields(contact: Contact) -> dict[str, str]:
    return {entry.key: entry.value for entry in contact.custom_fields}


def kept(before: dict[str, tuple[bool, dict[str, str]]], sandbox: Sandbox) -> bool:
    """Whether nobody was un-blocked and no field was lost."""
    after = state(sandbox)
    return all(
        after[key][0] >= blocked and after[key][1].items() >= held.items() for key, (blocked, held) in before.items()
    )


def names(sandbox: Sandbox, rows: Sequence[Row]) -> list[str]:
    held = {each.phone_number: each.name for each in sandbox.world.contacts}
    return [held[row[1]] for row in rows]


def harm(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, phones: Collection[str]) -> None:
    """Make Volt lose the custom fields of these contacts whenever it writes them."""
    right = sandbox.world.ledger.contact_changed

    def contact_changed(contact: Contact, at: datetime) -> None:
        if contact.phone_number in phones:
            contact.custom_fields = []
        right(contact, at)

    monkeypatch.setattr(sandbox.world.ledger, "contact_changed", contact_changed)


def writes(sandbox: Sandbox) -> list[int]:
    """How many contacts each document wrote."""
    found = [asked.root_fields for asked in sandbox.requests]
    return [len(roots) for roots in found if roots[0] == "createOrUpdateContact"]


def second_document(disturbance: Disturbance, sandbox: Sandbox, *, after_effect: bool) -> None:
    def when(asked: Asked) -> bool:
        return asked.is_mutation and len(asked.root_fields) > 1

    sandbox.faults.disturb(disturbance, times=1, when=when, after_effect=after_effect)


async def test_a_push_writes_in_documents_and_the_first_holds_one(sandbox: Sandbox, warehouse_url: str) -> None:
    publish(warehouse_url, "contacts", *renamed(sandbox))
    before = state(sandbox)
    report = await pushed(sandbox, warehouse_url)
    assert report.outcomes == Counter({("update", "sent"): len(sandbox.world.contacts)})
    documents = writes(sandbox)
    assert documents[0] == 1
    assert len(documents) == 3
    assert kept(before, sandbox)
    assert {contact.name for contact in sandbox.world.contacts} == {f"New {each.id}" for each in sandbox.world.contacts}
    (reason,) = {reason for (reason,) in recorded(warehouse_url, "reason") if "blocked" in reason}
    assert "blocked is kept" in reason
    assert (await pushed(sandbox, warehouse_url, run_id="run-2")).clean
    assert writes(sandbox) == []


@pytest.mark.parametrize("after_effect", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize(
    "disturbance",
    [disturbances.reset(), disturbances.cut(), disturbances.bad_gateway(), disturbances.null_data()],
    ids=["reset", "cut", "502", "null"],
)
async def test_a_document_without_an_answer_is_read_back_and_not_sent_again(
    sandbox: Sandbox, warehouse_url: str, disturbance: Disturbance, after_effect: bool
) -> None:
    publish(warehouse_url, "contacts", *renamed(sandbox))
    before = state(sandbox)
    second_document(disturbance, sandbox, after_effect=after_effect)
    report = await pushed(sandbox, warehouse_url)
    assert sum(writes(sandbox)) == report.planned  # nothing twice
    outcome = "sent" if after_effect else "unknown"
    count = Counter(found for _, found in report.outcomes.elements())
    assert count[outcome] >= 10
    assert count["sent"] + count["unknown"] == report.planned
    assert kept(before, sandbox)
    told = ask(warehouse_url, "SELECT DISTINCT reason FROM volt_ops.pushes")
    assert any(("read back, the row is as it was meant" if after_effect else "Read back") in said for (said,) in told)

    again = await pushed(sandbox, warehouse_url, run_id="run-2")
    assert again.clean
    assert sum(writes(sandbox)) == count["unknown"]
    assert kept(before, sandbox)


async def test_a_row_that_volt_refuses_costs_itself_only_and_hears_volts_words(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = sandbox.world.contacts[MANY // 2]
    name = bad.name
    right = mutations._check_phone

    def check(argument: str, phone: str) -> None:
        if phone == bad.phone_number:
            raise bad_input(f"{argument} is not a valid phone number")
        right(argument, phone)

    monkeypatch.setattr(mutations, "_check_phone", check)
    publish(warehouse_url, "contacts", *renamed(sandbox))
    before = state(sandbox)
    report = await pushed(sandbox, warehouse_url)
    assert report.outcomes == Counter({("update", "sent"): report.planned - 1, ("update", "failed"): 1})
    assert (report.stopped, bad.name) == ("", name)
    ((key, reason),) = [row[:2] for row in recorded(warehouse_url, "row_key, reason, outcome") if row[2] == "failed"]
    assert (key, "phoneNumber is not a valid phone number" in reason) == (bad.phone_number, True)
    assert kept(before, sandbox)


@pytest.mark.parametrize("limit", ["max_root_fields", "refuse_repeated_roots"])
async def test_documents_shrink_to_what_volt_bears(sandbox: Sandbox, warehouse_url: str, limit: str) -> None:
    setattr(sandbox.faults, limit, 7 if limit == "max_root_fields" else True)
    publish(warehouse_url, "contacts", *renamed(sandbox)[:20])
    report = await pushed(sandbox, warehouse_url)
    assert report.outcomes == Counter({("update", "sent"): 20})


async def test_what_volt_answers_stands_in_the_warehouse(sandbox: Sandbox, warehouse_url: str) -> None:
    account = sandbox.world.accounts[0]
    ask(
        warehouse_url,
        "INSERT INTO volt.accounts (id, primary_phone) VALUES (%s, %s)",
        account.id,
        account.primary_phone,
    )
    publish(warehouse_url, "contacts", *renamed(sandbox))
    await pushed(sandbox, warehouse_url)
    held = dict(ask(warehouse_url, "SELECT id, name FROM volt.contacts"))
    assert held == {contact.id: contact.name for contact in sandbox.world.contacts}


async def test_after_a_wrong_answer_nothing_new_is_sent(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three more writers have read their rows and wait for the only slot when the wrong answer comes."""
    sandbox.world = new_world(accounts=1, contacts=5 * 25, custom_fields_mode="merge")
    rows = sorted(renamed(sandbox), key=lambda row: str(row[1]))  # as they are pushed
    harm(sandbox, monkeypatch, {row[1] for row in rows[25:]})
    publish(warehouse_url, "contacts", *rows)
    report = await pushed(sandbox, warehouse_url, concurrency=1, guard=Guard(permitted=len(rows)))
    assert "Volt's answer differs from what was meant" in report.stopped
    assert writes(sandbox) == [1, 24, 25]
    assert len(recorded(warehouse_url)) == report.planned == len(rows)
    assert sum(name.startswith("New ") for name in names(sandbox, rows)) == 50


async def test_what_left_before_a_wrong_answer_is_judged_and_put_on_record(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to three other documents are under way when the first wrong answer comes; they cannot be called back."""
    sandbox.world = new_world(accounts=1, contacts=9 * 25, custom_fields_mode="merge")
    rows = sorted(renamed(sandbox), key=lambda row: str(row[1]))  # as they are pushed
    harm(sandbox, monkeypatch, {row[1] for row in rows[25:]})
    publish(warehouse_url, "contacts", *rows)
    report = await pushed(sandbox, warehouse_url, guard=Guard(permitted=len(rows)))
    sent = sum(writes(sandbox))
    assert 1 < sent <= 25 + WRITERS * 25
    landed = sum(name.startswith("New ") for name in names(sandbox, rows))
    assert landed == sent
    assert len(recorded(warehouse_url)) == len(rows)
    tried = [outcome for outcome, waited in recorded(warehouse_url, "outcome, waited") if not waited]
    assert len(tried) == sent
    assert report.count("sent") in (1, 25)  # the first of all, and the rest of its document if that left in time


async def test_the_first_write_of_each_sort_goes_alone(sandbox: Sandbox, warehouse_url: str) -> None:
    me = sandbox.world.accounts[0].primary_phone
    new: list[Row] = [(me, f"+1918555{number:04}", "New", None, None) for number in range(7000, 7010)]
    publish(warehouse_url, "contacts", *new, *renamed(sandbox)[:10])
    report = await pushed(sandbox, warehouse_url)
    assert report.outcomes == Counter({("create", "sent"): 10, ("update", "sent"): 10})
    assert writes(sandbox) == [1, 1, 18]  # of the creates, of the updates, all others


async def test_the_token_is_refused_once_and_not_for_each_row(sandbox: Sandbox, warehouse_url: str) -> None:
    publish(warehouse_url, "contacts", *renamed(sandbox))
    sandbox.faults.disturb(disturbances.http_error(401), when=lambda asked: asked.is_mutation)
    report = await pushed(sandbox, warehouse_url)
    assert "VOLT_API_TOKEN" in report.stopped
    assert len(writes(sandbox)) == 1
    assert report.count("failed") == report.planned
