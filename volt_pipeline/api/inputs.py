"""What is written to Volt, typed by hand: one frozen class an input of the API text's mutations.

`variables()` gives the GraphQL variables of the mutation (or, for a rule, the input object). What is None is left
out, which Volt reads as its default; people's data is kept out of every repr.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class ListQueryOperator(StrEnum):
    """How a list's rule compares a contact's value with its own (API text: ListQueryOperator)."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"
    BF = "bf"
    AF = "af"
    IS = "is"
    HAS = "has"
    NEQ = "neq"
    NC = "nc"


class WaveType(StrEnum):
    """Whose wave it is: one account's, or the organization's (a group wave)."""

    ACCOUNT = "account"
    ORGANIZATION = "organization"


class NewWaveStatus(StrEnum):
    """A draft is not processed; a scheduled wave texts people, and nothing can call it back."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class ContactInput:
    """A whole contact, for `createOrUpdateContact`. Volt demands `custom_fields` and `blocked` each time."""

    name: str = field(repr=False)
    phone_number: str = field(repr=False)
    account_phone: str
    custom_fields: Mapping[str, str] = field(repr=False)
    blocked: bool

    def variables(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "phoneNumber": self.phone_number,
            "accountPhone": self.account_phone,
            "customFields": [{"key": key, "value": value} for key, value in self.custom_fields.items()],
            "blocked": self.blocked,
        }


@dataclass(frozen=True, slots=True)
class ListQueryRule:
    """One filter rule of a list. `query_value` is JSON text, as Volt gives and takes it; `of` makes it from a value."""

    field: str
    operator: ListQueryOperator
    query_value: str

    @classmethod
    def of(cls, field: str, operator: ListQueryOperator, value: Any) -> ListQueryRule:
        """A rule on a plain value: 5 becomes `5`, "gold" becomes `"gold"` with its quotes."""
        return cls(field, operator, json.dumps(value, ensure_ascii=False))

    def variables(self) -> dict[str, Any]:
        return {"field": self.field, "operator": str(self.operator), "queryValue": self.query_value}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list's definition, for `createOrUpdateList`. Without `query_source_list_name` Volt starts from the All list."""

    list_name: str
    query_source_list_name: str | None = None
    query_name_search_term: str | None = None
    query_custom_fields: tuple[ListQueryRule, ...] | None = None

    def variables(self, primary_phone: str) -> dict[str, Any]:
        rules = self.query_custom_fields
        query = {
            "listName": self.list_name,
            "querySourceListName": self.query_source_list_name,
            "queryNameSearchTerm": self.query_name_search_term,
            "queryCustomFields": None if rules is None else [rule.variables() for rule in rules],
        }
        return {"primaryPhone": primary_phone, "listQuery": _given(query)}


@dataclass(frozen=True, slots=True)
class MessageSchedulingJob:
    """One text to named people at a time, for `scheduleMessage`. `scheduled_time` must know its zone."""

    scheduled_time: datetime
    message_body: str = field(repr=False)
    contact_numbers: tuple[str, ...] = field(repr=False)
    media: tuple[str, ...] | None = None

    def variables(self, primary_phone: str) -> dict[str, Any]:
        job = {
            "scheduledTime": volt_time(self.scheduled_time),
            "messageBody": self.message_body,
            "contactNumbers": list(self.contact_numbers),
            "media": None if self.media is None else list(self.media),
        }
        return {"primaryPhone": primary_phone, "message": _given(job)}


@dataclass(frozen=True, slots=True)
class WaveSchedulingJob:
    """One text to whole lists at a time, for `scheduleWave`. `scheduled_time` must know its zone."""

    wave_name: str
    scheduled_time: datetime
    message_body: str = field(repr=False)
    list_names: tuple[str, ...]
    media: tuple[str, ...] | None = None

    def variables(self, wave_type: WaveType, status: NewWaveStatus, primary_phone: str | None = None) -> dict[str, Any]:
        job = {
            "waveName": self.wave_name,
            "scheduledTime": volt_time(self.scheduled_time),
            "messageBody": self.message_body,
            "listNames": list(self.list_names),
            "media": None if self.media is None else list(self.media),
        }
        wave = {"type": str(wave_type), "primaryPhone": primary_phone, "status": str(status), "wave": _given(job)}
        return _given(wave)


def volt_time(time: datetime) -> str:
    """A time as Volt takes it: UTC, `YYYY-MM-DD HH:MM:SS`. Raises ValueError for a time without a zone."""
    if time.utcoffset() is None:
        raise ValueError("a scheduled time needs a time zone: without one it could text people hours too early")
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
