"""What a test does to a world from outside: people and things disappear, change quietly, or write at a chosen moment.

Every operation is a real change of the world: totals, inboxes and memberships follow, and a journal keeps it. All of
them raise ValueError and change nothing where there is no such thing (any more).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from .entities import Contact, ContactList, Message, Wave


class Interventions:
    """The part of a World that makes these changes; `World` says how a change is made."""

    def clock(self) -> datetime:
        raise NotImplementedError

    def _change(self, kind: str, now: datetime, *rest: Any) -> Any:
        raise NotImplementedError

    def _alter(self, kind: str, **arguments: Any) -> Any:
        return self._change(kind, self.clock(), arguments)

    def hear(self, contact: Contact, text: str) -> Message:
        """A text from this contact, which moves its conversation to the top; keywords like STOP work."""
        return cast(Message, self._alter("hear", contact=contact.id, text=text))

    # --- disappearance ----------------------------------------------------------------------------------------

    def forget_message(self, message: Message) -> None:
        """A message disappears: from its conversation, the wave's totals and, where it was the last, the inbox."""
        self._alter("forget_message", message=message.id)

    def forget_contact(self, contact: Contact, *, keep_messages: bool = False, keep_inbox_item: bool = False) -> None:
        """A contact disappears, with its conversation and memberships.

        With `keep_messages` its messages still answer by their ids (naming no contact) and count in their waves. With
        `keep_inbox_item` the inbox goes on showing the last message, beside no contact.
        """
        self._alter("forget_contact", contact=contact.id, keep_messages=keep_messages, keep_inbox_item=keep_inbox_item)

    def forget_wave(self, wave: Wave) -> None:
        """A wave disappears; its messages stay and name no wave. One that was scheduled is never sent."""
        self._alter("forget_wave", wave=wave.id)

    def forget_list(self, chosen: ContactList) -> None:
        """A list disappears, also from its waves; lists that build on it build on its own source from then on."""
        self._alter("forget_list", chosen=chosen.id)

    def recreate_contact(self, contact: Contact) -> Contact:
        """The same phone under a new id, conversation and all; returns the new contact, the old id is gone."""
        return cast(Contact, self._alter("recreate_contact", contact=contact.id))

    def rename_list(self, chosen: ContactList, name: str) -> None:
        """The same list by another name: asked by the old one, Volt knows no such list."""
        self._alter("rename_list", chosen=chosen.id, name=name)

    # --- silent change ----------------------------------------------------------------------------------------

    def change_contact(
        self,
        contact: Contact,
        *,
        name: str | None = None,
        custom_fields: dict[str, str] | None = None,
        blocked: bool | None = None,
        phone_number: str | None = None,
        mapped_number: str | None = None,
        touch: bool = True,
    ) -> None:
        """A contact changes without any message, and the lists whose rules it now meets with it.

        What is not given stays; `custom_fields` replaces all of them, and `mapped_number=""` takes the number away.
        Without `touch` not even lastUpdatedAt tells.
        """
        self._alter(
            "change_contact",
            contact=contact.id,
            name=name,
            custom_fields=custom_fields,
            blocked=blocked,
            phone_number=phone_number,
            mapped_number=mapped_number,
            touch=touch,
        )

    def change_members(
        self, chosen: ContactList, *, join: Iterable[Contact] = (), leave: Iterable[Contact] = ()
    ) -> None:
        """Contacts join or leave a static list (ValueError for any other), and nothing else shows it."""
        self._alter(
            "change_members", chosen=chosen.id, join=[each.id for each in join], leave=[each.id for each in leave]
        )

    def flip_read(self, *contacts: Contact) -> None:
        """Conversations are read, or marked unread again, and keep their places in the inbox."""
        self._alter("flip_read", contacts=[each.id for each in contacts])
