"""What disappears from the world, and what else follows from that: totals, inboxes and memberships stay consistent."""

from __future__ import annotations

from datetime import datetime

from .entities import Contact, ContactList, InboxItem, Message, Wave
from .ledger import Ledger


def forget_message(ledger: Ledger, message: Message) -> None:
    """As if it had never been sent; the inbox shows the message before it, or nothing."""
    del ledger.messages[message.id]
    ledger.pending.pop(message.id, None)
    ledger.message_by_legacy_id.pop(message.legacy_id, None)
    if message.wave is not None:
        message.wave.total_messages -= 1
        message.wave.total_messages_delivered -= message.status == "delivered"
        message.wave.total_messages_failed -= message.is_final and message.status != "delivered"
    _unfile(ledger, message.contact, message)
    colleague = ledger.colleague(message.contact)
    if colleague is not None:
        sender = ledger.contact(colleague, message.account.primary_phone)
        if sender is not None:
            _unfile(ledger, sender, message)


def _unfile(ledger: Ledger, contact: Contact, message: Message) -> None:
    conversation = ledger.conversations.get(contact.id, [])
    entry = (message.sent_at, message.id, message)
    if entry not in conversation:
        return
    was_last = conversation[-1][2] is message
    conversation.remove(entry)
    if not was_last:
        return
    inbox = ledger.inboxes[contact.account.id]
    held = inbox.take(contact.id)
    if conversation and held is not None:
        at, _, last = conversation[-1]
        inbox.put(InboxItem(contact.id, contact, last.body, held.is_unread, at))


def forget_contact(ledger: Ledger, contact: Contact, *, keep_messages: bool, keep_inbox_item: bool) -> None:
    held = ledger.inboxes[contact.account.id].take(contact.id)
    for _, _, message in ledger.conversations[contact.id].copy():
        if message.contact is contact and not keep_messages:
            forget_message(ledger, message)
    if held is not None and keep_inbox_item:
        held.contact = None
        ledger.inboxes[contact.account.id].put(held)
    del ledger.conversations[contact.id]
    _strike_off(ledger, contact)
    contact.is_gone = True


def _strike_off(ledger: Ledger, contact: Contact) -> None:
    ledger.contacts.remove(contact)
    del ledger.contact_by_phone[contact.account.id, contact.phone_number]
    ledger.rosters[contact.account.id].leave(contact)


def recreate_contact(ledger: Ledger, contact: Contact, at: datetime) -> Contact:
    """The same person under a new id: phone, fields, static lists, conversation and place in the inbox stay."""
    roster = ledger.rosters[contact.account.id]
    on = [each.members for each in roster.lists.values() if each.members is not None and contact.id in each.members]
    talk, held = ledger.conversations.pop(contact.id), ledger.inboxes[contact.account.id].take(contact.id)
    _strike_off(ledger, contact)
    again = ledger.add_contact(
        contact.account, contact.phone_number, contact.name, contact.custom_fields, at, contact.mapped_number
    )
    again.blocked = contact.blocked
    for members in on:
        members.add(again.id)
    roster.place(again)
    ledger.conversations[again.id] = talk
    for _, _, message in talk:
        if message.contact is contact:
            message.contact = again
    if held is not None:
        held.id, held.contact = again.id, again
        ledger.inboxes[contact.account.id].put(held)
    contact.is_gone = True
    return again


def forget_wave(ledger: Ledger, wave: Wave) -> None:
    """Its messages stay and belong to no wave."""
    del ledger.waves[wave.id]
    ledger.scheduled.pop(wave.id, None)
    for message in ledger.messages.values():
        if message.wave is wave:
            message.wave = None


def forget_list(ledger: Ledger, chosen: ContactList) -> None:
    ledger.rosters[chosen.account.id].drop(chosen)
    for wave in ledger.waves.values():
        if wave.lists is not None:
            wave.lists = [each for each in wave.lists if each is not chosen]
