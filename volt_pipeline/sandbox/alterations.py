"""What may befall a world without any message and behind the API's back, as changes of the ledger.

Each is journalled like a mutation: arguments are plain JSON values, and those that cannot be are refused unchanged.
"""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any

from . import removals
from .delivery import hear
from .entities import Contact, ContactList, CustomField, Message
from .ledger import Ledger
from .rosters import ALL


class Alterations:
    """The alterations at one moment: made for a single change, with its time and its own generator."""

    NAMES = frozenset(
        {
            "hear",
            "forget_message",
            "forget_contact",
            "forget_wave",
            "forget_list",
            "recreate_contact",
            "rename_list",
            "change_contact",
            "change_members",
            "flip_read",
        }
    )

    def __init__(self, ledger: Ledger, rng: Random, at: datetime) -> None:
        self.ledger = ledger
        self.rng = rng
        self.at = at

    def apply(self, name: str, arguments: dict[str, Any]) -> Any:
        return getattr(self, name)(**arguments)

    def hear(self, contact: str, text: str) -> Message:
        return hear(self.ledger, self.rng, self._contact(contact), text, self.at)

    def forget_message(self, message: str) -> None:
        removals.forget_message(self.ledger, _held(self.ledger.messages, "message", message))

    def forget_contact(self, contact: str, keep_messages: bool, keep_inbox_item: bool) -> None:
        removals.forget_contact(
            self.ledger, self._contact(contact), keep_messages=keep_messages, keep_inbox_item=keep_inbox_item
        )

    def forget_wave(self, wave: str) -> None:
        removals.forget_wave(self.ledger, _held(self.ledger.waves, "wave", wave))

    def forget_list(self, chosen: str) -> None:
        removals.forget_list(self.ledger, self._list(chosen))

    def recreate_contact(self, contact: str) -> Contact:
        return removals.recreate_contact(self.ledger, self._contact(contact), self.at)

    def rename_list(self, chosen: str, name: str) -> None:
        found = self._list(chosen)
        roster = self.ledger.rosters[found.account.id]
        if not name or name in roster.lists:
            raise ValueError(f"the account has a list {name!r} already")
        roster.rename(found, name)
        found.last_updated_at = self.at

    def change_contact(
        self,
        contact: str,
        name: str | None,
        custom_fields: dict[str, str] | None,
        blocked: bool | None,
        phone_number: str | None,
        mapped_number: str | None,
        touch: bool,
    ) -> None:
        found = self._contact(contact)
        if phone_number is not None:
            self._give_phone(found, phone_number)
        found.name = found.name if name is None else name
        found.blocked = found.blocked if blocked is None else blocked
        found.mapped_number = found.mapped_number if mapped_number is None else mapped_number or None
        if custom_fields is not None:
            types = self.ledger.field_types
            found.custom_fields = [
                CustomField(key, types.setdefault(key, "string"), value) for key, value in custom_fields.items()
            ]
        self.ledger.contact_changed(found, self.at if touch else found.last_updated_at)

    def change_members(self, chosen: str, join: list[str], leave: list[str]) -> None:
        found = self._list(chosen)
        if found.members is None:
            raise ValueError(f"{found.name!r} is no static list: its rules say who is on it")
        roster = self.ledger.rosters[found.account.id]
        joining = {_held(roster.contacts, "contact of this account", each).id for each in join}
        found.members = (found.members | joining) - set(leave)
        roster.keep()

    def flip_read(self, contacts: list[str]) -> None:
        items = [_held(self._inbox_of(self._contact(each)), "inbox item of contact", each) for each in contacts]
        for item in items:
            item.is_unread = not item.is_unread

    def _inbox_of(self, contact: Contact) -> dict[str, Any]:
        return self.ledger.inboxes[contact.account.id].item_of

    def _give_phone(self, contact: Contact, phone: str) -> None:
        by_phone = self.ledger.contact_by_phone
        if (contact.account.id, phone) in by_phone or self.ledger.colleague(contact) is not None:
            raise ValueError(f"this contact cannot have the phone {phone}")
        del by_phone[contact.account.id, contact.phone_number]
        contact.phone_number = phone
        by_phone[contact.account.id, phone] = contact

    def _contact(self, identity: str) -> Contact:
        for roster in self.ledger.rosters.values():
            if identity in roster.contacts:
                return roster.contacts[identity]
        raise ValueError(f"there is no contact {identity}")

    def _list(self, identity: str) -> ContactList:
        """Any list but All, which is no one's to change."""
        found = next((each for each in self.ledger.lists() if each.id == identity), None)
        if found is None or found.name == ALL:
            raise ValueError(f"there is no list {identity} that could be changed")
        return found


def _held(held: dict[str, Any], what: str, identity: str) -> Any:
    if identity not in held:
        raise ValueError(f"there is no {what} {identity}")
    return held[identity]
