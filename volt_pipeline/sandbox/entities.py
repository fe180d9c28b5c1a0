"""What Volt holds, as the sandbox holds it: one dataclass per type of the contract.

Entities point at each other directly (a message holds its contact, not the contact's id), which is how GraphQL walks
them. Times are aware datetimes; None stands for a time that Volt would answer as an empty string.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

FINAL_STATUSES = frozenset({"delivered", "failed", "received"})


class Refused(Exception):
    """The world says no. `extensions` is what GraphQL shows beside the message."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.extensions = {"code": code}


def not_found(what: str) -> Refused:
    return Refused(f"{what} not found", "NOT_FOUND")


def bad_input(message: str) -> Refused:
    return Refused(message, "BAD_USER_INPUT")


@dataclass(slots=True, eq=False)
class Organization:
    id: str
    company_name: str
    domain: str
    size: str
    industry: str
    created_at: datetime
    last_updated_at: datetime
    is_on_free_trial: bool = False
    is_active: bool = True


@dataclass(slots=True, eq=False)
class Account:
    id: str
    organization: Organization = field(repr=False)
    created_by: str
    name: str
    primary_phone: str
    created_at: datetime
    last_updated_at: datetime
    call_forwarding_number: str | None
    location: str | None
    time_zone: str
    pool: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class CustomField:
    key: str
    type: str
    value: str


@dataclass(slots=True, eq=False)
class Contact:
    """A contact. One that `is_gone` has been deleted; messages that were kept point at it, and show none."""

    id: str
    account: Account = field(repr=False)
    organization: Organization = field(repr=False)
    phone_number: str
    name: str
    mapped_number: str | None
    custom_fields: list[CustomField]
    created_at: datetime
    last_updated_at: datetime
    blocked: bool = False
    is_gone: bool = False

    def value(self, key: str) -> str | None:
        return next((entry.value for entry in self.custom_fields if entry.key == key), None)


@dataclass(slots=True, eq=False)
class ListRule:
    field: str
    operator: str
    query_value: str


@dataclass(slots=True, eq=False)
class ContactList:
    """A list. Without a source it is static (`members` holds contact ids), or it is All when `members` is None."""

    id: str
    account: Account = field(repr=False)
    created_by: str
    name: str
    created_at: datetime
    last_updated_at: datetime
    query_source_list_name: str | None = None
    query_name_search_term: str | None = None
    query_custom_fields: list[ListRule] | None = None
    members: set[str] | None = None


@dataclass(slots=True, eq=False)
class Wave:
    """One campaign. The totals are kept by the ledger as its messages are sent and settle."""

    id: str
    scheduled_at: datetime
    name: str
    account: Account | None = field(repr=False)
    organization: Organization = field(repr=False)
    body: str
    media: list[str]
    sent_by: str
    lists: list[ContactList] | None = field(repr=False)
    type: str
    state: str = "scheduled"
    contact_numbers: list[str] = field(default_factory=list)
    total_messages: int = 0
    total_messages_delivered: int = 0
    total_messages_failed: int = 0

    @property
    def scheduled_time(self) -> str:
        """In the form in which Volt wants it, there being no word on the form in which Volt shows it."""
        return self.scheduled_at.strftime("%Y-%m-%d %H:%M:%S")


@dataclass(slots=True, eq=False)
class Message:
    id: str
    legacy_id: str
    account: Account = field(repr=False)
    organization: Organization | None = field(repr=False)
    to_number: str
    from_number: str
    status: str
    status_description: str
    media: list[str]
    body: str
    sent_at: datetime
    confirmed_at: datetime | None
    wave: Wave | None = field(repr=False)
    contact: Contact = field(repr=False)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES


@dataclass(slots=True, eq=False)
class InboxItem:
    """The last word with a contact; `contact` is None where the contact has been erased and the item stayed."""

    id: str
    contact: Contact | None = field(repr=False)
    last_message: str
    is_unread: bool
    last_message_time: datetime


@dataclass(slots=True, eq=False)
class Webhook:
    id: str
    organization: Organization = field(repr=False)
    url: str
    created_at: datetime
    last_updated_at: datetime
