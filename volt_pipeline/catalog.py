"""What is synced, as data: streams and their columns. Everything else is derived from here.

One `Column` line yields the GraphQL selection (`api/fragments.py`), the row mapping (`extract/rows.py`), the table
column with its comment (`warehouse/tables.py`) and the column schema that the Dagster UI shows (`defs/assets.py`).
A new field of the API is one line in this file, plus one in a dbt staging model to show it to analysts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """The type of a column, in Postgres' words."""

    TEXT = "text"
    INTEGER = "bigint"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamptz"
    JSON = "jsonb"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `path` is its place in Volt's object ("legacyId", "account.id"); without one, the column is ours."""

    name: str
    kind: Kind
    comment: str
    path: str = ""
    selection: str = ""  # what to select below `path` where Volt gives objects


@dataclass(frozen=True, slots=True)
class Index:
    """By which columns the pipeline looks rows up, and which rows alone (`where`): docs/warehouse.md says for what."""

    name: str
    columns: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, eq=False)  # each is one of a kind, and hashed for every row
class Stream:
    """One raw table of schema `volt`.

    `query` is the query of the API that feeds it, `type_name` the GraphQL type that its rows are read from ("" when
    no single type gives them). `entity` says that the thing itself can disappear in Volt, so that the table carries
    `deleted_at`; `indexes` are what the pipeline looks rows up by beside the key.
    """

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    query: str
    type_name: str = ""
    entity: bool = True
    indexes: tuple[Index, ...] = ()

    @property
    def read(self) -> tuple[Column, ...]:
        """The columns that Volt fills, in order."""
        return tuple(column for column in self.columns if column.path)

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def key_positions(self) -> tuple[int, ...]:
        """Where in a row its key stands."""
        return tuple(self.column_names.index(name) for name in self.key)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """An append-only table: a row each time one of `tracked` is seen with another value than before."""

    name: str
    comment: str
    of: str
    key: str  # the history's name for the stream's id
    tracked: tuple[str, ...]
    unless: str = ""  # a boolean column of the stream: a row first seen with it true has no history to keep


# A message in one of these never changes again; every other status, a new one included, is asked again.
FINAL_STATUSES = frozenset({"delivered", "failed", "received"})

# Ours, in every raw table.
STAMPS = (
    Column("first_seen_at", Kind.TIMESTAMP, "When this row was first read from Volt."),
    Column(
        "loaded_at",
        Kind.TIMESTAMP,
        "When this version of the row was asked of Volt; an older answer never replaces it.",
    ),
    Column("run_id", Kind.TEXT, "The run that wrote this version (volt_ops.runs)."),
)
DELETED_AT = Column("deleted_at", Kind.TIMESTAMP, "When Volt was found to hold this no more; null while it does.")


def _text(name: str, path: str, comment: str) -> Column:
    return Column(name, Kind.TEXT, comment, path)


def _time(name: str, path: str, comment: str) -> Column:
    return Column(name, Kind.TIMESTAMP, comment, path)


def _count(name: str, path: str, comment: str) -> Column:
    return Column(name, Kind.INTEGER, comment, path)


def _flag(name: str, path: str, comment: str) -> Column:
    return Column(name, Kind.BOOLEAN, comment, path)


def _json(name: str, path: str, comment: str, selection: str = "") -> Column:
    return Column(name, Kind.JSON, comment, path, selection)


ORGANIZATIONS = Stream(
    "organizations",
    "The organization that the access token belongs to.",
    key=("id",),
    query="inbox",
    type_name="Organization",
    columns=(
        _text("id", "id", "ID of the organization tied to the access token."),
        _text(
            "company_name",
            "companyName",
            "Name of the organization that owns the phone numbers used in messaging.",
        ),
        _text("domain", "domain", "Web domain of the organization."),
        _text("size", "size", "Organization size as input during onboarding."),
        _text("industry", "industry", "Organization industry as input during onboarding."),
        _time("created_at", "createdAt", "Organization creation date."),
        _time("last_updated_at", "lastUpdatedAt", "Time the organization was last updated."),
        _flag("is_on_free_trial", "isOnFreeTrial", "If the organization is on a free trial."),
        _flag("is_active", "isActive", "If the organization is active (has not submitted a disabling request)."),
    ),
)

