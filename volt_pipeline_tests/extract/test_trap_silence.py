"""What changes without any sign: read flags far down the inbox, contacts, memberships."""

from __future__ import annotations

from volt_pipeline_tests.extract.trapping import Trap


async def test_read_flags_below_the_first_page_are_found_once_a_day(trap: Trap) -> None:
    world = trap.begin(contacts=6, inbox_page=2)
    world.hear(world.contacts[-1], "The last word")
    await trap.sync()
    flipped = [item.contact for _, _, item in world.ledger.inboxes[world.accounts[0].id].entries if item.contact][:2]
    world.flip_read(*flipped)
    await trap.sync()
    held = dict(trap.ask("SELECT contact_id, is_unread FROM volt.inbox_items"))
    items = world.ledger.inboxes[world.accounts[0].id].item_of
    assert [held[contact.id] for contact in flipped] == [not items[contact.id].is_unread for contact in flipped]
    await trap.heal(1)
    assert trap.asked("conversation") == 0  # a read flag moves nothing
    await trap.sync()
    assert trap.asked("inbox") == 1  # and that was it for a day


async def test_contacts_that_change_without_a_message_are_found_within_a_day(trap: Trap) -> None:
    world = trap.begin(contacts=6)
    await trap.sync()
    first, second, third, *_ = world.contacts
    world.change_contact(first, name="Somebody Else", touch=False)
    world.change_contact(second, blocked=not second.blocked, touch=False)
    world.change_contact(third, custom_fields={"loyalty_member": "true"}, touch=False)
    found, asked = set(), 0
    for _ in range(5):  # every six hours, and never through the inbox
        trap.age(6)
        trap.ask("UPDATE volt_ops.walks SET whole_at = now()")
        report = await trap.sync()
        asked += trap.asked("contact")
        assert report.oldest_contact_reading is not None
        assert report.oldest_contact_reading < 25 * 3600
        found |= {
            key
            for (key,) in trap.ask(
                "SELECT DISTINCT contact_id FROM volt.contact_changes WHERE observed_at > now() - interval '5 minutes'"
            )
        }
    assert {first.id, second.id, third.id} <= found
    assert asked <= 2 * len(world.contacts) + 2
    names = trap.ask("SELECT name FROM volt.contact_changes WHERE contact_id = %s ORDER BY observed_at", first.id)
    assert [name for (name,) in names][-1] == "Somebody Else"
    assert len(names) == 2
    trap.assert_whole()


async def test_the_age_of_the_oldest_reading_is_told(trap: Trap) -> None:
    trap.begin(contacts=8, inbox_page=1)
    await trap.sync()
    trap.ask("UPDATE volt_ops.readings SET read_at = read_at - interval '10 hours' WHERE kind = 'contact'")
    report = await trap.sync()
    assert report.oldest_contact_reading is not None
    assert 9 * 3600 < report.oldest_contact_reading < 11 * 3600


async def test_memberships_begin_and_end_when_they_were_seen_to(trap: Trap) -> None:
    world = trap.begin()
    chosen = next(each for each in world.lists if each.members is not None)
    staying, leaving, joining = world.contacts[:3]
    world.change_members(chosen, join=[staying, leaving], leave=[joining])
    await trap.sync()
    world.change_members(chosen, join=[joining], leave=[leaving])
    await trap.heal(1)
    world.change_members(chosen, join=[leaving])
    await trap.heal(1)
    held = trap.ask(
        "SELECT contact_id, valid_from < valid_to, valid_to IS NULL FROM volt.contact_lists WHERE list_id = %s "
        "AND contact_id = ANY(%s) ORDER BY contact_id, valid_from",
        chosen.id,
        [staying.id, leaving.id, joining.id],
    )
    expected = [(staying.id, None, True), (leaving.id, True, False), (leaving.id, None, True), (joining.id, None, True)]
    assert sorted(held, key=str) == sorted(expected, key=str)
