"""What disappears from Volt is buried, but only after three clean nulls beside a canary; and rises when it is back."""

from __future__ import annotations

from volt_pipeline.extract.lookups import TokenSeesNothing
from volt_pipeline_tests.extract.trapping import Trap


async def nulls(trap: Trap, times: int) -> None:
    for _ in range(times):
        trap.age(25)
        await trap.sync()


async def test_a_contact_is_buried_after_three_clean_nulls_and_what_is_its_own_with_it(trap: Trap) -> None:
    world = trap.begin()
    contact = world.contacts[1]
    messages = {key for _, key, _ in world.ledger.conversations[contact.id]}
    await trap.sync()
    world.forget_contact(contact)
    await nulls(trap, 2)
    assert (trap.buried("contacts"), trap.buried("messages")) == (set(), set())
    await nulls(trap, 1)
    assert trap.buried("contacts") == {contact.id}
    await nulls(trap, 4)
    assert trap.buried("messages") == messages
    assert trap.ask(
        "SELECT count(*) FROM volt.contact_lists WHERE contact_id = %s AND valid_to IS NULL", contact.id
    ) == [(0,)]
    await trap.heal(1, full=True)
    assert trap.gaps == []


async def test_a_contact_that_leaves_its_messages_behind(trap: Trap) -> None:
    world = trap.begin()
    contact = world.contacts[1]
    await trap.sync()
    world.forget_contact(contact, keep_messages=True, keep_inbox_item=True)
    await nulls(trap, 5)
    assert trap.buried("contacts") == {contact.id}
    assert trap.buried("messages") == set()
    assert trap.rejects == []


async def test_the_canary_may_be_gone_as_well(trap: Trap) -> None:
    """Many contacts are gone at once, among them those that Volt showed last."""
    world = trap.begin(contacts=8)
    await trap.sync()
    gone = [contact for contact in world.contacts if contact.phone_number][:3]
    for contact in gone:
        world.forget_contact(contact)
    for _ in range(12):
        trap.age(5)
        await trap.sync()
    assert trap.buried("contacts") == {contact.id for contact in gone}
    await trap.heal(4, full=True)


async def test_nothing_is_buried_without_a_canary(trap: Trap) -> None:
    """The only contact that an inbox ever showed."""
    world = trap.begin(contacts=2)
    await trap.sync()
    for contact in world.contacts.copy():
        world.forget_contact(contact)
    for _ in range(5):
        trap.age(25)
        await trap.attempt()
    assert trap.buried("contacts") == set()


async def test_a_message_is_buried_where_a_conversation_holds_too_many(trap: Trap) -> None:
    world = trap.begin(conversation_page=6)
    await trap.sync()
    contact = world.contacts[0]
    _, _, message = world.ledger.conversations[contact.id][3]
    world.forget_message(message)
    world.hear(contact, "Where is it?")
    await trap.sync()
    assert [(stream, gap) for stream, _, _, _, gap in trap.gaps] == [("messages", -1)]
    assert trap.buried("messages") == set()
    await nulls(trap, 4)
    assert trap.buried("messages") == {message.id}
    await trap.heal(1, full=True)
    assert trap.gaps == []


async def test_an_unsettled_message_that_disappears_is_buried(trap: Trap) -> None:
    world = trap.begin()
    contact = next(each for each in world.contacts if not each.blocked)
    phone = world.accounts[0].primary_phone
    sent = world.mutate("createMessage", {"to": contact.phone_number, "from_": phone, "body": "Gone soon"})
    await trap.sync()
    world.forget_message(sent)
    for _ in range(4):
        trap.age(9)
        await trap.sync()
    assert trap.buried("messages") == {sent.id}
    await trap.heal(2, full=True)


async def test_a_wave_is_buried_after_three_clean_nulls(trap: Trap) -> None:
    world = trap.begin(contacts=8)
    await trap.sync()
    wave = next(message.wave for message in world.messages if message.wave)
    assert wave
    wave.total_messages += 1  # so that it is not at rest
    await trap.sync(full=True)
    world.forget_wave(wave)
    await nulls(trap, 2)
    assert trap.buried("waves") == set()
    await nulls(trap, 2)
    assert trap.buried("waves") == {wave.id}
    await trap.heal(1, full=True)


async def test_a_list_is_buried_after_three_not_founds(trap: Trap) -> None:
    world = trap.begin()
    chosen = next(each for each in world.lists if each.members is not None)
    world.change_members(chosen, join=world.contacts[:2])
    await trap.sync()
    world.forget_list(chosen)
    await nulls(trap, 2)
    assert trap.buried("lists") == set()
    await nulls(trap, 2)
    assert trap.buried("lists") == {chosen.id}
    await trap.heal(1)


