"""Scheduled texts and waves: drafts until somebody answers for them, and what cannot be read back is a person's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.entities import ContactList, Wave
from volt_pipeline.sandbox.faults import Asked, Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline_tests.sendings import NOON, Hands, at_noon, course, intend, known, sent, stands, texted
from volt_pipeline_tests.warehouse.loading import ask

TOMORROW = NOON + timedelta(days=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(at_noon(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def sandbox(server: Sandbox, clock: Hands, warehouse_url: str) -> Sandbox:
    server.world, server.faults = clock.rule(at_noon()), Faults()
    known(warehouse_url, server.world)
    ask(
        warehouse_url,
        "INSERT INTO volt_staging.account_zones SELECT primary_phone, 'America/Chicago' FROM volt.accounts",
    )
    server.requests.clear()
    return server


def a_list(sandbox: Sandbox) -> ContactList:
    mine = [each for each in sandbox.world.lists if each.account is sandbox.world.accounts[0]]
    return next(each for each in mine if sandbox.world.size(each) > 1 and each.name != "All")


def wave(sandbox: Sandbox, url: str, key: str = "spring", **values: Any) -> int:
    given = {"kind": "wave", "intent_key": key, "wave_name": "Spring sale", "scheduled_at": TOMORROW, "body": "Bricks!"}
    account = sandbox.world.accounts[0].primary_phone
    return intend(url, **{**given, "account_phone": account, "list_names": [a_list(sandbox).name], **values})


def approve(url: str, size: int, key: str = "spring") -> None:
    ask(
        url,
        "INSERT INTO volt_ops.wave_approvals (intent_key, approved_by, approved_size) VALUES (%s, 'ann', %s)",
        key,
        size,
    )


def made(sandbox: Sandbox, before: int) -> list[Wave]:
    return sandbox.world.waves[before:]


async def test_a_wave_is_a_draft_until_somebody_answers_for_it(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    before = len(sandbox.world.waves)
    one, two = wave(sandbox, warehouse_url), wave(sandbox, warehouse_url, "autumn")
    approve(warehouse_url, sandbox.world.size(a_list(sandbox)), "autumn")
    await sent(sandbox, warehouse_url, clock)
    draft, scheduled = made(sandbox, before)
    assert (draft.state, scheduled.state) == ("draft", "scheduled")
    assert draft.name.startswith("Spring sale [")
    assert draft.name != scheduled.name
    assert ask(warehouse_url, "SELECT intent_id, state, wave_id, wave_status FROM volt_ops.outbox ORDER BY 1") == [
        (one, "accepted", draft.id, "draft"),
        (two, "accepted", scheduled.id, "scheduled"),
    ]
    assert scheduled.scheduled_at == TOMORROW


async def test_a_list_that_has_outgrown_its_approval_holds_the_wave(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    before, size = len(sandbox.world.waves), sandbox.world.size(a_list(sandbox))
    one = wave(sandbox, warehouse_url)
    approve(warehouse_url, size - 1)
    await sent(sandbox, warehouse_url, clock)
    held = f"its lists hold {size} contacts, more than the {size - 1} approved"
    assert stands(warehouse_url, one) == ("held", held)
    approve(warehouse_url, size)
    clock.pass_(minutes=15)
    await sent(sandbox, warehouse_url, clock)
    assert [each.state for each in made(sandbox, before)] == ["scheduled"]


async def test_members_whom_volt_does_not_know_to_be_out_hold_the_wave(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    chosen, before = a_list(sandbox), len(sandbox.world.waves)
    member = next(
        each for each in sandbox.world.contacts if chosen in sandbox.world.lists_of(each) and not each.blocked
    )
    ask(
        warehouse_url,
        "INSERT INTO volt.lists (id, account_id, name) VALUES (%s, %s, %s)",
        chosen.id,
        chosen.account.id,
        chosen.name,
    )
    ask(
        warehouse_url,
        "INSERT INTO volt.contact_lists (contact_id, list_id, valid_from) VALUES (%s, %s, now())",
        member.id,
        chosen.id,
    )
    ask(warehouse_url, "UPDATE volt_marts.contacts SET can_text = false WHERE contact_id = %s", member.id)
    one = wave(sandbox, warehouse_url)
    approve(warehouse_url, 1000)
    await sent(sandbox, warehouse_url, clock)
    state, reason = stands(warehouse_url, one)
    assert (state, str(reason)[:23]) == ("held", "1 contacts of its lists")
    assert made(sandbox, before) == []


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (NOON, "expired: scheduled_at has passed"),
        (TOMORROW.replace(hour=4), "quiet hours: scheduled_at is not between 8 and 21 o'clock at the recipient's"),
    ],
    ids=["too late", "at night"],
)
async def test_an_hour_at_which_nobody_may_be_texted(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, at: Any, reason: str
) -> None:
    one = wave(sandbox, warehouse_url, scheduled_at=at)
    two = intend(
        warehouse_url,
        kind="scheduled_message",
        account_phone=sandbox.world.accounts[0].primary_phone,
        contact_numbers=["+19185550987"],
        scheduled_at=at,
    )
    approve(warehouse_url, 1000)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == stands(warehouse_url, two) == ("rejected", reason)


async def test_a_wave_that_got_no_answer_is_for_a_person_unless_a_sync_comes_upon_it(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    before = len(sandbox.world.waves)
    lost, found = wave(sandbox, warehouse_url), wave(sandbox, warehouse_url, "autumn")
    sandbox.faults.disturb(disturbances.reset(), when=lambda asked: asked.is_mutation, after_effect=True)
    await sent(sandbox, warehouse_url, clock)
    _, second = made(sandbox, before)
    ask(warehouse_url, "INSERT INTO volt.waves (id, name) VALUES (%s, %s)", second.id, second.name)
    clock.pass_(minutes=15)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, found) == ("accepted", "found by its name")
    state, reason = stands(warehouse_url, lost)
    assert state == "needs_person"
    assert str(reason).endswith(f"look in Volt for one whose name ends in {made(sandbox, before)[0].name[-10:]}")
    assert len(made(sandbox, before)) == 2


async def test_a_null_answer_says_nothing(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = wave(sandbox, warehouse_url)
    sandbox.faults.rewrite = lambda asked, right: (
        b'{"data": {"scheduleWave": null}}' if asked.operation == "scheduleWave" else right
    )
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("unknown", "Volt's answer names no wave")


async def test_a_scheduled_message_goes_to_all_or_none(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    before, people = len(sandbox.world.waves), texted(sandbox.world)
    mine = [each for each in people if each.account is sandbox.world.accounts[0]][:3]
    numbers = [each.phone_number for each in mine]
    given = {
        "kind": "scheduled_message",
        "account_phone": mine[0].account.primary_phone,
        "contact_numbers": numbers,
        "scheduled_at": TOMORROW,
    }
    one = intend(warehouse_url, **given)
    await sent(sandbox, warehouse_url, clock)
    (scheduled,) = made(sandbox, before)
    assert (stands(warehouse_url, one)[0], scheduled.contact_numbers) == ("accepted", numbers)
    ask(warehouse_url, "INSERT INTO volt_ops.suppressions (phone_number, reason) VALUES (%s, 'asked')", numbers[1])
    two = intend(warehouse_url, **given)
    await sent(sandbox, warehouse_url, clock)
    reason = "suppressed: the recipient stands in volt_ops.suppressions, or was forgotten (1 of 3 recipients)"
    assert stands(warehouse_url, two) == ("rejected", reason)
    assert len(made(sandbox, before)) == 1


async def test_a_scheduled_message_in_doubt_cannot_be_read_back(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    ann = texted(sandbox.world)[0]
    one = intend(
        warehouse_url,
        kind="scheduled_message",
        account_phone=ann.account.primary_phone,
        contact_numbers=[ann.phone_number],
        scheduled_at=TOMORROW,
    )

    def scheduling(asked: Asked) -> bool:
        return asked.operation == "scheduleMessage"

    sandbox.faults.disturb(disturbances.http_error(500), when=scheduling, after_effect=True)
    await sent(sandbox, warehouse_url, clock)
    clock.pass_(seconds=5)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one) == ["queued", "attempting", "unknown", "needs_person"]
    assert stands(warehouse_url, one)[1] == "Volt lists no scheduled messages, so it cannot be read back"