ACCOUNTS = Stream(
    "accounts",
    "The Volt accounts that VOLT_ACCOUNTS names: usually one a store or a team, each with a primary phone.",
    key=("id",),
    query="inbox",
    type_name="Account",
    columns=(
        _text("id", "id", "ID of the account owning the phone number."),
        _text("organization_id", "organization.id", "Root organization to which the account is associated."),
        _text("created_by", "createdBy", "Email of the user who created the account."),
        _text("name", "name", "Name of the account."),
        _text(
            "primary_phone",
            "primaryPhone",
            "Root phone number of the account (aside from numbers in a pool).",
        ),
        _time("created_at", "createdAt", "Account creation date."),
        _time("last_updated_at", "lastUpdatedAt", "Time the account was last updated."),
        _text(
            "call_forwarding_number",
            "callForwardingNumber",
            "Number to which calls to the account are forwarded.",
        ),
        _text("location", "location", "Location of the entity this account represents."),
    ),
)

ACCOUNT_NUMBERS = Stream(
    "account_numbers",
    "Our own numbers: each account's primary phone and the pool numbers learned from contacts and messages.",
    key=("account_id", "phone_number"),
    query="inbox",
    entity=False,
    columns=(
        Column("account_id", Kind.TEXT, "The account that texts from this number."),
        Column("phone_number", Kind.TEXT, "One of our own numbers."),
        Column("evidence", Kind.TEXT, "What it was learned from: primary_phone, mapped_number or message."),
    ),
)

CONTACTS = Stream(
    "contacts",
    "The people an account texts with, one row a contact.",
    key=("id",),
    query="inbox",
    type_name="Contact",
    indexes=(
        Index("contacts_account_id_phone_number_idx", ("account_id", "phone_number")),
        Index("contacts_gone_idx", ("id",), where="deleted_at IS NOT NULL"),
    ),
    columns=(
        _text("id", "id", "ID of the contact."),
        _text(
            "account_id",
            "account.id",
            "The contact's account; where Volt names none, the one it was read through.",
        ),
        _text("organization_id", "organization.id", "Root organization to which the contact is associated."),
        _text("phone_number", "phoneNumber", "The contact's receiving phone number."),
        _text("name", "name", "Name of the contact."),
        _text(
            "mapped_number",
            "mappedNumber",
            "The pool number that this contact is texted from, where pooling is on.",
        ),
        _json(
            "custom_fields",
            "customFields",
            "Custom fields: an array of {key, type, value}.",
            "{ key type value }",
        ),
        _time("created_at", "createdAt", "Contact creation date."),
        _time("last_updated_at", "lastUpdatedAt", "Time the contact was last updated."),
        _flag("blocked", "blocked", "If the contact is blocked: nothing may be sent to them."),
    ),
)

CONTACT_LISTS = Stream(
    "contact_lists",
    "Membership intervals: which contact was seen on which list, from when to when.",
    key=("contact_id", "list_id", "valid_from"),
    query="inbox",
    entity=False,
    indexes=(Index("contact_lists_list_id_idx", ("list_id",)),),
    columns=(
        Column("contact_id", Kind.TEXT, "The member."),
        Column("list_id", Kind.TEXT, "The list."),
        Column("valid_from", Kind.TIMESTAMP, "When the membership was first seen."),
        Column("valid_to", Kind.TIMESTAMP, "When it was first seen to have ended; null while it lasts."),
    ),
)

