"""What a complete sync can hold, in Volt's own values, to compare a warehouse with row for row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .entities import Contact, ContactList, Message, Wave
from .ledger import Ledger
from .paging import stamp
from .rosters import ALL

# The tables, each {id: {column: value}} but for two: memberships is a set of (contact_id, list_id), and inbox is
# {(account_id, contact's phone): (last_message_time, last_message, is_unread)}.
Tables = dict[str, Any]


def snapshot(ledger: Ledger, *, everything: bool) -> Tables:
    contacts = ledger.contacts if everything else shown(ledger)
    waves = list(ledger.waves.values()) if everything else named_waves(ledger)
    lists = list(ledger.lists()) if everything else reachable_lists(ledger, contacts, waves)
    messages = list(ledger.messages.values()) if everything else filed_messages(ledger)
    return {
        "organizations": {ledger.organization.id: _row(ledger.organization)},
        "accounts": {each.id: _row(each, "time_zone", "pool") for each in ledger.accounts},
        "contacts": {each.id: _contact(each) for each in contacts},
        "messages": {each.id: _message(each) for each in messages},
        "waves": {each.id: _wave(each) for each in waves},
        "lists": {each.id: _list(ledger, each) for each in lists},
        "memberships": {
            (each.id, chosen.id) for each in contacts for chosen in ledger.rosters[each.account.id].lists_of(each)
        },
        "wave_lists": {(wave.id, each.id) for wave in waves for each in wave.lists or ()},
        "inbox": {
            (account.id, item.contact.phone_number): (stamp(at), item.last_message, item.is_unread)
            for account in ledger.accounts
            for at, _, item in ledger.inboxes[account.id].entries
            if item.contact is not None
        },
        "webhooks": {each.id: _row(each) for each in ledger.webhooks.values()},
    }


def shown(ledger: Ledger) -> list[Contact]:
    """The contacts that an inbox shows."""
    return [contact for contact in ledger.contacts if ledger.conversations[contact.id]]


def filed_messages(ledger: Ledger) -> list[Message]:
    """The messages that stand in a conversation, each once."""
    return list({identity: each for talk in ledger.conversations.values() for _, identity, each in talk}.values())


def named_waves(ledger: Ledger) -> list[Wave]:
    """The waves that such a message names."""
    named = {message.wave.id for message in filed_messages(ledger) if message.wave is not None}
    return [wave for wave in ledger.waves.values() if wave.id in named]


def reachable_lists(ledger: Ledger, contacts: list[Contact], waves: list[Wave]) -> list[ContactList]:
    """All, the lists of these contacts and waves, and what those lists are built on."""
    rosters = ledger.rosters
    found = {each.id: each for wave in waves for each in wave.lists or ()}
    found |= {roster.lists[ALL].id: roster.lists[ALL] for roster in rosters.values()}
    for contact in contacts:
        found.update((each.id, each) for each in rosters[contact.account.id].lists_of(contact))
    fresh = list(found.values())
    while fresh:
        chosen = fresh.pop()
        if chosen.query_source_list_name is not None:
            source = rosters[chosen.account.id].lists[chosen.query_source_list_name]
            if source.id not in found:
                found[source.id] = source
                fresh.append(source)
    return list(found.values())


def _row(entity: Any, *left_out: str) -> dict[str, Any]:
    """An entity's own columns: times as Volt writes them, the entities it points at by their ids."""
    row: dict[str, Any] = {}
    for name in entity.__dataclass_fields__:
        value = getattr(entity, name)
        if name in left_out:
            continue
        if name in ("account", "organization", "wave", "contact"):
            row[f"{name}_id"] = None if value is None else value.id
        else:
            row[name] = stamp(value) if isinstance(value, datetime) else value
    return row


def _contact(contact: Contact) -> dict[str, Any]:
    fields = [{"key": each.key, "type": each.type, "value": each.value} for each in contact.custom_fields]
    return {**_row(contact, "is_gone"), "custom_fields": fields}


def _message(message: Message) -> dict[str, Any]:
    row = _row(message)
    contact_id = None if message.contact.is_gone else message.contact.id
    return {**row, "confirmed_at": row["confirmed_at"] or "", "contact_id": contact_id, "media": list(message.media)}


def _wave(wave: Wave) -> dict[str, Any]:
    row = _row(wave, "scheduled_at", "lists", "state", "contact_numbers")
    return {**row, "scheduled_time": wave.scheduled_time, "media": list(wave.media)}


def _list(ledger: Ledger, chosen: ContactList) -> dict[str, Any]:
    rules = chosen.query_custom_fields
    return {
        **_row(chosen, "members"),
        "size": ledger.rosters[chosen.account.id].size(chosen),
        "query_custom_fields": None
        if rules is None
        else [{"field": each.field, "operator": each.operator, "queryValue": each.query_value} for each in rules],
    }
