"""Statuses, waves and lists that change after they were read, while nothing in the inbox moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from volt_pipeline.batch import Batch
from volt_pipeline.catalog import CONTACTS, MESSAGES
from volt_pipeline.extract.rows import row
from volt_pipeline.sandbox.entities import Message
from volt_pipeline_tests.extract.trapping import Trap
from volt_pipeline_tests.warehouse.loading import loading


async def sending(trap: Trap) -> Message:
    """A message that is on its way, and the only one."""
    world = trap.world
    world.settle(world.clock())
    await trap.sync()
    contact = next(each for each in world.contacts if not each.blocked)
    world.mutate(
        "createMessage",
        {"to": contact.phone_number, "from_": world.accounts[0].primary_phone, "body": "On its way"},
    )
    await trap.sync()
    (message,) = world.ledger.pending.values()
    return message


async def test_a_message_is_asked_again_ever_later_until_it_is_final(trap: Trap) -> None:
    message = await sending(trap)
    asked = []
    for hours in (0.02, 0.005, 0.1, 0.02, 0.1, 1, 0.3, 0.5, 10, 5, 2):
        trap.age(hours)
        trap.ask("UPDATE volt.messages SET sent_at = sent_at - %s WHERE id = %s", timedelta(hours=hours), message.id)
        await trap.sync()
        asked.append(trap.asked("message"))
        assert trap.asked("conversation") == 0
    assert asked == [1, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1]
    trap.world.settle(trap.world.clock())
    await trap.heal(1)
    versions = trap.ask(
        "SELECT status FROM volt.message_statuses WHERE message_id = %s ORDER BY observed_at", message.id
    )
    assert versions == [("sending",), (message.status,)]
    trap.age(80)
    await trap.sync()
    assert trap.asked("message") == 0
    assert trap.ask("SELECT is_final FROM volt.messages WHERE id = %s", message.id) == [(True,)]


async def test_a_message_that_is_never_final_rests_after_three_days_and_shows_it(trap: Trap) -> None:
    """Once more after three days, for nobody may have asked in between; then never."""
    message = await sending(trap)
    for hours, expected in ((71, 1), (2, 0), (200, 1), (200, 0)):
        trap.age(hours)
        trap.ask("UPDATE volt.messages SET sent_at = sent_at - %s WHERE id = %s", timedelta(hours=hours), message.id)
        await trap.sync()
        assert trap.asked("message") == expected
    assert trap.ask("SELECT is_final, status FROM volt.messages WHERE id = %s", message.id) == [(False, "sending")]


async def test_a_message_of_the_far_future_rests_as_well(trap: Trap) -> None:
    await sending(trap)
    trap.faults.patch("Message", "sentAt", "9999-12-31T00:00:00Z")
    trap.age(1)
    await trap.sync()
    for expected in (1, 0):
        trap.age(80)
        await trap.sync()
        assert trap.asked("message") == expected


async def test_a_status_that_settled_while_nobody_asked_for_days_is_found(trap: Trap) -> None:
    await sending(trap)
    trap.world.settle(trap.world.clock())
    trap.age(100)
    await trap.sync()
    trap.assert_whole()


def answer(message: Message, status: str) -> dict[str, Any]:
    return {"id": message.id, "account": {"id": message.account.id}, "status": status, "sentAt": ""}


@pytest.mark.parametrize("between", [False, True], ids=["over a change", "over what was seen again"])
async def test_a_stale_answer_never_overwrites_a_newer_one(trap: Trap, between: bool) -> None:
    """Asked earlier, committed later: be it that the newer answer changed nothing, and so was never written."""
    message = await sending(trap)
    asked_at = datetime.now(UTC) + timedelta(seconds=1)
    trap.age(1)
    if not between:
        trap.world.settle(trap.world.clock())
    await trap.sync()
    assert trap.asked("message") == 1
    trap.ask("UPDATE volt_ops.readings SET read_at = %s", asked_at)
    if not between:
        trap.ask("UPDATE volt.messages SET loaded_at = %s WHERE id = %s", asked_at, message.id)
    before = trap.ask("SELECT status FROM volt.messages WHERE id = %s", message.id)
    async with loading(trap.url, "a zombie", "+1") as loader:
        late = Batch()
        ours = {"account_id": message.account.id, "contact_phone": message.contact.phone_number, "is_final": False}
        stale = asked_at - timedelta(seconds=0.5)
        late.add(MESSAGES, row(MESSAGES, answer(message, "teleported"), stale, ours))
        contact = {"id": message.contact.id, "phoneNumber": message.contact.phone_number, "blocked": True}
        late.add(CONTACTS, row(CONTACTS, contact, stale, {"account_id": message.account.id}))
        late.add_membership(message.contact.id, stale, frozenset({"no such list"}))
        await loader.load(late)
    assert trap.ask("SELECT status FROM volt.messages WHERE id = %s", message.id) == before
    assert trap.ask("SELECT count(*) FROM volt.message_statuses WHERE status = 'teleported'") == [(0,)]
    assert trap.ask("SELECT blocked FROM volt.contacts WHERE id = %s", message.contact.id) == [(False,)]
    assert trap.ask("SELECT count(*) FROM volt.contact_lists WHERE list_id = 'no such list'") == [(0,)]
    trap.world.settle(trap.world.clock())
    trap.ask("UPDATE volt_ops.readings SET read_at = now()")
    trap.ask("UPDATE volt.messages SET loaded_at = least(loaded_at, now())")
    await trap.heal(1)


async def test_waves_are_read_until_their_totals_rest_and_keep_the_curve(trap: Trap) -> None:
    world = trap.begin(contacts=8)
    world.settle(world.clock())
    await trap.sync()
    chosen = next(message.wave for message in world.messages if message.wave)
    assert chosen
    curve = [(chosen.total_messages_delivered, chosen.total_messages_failed)]
    for delivered in (1, 2):
        chosen.total_messages += 2
        await trap_hour(trap, full=delivered == 1)
        curve.append((chosen.total_messages_delivered, chosen.total_messages_failed))
        chosen.total_messages_delivered += 1
        await trap_hour(trap)
        curve.append((chosen.total_messages_delivered, chosen.total_messages_failed))
    chosen.total_messages_failed = chosen.total_messages - chosen.total_messages_delivered
    await trap_hour(trap)
    assert trap.asked("wave") == 1
    curve.append((chosen.total_messages_delivered, chosen.total_messages_failed))
    held = trap.ask(
        "SELECT total_messages_delivered, total_messages_failed FROM volt.wave_totals WHERE wave_id = %s "
        "ORDER BY observed_at",
        chosen.id,
    )
    assert held == curve
    await trap_hour(trap)
    assert trap.asked("wave") == 0  # at rest


async def trap_hour(trap: Trap, **options: Any) -> None:
    trap.age(1)
    await trap.sync(**options)


async def test_a_list_s_size_is_read_each_day_and_keeps_its_curve(trap: Trap) -> None:
    world = trap.begin()
    chosen = next(each for each in world.lists if each.members is not None)
    world.change_members(chosen, join=world.contacts[:2])
    await trap.sync()
    sizes = [world.size(chosen)]
    for joining in world.contacts[2:4]:
        world.change_members(chosen, join=[joining], leave=world.contacts[:1])
        sizes.append(world.size(chosen))
        world.change_members(chosen, join=world.contacts[:1])
        sizes[-1] = world.size(chosen)
        trap.age(25)
        await trap.sync()
    held = trap.ask("SELECT size FROM volt.list_sizes WHERE list_id = %s ORDER BY observed_at", chosen.id)
    assert [size for (size,) in held] == sizes
    assert len(set(sizes)) == 3
    trap.assert_whole()
