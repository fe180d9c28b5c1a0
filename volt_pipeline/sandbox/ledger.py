"""The state of the world and its indexes, and the few ways in which it may change.

Everything that alters a message, a contact or a list goes through here (what takes something away: removals.py), so
that inboxes, conversations, wave totals and memberships can never disagree with each other: Volt's own totals are the
pipeline's yardstick.
"""

from __future__ import annotations

import uuid
from bisect import insort
from collections.abc import Callable, Iterator
from datetime import datetime
from random import Random

from .entities import (
    Account,
    Contact,
    ContactList,
    CustomField,
    InboxItem,
    Message,
    Organization,
    Wave,
    Webhook,
    not_found,
)
from .inboxes import Conversation, Inbox
from .rosters import Roster

INBOUND = ("received", "Incoming message received")
QUEUED = ("sending", "Message queued for delivery")


class Ledger:
    def __init__(self, organization: Organization, field_types: dict[str, str]) -> None:
        self.organization = organization
        self.field_types = field_types
        self.accounts: list[Account] = []
        self.contacts: list[Contact] = []
        self.waves: dict[str, Wave] = {}
        self.messages: dict[str, Message] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.pending: dict[str, Message] = {}
        self.scheduled: dict[str, Wave] = {}
        self.conversations: dict[str, Conversation] = {}
        self.inboxes: dict[str, Inbox] = {}
        self.rosters: dict[str, Roster] = {}
        self.watchers: list[Callable[[str, Message], None]] = []  # told of message.sent, .received and .finalized
        self.message_by_legacy_id: dict[str, Message] = {}
        self.contact_by_phone: dict[tuple[str, str], Contact] = {}
        self._by_phone: dict[str, Account] = {}
        self._last_id = 1_204_000

    def next_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    # --- look-ups ---------------------------------------------------------------------------------------------

    def account(self, primary_phone: str) -> Account:
        if primary_phone not in self._by_phone:
            raise not_found("Account")
        return self._by_phone[primary_phone]

    def contact(self, account: Account, phone: str) -> Contact | None:
        return self.contact_by_phone.get((account.id, phone))

    def legacy_message(self, legacy_id: str) -> Message | None:
        return self.message_by_legacy_id.get(legacy_id) if legacy_id else None

    def list_named(self, account: Account, name: str) -> ContactList:
        chosen = self.rosters[account.id].lists.get(name)
        if chosen is None:
            raise not_found("List")
        return chosen

    def lists(self) -> Iterator[ContactList]:
        for roster in self.rosters.values():
            yield from roster.lists.values()

    def colleague(self, contact: Contact) -> Account | None:
        """The account behind a contact that is itself one of the organization's own numbers."""
        return self._by_phone.get(contact.phone_number)

    # --- changes ----------------------------------------------------------------------------------------------

    def open_account(self, account: Account) -> None:
        self.accounts.append(account)
        self._by_phone[account.primary_phone] = account
        self.inboxes[account.id] = Inbox()
        self.rosters[account.id] = Roster()

    def add_contact(
        self,
        account: Account,
        phone: str,
        name: str,
        fields: list[CustomField],
        at: datetime,
        mapped_number: str | None = None,
    ) -> Contact:
        organization = account.organization
        contact = Contact(
            self.next_id(), account, organization, phone, name, mapped_number, fields, at, at, blocked=False
        )
        self.contacts.append(contact)
        self.conversations[contact.id] = []
        self.contact_by_phone[account.id, phone] = contact
        self.rosters[account.id].place(contact)
        return contact

    def contact_changed(self, contact: Contact, at: datetime) -> None:
        contact.last_updated_at = at
        self.rosters[contact.account.id].place(contact)

    def receive(self, rng: Random, contact: Contact, body: str, media: list[str], at: datetime) -> Message:
        account = contact.account
        message = Message(
            id=self._message_id(rng),
            legacy_id=new_legacy_id(rng),
            account=account,
            organization=account.organization,
            to_number=contact.mapped_number or account.primary_phone,
            from_number=contact.phone_number,
            status=INBOUND[0],
            status_description=INBOUND[1],
            media=media,
            body=body,
            sent_at=at,
            confirmed_at=at,
            wave=None,
            contact=contact,
        )
        self._enter(message, inbound=True)
        return message

    def send(
        self,
        rng: Random,
        contact: Contact,
        body: str,
        media: list[str],
        at: datetime,
        wave: Wave | None = None,
    ) -> Message:
        """Queue a text to a contact: still without the provider's id and time, which come as it settles."""
        account = contact.account
        message = Message(
            id=self._message_id(rng),
            legacy_id="",
            account=account,
            organization=account.organization,
            to_number=contact.phone_number,
            from_number=contact.mapped_number or account.primary_phone,
            status=QUEUED[0],
            status_description=QUEUED[1],
            media=media,
            body=body,
            sent_at=at,
            confirmed_at=None,
            wave=wave,
            contact=contact,
        )
        self.pending[message.id] = message
        if wave is not None:
            wave.total_messages += 1
        self._enter(message, inbound=False)
        return message

    def set_status(self, message: Message, status: str, description: str, at: datetime | None) -> None:
        message.status, message.status_description, message.confirmed_at = status, description, at
        if not message.is_final:
            return
        self.pending.pop(message.id, None)
        if message.wave is not None and status == "delivered":
            message.wave.total_messages_delivered += 1
        elif message.wave is not None:
            message.wave.total_messages_failed += 1
        self._tell("message.finalized", message)

    def give_legacy_id(self, message: Message, rng: Random) -> None:
        """The provider has accepted the message."""
        message.legacy_id = new_legacy_id(rng)
        self.message_by_legacy_id[message.legacy_id] = message

    def retime(self, message: Message, at: datetime) -> None:
        """Put the last message of a conversation at another moment (only while a world is being invented)."""
        conversation = self.conversations[message.contact.id]
        conversation.pop()
        if message.confirmed_at is not None:
            message.confirmed_at += at - message.sent_at
        message.sent_at = at
        insort(conversation, (at, message.id, message))
        self._refresh_inbox(message.contact, message, is_unread=None)

    def _enter(self, message: Message, *, inbound: bool) -> None:
        self.messages[message.id] = message
        if message.legacy_id:
            self.message_by_legacy_id[message.legacy_id] = message
        self._file(message.contact, message, is_unread=inbound)
        colleague = self.colleague(message.contact)
        if colleague is not None and colleague is not message.account:
            # One message between two of our own numbers stands in both conversations, as one and the same object.
            sender = self.contact(colleague, message.account.primary_phone) or self.add_contact(
                colleague, message.account.primary_phone, message.account.name, [], message.sent_at
            )
            self._file(sender, message, is_unread=True)
        self._tell("message.received" if inbound else "message.sent", message)

    def _tell(self, kind: str, message: Message) -> None:
        for watch in self.watchers:
            watch(kind, message)

    def _file(self, contact: Contact, message: Message, *, is_unread: bool) -> None:
        conversation = self.conversations[contact.id]
        insort(conversation, (message.sent_at, message.id, message))
        if conversation[-1][2] is message:
            self._refresh_inbox(contact, message, is_unread=is_unread)

    def _refresh_inbox(self, contact: Contact, message: Message, *, is_unread: bool | None) -> None:
        inbox = self.inboxes[contact.account.id]
        held = inbox.take(contact.id)
        if is_unread is None:
            is_unread = held is not None and held.is_unread
        inbox.put(InboxItem(contact.id, contact, message.body, is_unread, message.sent_at))

    def _message_id(self, rng: Random) -> str:
        return f"rf_{rng.getrandbits(48):012x}"


def new_legacy_id(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