LISTS = Stream(
    "lists",
    "Contact lists, found through contacts, waves, source lists and settings (Volt lists no lists).",
    key=("id",),
    query="list",
    type_name="List",
    indexes=(Index("lists_account_id_name_idx", ("account_id", "name")),),
    columns=(
        _text("id", "id", "ID of the list."),
        _text("created_by", "createdBy", "Email of the user who created the list."),
        _text("name", "name", "Name of the list; unique within an account."),
        _time("created_at", "createdAt", "List creation date."),
        _time("last_updated_at", "lastUpdatedAt", "Time the list was last updated."),
        _text("account_id", "account.id", "Account to which the list is associated, as Volt says it."),
        _count("size", "size", "Number of contacts on this list, by Volt's own count."),
        _text(
            "query_source_list_name",
            "querySourceListName",
            "The list that the query filters; All when empty.",
        ),
        _text("query_name_search_term", "queryNameSearchTerm", "Filters the list's contacts by name."),
        _json(
            "query_custom_fields",
            "queryCustomFields",
            "Filter rules: an array of {field, operator, queryValue}.",
            "{ field operator queryValue }",
        ),
    ),
)

MESSAGES = Stream(
    "messages",
    "Every text in every conversation read, one row a Volt message ID.",
    key=("id",),
    query="conversation",
    type_name="Message",
    indexes=(
        Index("messages_account_id_contact_phone_idx", ("account_id", "contact_phone")),
        Index("messages_wave_id_idx", ("wave_id",), where="wave_id IS NOT NULL"),
        Index("messages_unsettled_idx", ("account_id",), where="NOT is_final AND deleted_at IS NULL"),
    ),
    columns=(
        _text("id", "id", "Volt's message ID (rf_*)."),
        _text("legacy_id", "legacyId", "The provider's message ID (a uuid); empty until the provider has it."),
        _text(
            "account_id",
            "account.id",
            "The message's account; where Volt names none, the one it was read through.",
        ),
        _text("organization_id", "organization.id", "Organization from which the message originated."),
        _text("to_number", "toNumber", "Number to which the message was sent."),
        _text("from_number", "fromNumber", "Number from which the message originated."),
        _text(
            "status",
            "status",
            "As Volt words it: failed, sending, sent, delivered, received, or something new.",
        ),
        _text("status_description", "statusDescription", "Detailed description of the status."),
        _json(
            "media",
            "media",
            "Media URLs: an array of strings (nested one deeper in some of Volt's examples).",
        ),
        _text("body", "body", "The text itself."),
        _time("sent_at", "sentAt", "Time the message was sent to the provider; null while it is queued."),
        _time("confirmed_at", "confirmedAt", "Time the provider confirmed the status; null until then."),
        _text("wave_id", "wave.id", "The wave that sent the message; null for a single text."),
        _text("contact_id", "contact.id", "Contact on the receiving end of the message."),
        Column("contact_phone", Kind.TEXT, "The other side of the conversation in which the message stands."),
        Column("is_final", Kind.BOOLEAN, "If the status can change no more: delivered, failed or received."),
    ),
)

WAVES = Stream(
    "waves",
    "Bulk sends, found through their messages (Volt lists no waves).",
    key=("id",),
    query="wave",
    type_name="Wave",
    columns=(
        _text("id", "id", "ID of the wave."),
        _text(
            "scheduled_time",
            "scheduledTime",
            "When the wave begins, in Volt's own words: no format is promised.",
        ),
        _text("name", "name", "Name of the wave."),
        _text(
            "account_id",
            "account.id",
            "Account from which the wave originated; null for an organization's wave.",
        ),
        _text("organization_id", "organization.id", "Root organization from which the wave originated."),
        _text("body", "body", "Message body, placeholders unfilled."),
        _json("media", "media", "Media URLs: an array of strings."),
        _text("sent_by", "sentBy", "Sending user."),
        _count("total_messages", "totalMessages", "Messages in the wave, by Volt's own count."),
        _count("total_messages_delivered", "totalMessagesDelivered", "Messages delivered, by Volt's own count."),
        _count("total_messages_failed", "totalMessagesFailed", "Messages failed, by Volt's own count."),
        _text("type", "type", "As Volt words it: contact, account, group or organization."),
    ),
)