async def test_a_list_that_is_renamed_is_not_buried(trap: Trap) -> None:
    world = trap.begin()
    chosen = next(each for each in world.lists if each.members is not None)
    world.change_members(chosen, join=world.contacts[:2])
    await trap.sync()
    world.rename_list(chosen, "AAA, as it is called now")
    await nulls(trap, 5)
    assert trap.buried("lists") == set()
    await trap.heal(1)


async def test_a_contact_that_comes_again_under_another_id_retires_the_old_one(trap: Trap) -> None:
    world = trap.begin()
    await trap.sync()
    old = world.contacts[1]
    new = world.recreate_contact(old)
    await trap.heal(2)
    assert (trap.buried("contacts"), new.id in trap.held("contacts")) == ({old.id}, True)
    assert trap.ask("SELECT count(*) FROM volt.contact_lists WHERE contact_id = %s AND valid_to IS NULL", old.id) == [
        (0,)
    ]


async def test_what_is_back_rises_again(trap: Trap) -> None:
    """Restored from a backup, say: the very same contact with the very same messages, waves and lists."""
    before = trap.begin()
    chosen = next(each for each in before.lists if each.members is not None)
    before.change_members(chosen, join=before.contacts[:2])
    await trap.sync()
    after = trap.begin(now=before.clock())
    for world_list in after.lists:
        if world_list.members is not None and world_list.name == chosen.name:
            after.forget_list(world_list)
    after.forget_contact(next(each for each in after.contacts if each.id == before.contacts[1].id))
    await nulls(trap, 9)
    assert trap.buried("contacts") == {before.contacts[1].id}
    assert trap.buried("lists") == {chosen.id}
    assert trap.buried("messages") != set()
    trap.sandbox.world = before
    await trap.heal(4)
    assert (trap.buried("contacts"), trap.buried("messages"), trap.buried("lists")) == (set(), set(), set())


async def test_a_conversation_whose_messages_are_all_gone_leaves_the_inbox(trap: Trap) -> None:
    world = trap.begin()
    contact = next(each for each in world.contacts if len(world.ledger.conversations[each.id]) > 1)
    texts = [message for _, _, message in world.ledger.conversations[contact.id]]
    await trap.sync()
    for message in texts:
        world.forget_message(message)
    await nulls(trap, 4)
    assert trap.buried("messages") == {message.id for message in texts}
    await nulls(trap, 1)
    assert (trap.gaps, trap.buried("contacts")) == ([], set())
    world.hear(contact, "Are you still there?")
    await trap.heal()
    assert trap.gaps == []


async def test_a_conversation_that_empties_before_it_was_ever_read_leaves_the_inbox(trap: Trap) -> None:
    world = trap.begin()
    contact = next(each for each in world.contacts if len(world.ledger.conversations[each.id]) > 1)
    await trap.killed("inbox pages")
    for _, _, message in world.ledger.conversations[contact.id].copy():
        world.forget_message(message)
    await nulls(trap, 3)
    assert (trap.gaps, trap.rejects) == ([], [])
    trap.assert_whole()


async def test_a_webhook_is_buried_after_three_lists_without_it(trap: Trap) -> None:
    world = trap.begin()
    mine, others = (world.mutate("registerWebhook", {"url": f"https://example.com/{name}"}) for name in "ab")
    await trap.sync()
    world.mutate("deleteWebhook", {"id_": mine.id})
    await nulls(trap, 2)
    assert trap.buried("webhooks") == set()
    await nulls(trap, 1)
    assert trap.buried("webhooks") == {mine.id}
    world.mutate("deleteWebhook", {"id_": others.id})
    await nulls(trap, 3)
    assert trap.buried("webhooks") == {mine.id, others.id}
    trap.assert_quiet()


async def test_no_webhook_is_buried_while_the_token_shows_nothing(trap: Trap) -> None:
    world = trap.begin()
    webhook = world.mutate("registerWebhook", {"url": "https://example.com/a"})
    await trap.sync()
    trap.faults.failing_contacts.update(contact.id for contact in world.contacts)
    world.mutate("deleteWebhook", {"id_": webhook.id})
    for _ in range(4):
        trap.age(1)
        assert isinstance(await trap.attempt(), TokenSeesNothing)
    assert trap.buried("webhooks") == set()
