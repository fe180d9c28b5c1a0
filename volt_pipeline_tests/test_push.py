"""Pushes of exports to a running sandbox: what was meant is there, on record, and never written twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from volt_pipeline.sandbox.entities import Contact, Refused
from volt_pipeline.sandbox.ledger import Ledger
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.warehouse.errors import WarehouseUnfit

from .pushing import ELSEWHERE, Row, planned, publish, pushed, recorded
from .syncing import asked, new_world
from .warehouse.loading import ask


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox, request: pytest.FixtureRequest) -> Sandbox:
    """The running server, with a fresh world; tests of custom fields ask for one of either mode."""
    server.world = new_world(custom_fields_mode=getattr(request, "param", "merge"))
    return server


both_modes = pytest.mark.parametrize("sandbox", ["merge", "replace"], indirect=True)


def people(sandbox: Sandbox) -> list[Contact]:
    """Two contacts that are not blocked and have custom fields, and then one that is blocked."""
    ours = [contact for contact in sandbox.world.contacts if contact.account is sandbox.world.accounts[0]]
    free = [contact for contact in ours if contact.custom_fields and not contact.blocked]
    free[2].blocked = True
    return free[:3]


def fields(contact: Contact) -> dict[str, str]:
    return {entry.key: entry.value for entry in contact.custom_fields}


def misbehaving(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, phone: str, wrong: Callable[[Contact], None]) -> None:
    """Make Volt do something else than it was told to one contact."""
    right = ledger.contact_changed

    def contact_changed(contact: Contact, at: datetime) -> None:
        if contact.phone_number == phone:
            wrong(contact)
        right(contact, at)

    monkeypatch.setattr(ledger, "contact_changed", contact_changed)


@both_modes
async def test_contacts_become_what_the_export_says_and_then_rest(sandbox: Sandbox, warehouse_url: str) -> None:
    me = sandbox.world.accounts[0].primary_phone
    ann, bob, cas = people(sandbox)
    before = {contact.id: fields(contact) for contact in (ann, bob, cas)}
    new, unnamed = "+19185557001", "+19185557002"
    rows: list[Row] = [
        (me, ann.phone_number, "Ann Lee", {"tier": "gold"}, None),
        (me, bob.phone_number, "", None, True),
        (me, cas.phone_number, "Cas Poe", {}, False),
        (me, new, "New One", {"tier": "tin"}, None),
        (me, unnamed, None, None, None),
        (me, "+19185557003", "Wrong", {"age": 5}, None),
        (ELSEWHERE, "+19185557004", "Not ours", None, None),
    ]
    publish(warehouse_url, "contacts", *rows)
    bobs_name = bob.name
    report = await pushed(sandbox, warehouse_url)
    assert (report.planned, report.stopped, report.clean) == (7, "", True)
    assert report.outcomes == Counter({("update", "sent"): 3, ("create", "sent"): 1, ("refused", "refused"): 3})
    assert (ann.name, ann.blocked, fields(ann)) == ("Ann Lee", False, before[ann.id] | {"tier": "gold"})
    assert (bob.name, bob.blocked, fields(bob)) == (bobs_name, True, before[bob.id])
    assert (cas.name, cas.blocked, fields(cas)) == ("Cas Poe", True, before[cas.id])
    made = next(contact for contact in sandbox.world.contacts if contact.phone_number == new)
    assert (made.name, made.blocked, fields(made)) == ("New One", False, {"tier": "tin"})
    assert not [contact for contact in sandbox.world.contacts if contact.phone_number == unnamed]

    assert len(recorded(warehouse_url)) == report.planned
    ((old, sent, answer),) = ask(
        warehouse_url, "SELECT before, sent, after FROM volt_ops.pushes WHERE row_key = %s", ann.phone_number
    )
    assert {entry["key"]: entry["value"] for entry in old["customFields"]} == before[ann.id]
    assert (old["id"], sent["name"], answer["name"]) == (ann.id, "Ann Lee", "Ann Lee")

    again = await pushed(sandbox, warehouse_url, run_id="run-2")
    assert asked(sandbox)["createOrUpdateContact"] == 0
    assert again.outcomes == Counter({("unchanged", "unchanged"): 4, ("refused", "refused"): 3})
    assert again.clean


async def test_a_plan_says_what_would_be_written_and_asks_nothing(sandbox: Sandbox, warehouse_url: str) -> None:
    ann = people(sandbox)[0]
    publish(warehouse_url, "contacts", (ann.account.primary_phone, ann.phone_number, "Ann Lee", None, None))
    report = planned(sandbox, warehouse_url)
    assert report.counts == {"create": 1, "update": 0, "unchanged": 0, "refused": 0}  # the warehouse holds nobody yet
    assert asked(sandbox) == {}
    assert ann.name != "Ann Lee"
    assert recorded(warehouse_url) == []


def unblock(contact: Contact) -> None:
    contact.blocked = False


def forget_fields(contact: Contact) -> None:
    contact.custom_fields = []


@both_modes
@pytest.mark.parametrize(("wrong", "named"), [(unblock, "blocked"), (forget_fields, "custom field ")])
async def test_an_answer_that_does_harm_stops_the_push(
    sandbox: Sandbox,
    warehouse_url: str,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[Contact], None],
    named: str,
) -> None:
    chosen = sorted(people(sandbox), key=lambda contact: contact.phone_number)
    for contact in chosen:
        contact.blocked = True
    rows = [(each.account.primary_phone, each.phone_number, "Renamed", None, None) for each in chosen]
    publish(warehouse_url, "contacts", *rows)
    misbehaving(monkeypatch, sandbox.world.ledger, chosen[0].phone_number, wrong)
    report = await pushed(sandbox, warehouse_url)
    found = recorded(warehouse_url, "outcome, waited")
    assert found == [("failed", False), ("failed", True), ("failed", True)]
    assert asked(sandbox)["createOrUpdateContact"] == 1
    assert {contact.name for contact in chosen[1:]} != {"Renamed"}
    assert "read again, it differs in" in recorded(warehouse_url, "reason")[0][0]
    assert not report.clean
    assert f"Volt's answer differs from what was meant: {named}" in report.stopped
    assert chosen[0].phone_number not in report.stopped


async def test_a_contact_that_cannot_be_read_is_not_written(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, _ = people(sandbox)
    right = sandbox.world.ledger.contact

    def contact(account: Any, phone: str) -> Contact | None:
        if phone == ann.phone_number:
            raise Refused("Something broke", "INTERNAL_SERVER_ERROR")
        return right(account, phone)

    monkeypatch.setattr(sandbox.world.ledger, "contact", contact)
    rows = [(each.account.primary_phone, each.phone_number, "Renamed", None, None) for each in (ann, bob)]
    publish(warehouse_url, "contacts", *rows)
    report = await pushed(sandbox, warehouse_url)
    assert sorted(recorded(warehouse_url)) == sorted(
        [(ann.phone_number, "create", "failed"), (bob.phone_number, "update", "sent")]
    )
    assert asked(sandbox)["createOrUpdateContact"] == 1
    assert (ann.name != "Renamed", bob.name, report.clean, report.stopped) == (True, "Renamed", False, "")


async def test_what_postgres_cannot_hold_is_pushed_and_put_on_record(sandbox: Sandbox, warehouse_url: str) -> None:
    ann, bob, _ = people(sandbox)
    ann.custom_fields[0].key = ann.custom_fields[0].value = "\x00 \\u0000"
    rows = [(each.account.primary_phone, each.phone_number, "Renamed", None, None) for each in (ann, bob)]
    publish(warehouse_url, "contacts", *rows)
    report = await pushed(sandbox, warehouse_url)
    assert report.outcomes == Counter({("update", "sent"): 2})
    assert len(recorded(warehouse_url)) == 2


async def test_an_incomplete_row_costs_itself_only(sandbox: Sandbox, warehouse_url: str) -> None:
    ann = people(sandbox)[0]
    me = ann.account.primary_phone
    publish(warehouse_url, "contacts", (me, ann.phone_number, "Renamed", None, None), (me, None, "Nobody", None, None))
    report = await pushed(sandbox, warehouse_url)
    assert ann.name == "Renamed"
    assert report.planned == sum(report.outcomes.values()) == 2


async def test_an_empty_export_is_nothing_to_do_and_a_missing_one_is_said(server: Sandbox, warehouse_url: str) -> None:
    with pytest.raises(WarehouseUnfit, match=r"no table volt_exports\.export_contacts yet: run `volt-pipeline sync`"):
        await pushed(server, warehouse_url)
    publish(warehouse_url, "contacts")
    report = await pushed(server, warehouse_url)
    assert (report.planned, report.clean, asked(server)) == (0, True, {})


async def test_lists_become_what_the_export_says_and_then_rest(sandbox: Sandbox, warehouse_url: str) -> None:
    account = sandbox.world.accounts[0]
    me = account.primary_phone
    rules = [{"field": "purchases", "operator": "gte", "value": 5}]
    rows: list[Row] = [
        (me, "Keen", "All", None, rules),
        (me, "Keen Anns", "Keen", "Ann", []),
        (me, "Sourceless", "", None, rules),
        (me, "Wrong", "All", None, [{**rules[0], "operator": "like"}]),
    ]
    publish(warehouse_url, "lists", *rows)
    ask(warehouse_url, "INSERT INTO volt.accounts (id, primary_phone) VALUES (%s, %s)", account.id, me)
    report = await pushed(sandbox, warehouse_url, "lists")
    assert report.outcomes == Counter({("create", "sent"): 2, ("refused", "refused"): 2})
    lists = sandbox.world.ledger.rosters[account.id].lists
    assert (lists["Keen Anns"].query_source_list_name, lists["Keen Anns"].query_name_search_term) == ("Keen", "Ann")
    assert [rule.query_value for rule in lists["Keen"].query_custom_fields or ()] == ["5"]
    known = ask(
        warehouse_url, "SELECT account_id, key, via, read_at FROM volt_ops.discoveries WHERE key <> 'All' ORDER BY key"
    )
    assert known == [(account.id, name, "pushes", None) for name in ("Keen", "Keen Anns")]

    again = await pushed(sandbox, warehouse_url, "lists", run_id="run-2")
    assert asked(sandbox)["createOrUpdateList"] == 0
    assert again.outcomes == Counter({("unchanged", "unchanged"): 2, ("refused", "refused"): 2})

    publish(warehouse_url, "lists", (me, "Keen", "All", None, [{**rules[0], "value": 6}]))
    assert (await pushed(sandbox, warehouse_url, "lists")).outcomes == Counter({("update", "sent"): 1})