WAVE_LISTS = Stream(
    "wave_lists",
    "Which lists a wave was sent to.",
    key=("wave_id", "list_id"),
    query="wave",
    entity=False,
    columns=(
        Column("wave_id", Kind.TEXT, "The wave."),
        Column("list_id", Kind.TEXT, "A list that the wave included."),
        Column("list_name", Kind.TEXT, "The list's name when the wave was read."),
    ),
)

INBOX_ITEMS = Stream(
    "inbox_items",
    "The inbox as last seen, one row a conversation: what tells that a conversation moved.",
    key=("account_id", "contact_phone"),
    query="inbox",
    type_name="InboxMessage",
    entity=False,
    columns=(
        Column("account_id", Kind.TEXT, "The account whose inbox it is."),
        _text("contact_phone", "contact.phoneNumber", "The contact's phone number."),
        _text("contact_id", "contact.id", "The contact."),
        _text("last_message", "lastMessage", "The last message's text."),
        _flag("is_unread", "isUnread", "If the conversation is unread."),
        _time("last_message_time", "lastMessageTime", "Time of the last message."),
    ),
)

CONVERSATIONS = Stream(
    "conversations",
    "Conversations read, one row an account and a contact's phone.",
    key=("account_id", "contact_phone"),
    query="conversation",
    entity=False,
    columns=(
        Column("account_id", Kind.TEXT, "The account."),
        Column("contact_phone", Kind.TEXT, "The contact's phone number."),
        Column("messages_total", Kind.INTEGER, "Messages in the conversation, by Volt's own count."),
    ),
)

WEBHOOKS = Stream(
    "webhooks",
    "Webhook destinations registered with Volt.",
    key=("id",),
    query="webhooks",
    type_name="Webhook",
    columns=(
        _text("id", "id", "Webhook ID."),
        _text("organization_id", "organization.id", "Organization to which this webhook is associated."),
        _text("url", "url", "Destination URL."),
        _time("created_at", "createdAt", "Webhook creation date."),
        _time("last_updated_at", "lastUpdatedAt", "Time the webhook was last updated."),
    ),
)

# In loading order: what others point to comes first.
STREAMS: tuple[Stream, ...] = (
    ORGANIZATIONS,
    ACCOUNTS,
    ACCOUNT_NUMBERS,
    CONTACTS,
    CONTACT_LISTS,
    LISTS,
    WAVES,
    WAVE_LISTS,
    INBOX_ITEMS,
    CONVERSATIONS,
    MESSAGES,
    WEBHOOKS,
)

HISTORIES: tuple[History, ...] = (
    History(
        "message_statuses",
        "Every status seen of a message; one that was final when first seen has its only status in messages.",
        of="messages",
        key="message_id",
        tracked=("status", "status_description", "confirmed_at"),
        unless="is_final",
    ),
    History(
        "contact_changes",
        "Every version of a contact that was seen.",
        of="contacts",
        key="contact_id",
        tracked=("name", "phone_number", "mapped_number", "custom_fields", "blocked"),
    ),
    History(
        "list_sizes",
        "A list's size each time it was seen to change.",
        of="lists",
        key="list_id",
        tracked=("size",),
    ),
    History(
        "wave_totals",
        "A wave's totals each time they were seen to change.",
        of="waves",
        key="wave_id",
        tracked=("total_messages", "total_messages_delivered", "total_messages_failed"),
    ),
)


def stream_of(history: History) -> Stream:
    """The stream whose changes a history keeps."""
    return next(stream for stream in STREAMS if stream.name == history.of)


# Every raw table and the query that feeds it.
QUERIES: dict[str, str] = {
    **{stream.name: stream.query for stream in STREAMS},
    **{history.name: stream_of(history).query for history in HISTORIES},
}
