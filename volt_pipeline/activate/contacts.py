"""Which contact is written, and with what.

What protects people: `blocked` only ever ratchets up (true stays true), custom fields are merged with those that Volt
holds, an empty name never overwrites one, and an answer that lost a field or un-blocked someone is alarming.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from volt_pipeline.activate.rows import Decision, Export
from volt_pipeline.api.inputs import ContactInput


@dataclass(frozen=True, slots=True)
class ContactWish:
    """A row of `volt_exports.export_contacts`: how a contact should be; None keeps what Volt holds."""

    account_phone: str
    phone_number: str = field(repr=False)
    name: str | None = field(repr=False)
    custom_fields: Mapping[str, Any] | None = field(repr=False)
    blocked: bool | None


def wishes(frame: pd.DataFrame) -> list[ContactWish]:
    """The rows of the export as wishes; missing values (NULL, NaN) become None."""
    return [
        ContactWish(
            row["account_phone"],
            row["phone_number"],
            row["name"],
            json.loads(row["custom_fields"]) if isinstance(row["custom_fields"], str) else row["custom_fields"],
            None if row["blocked"] is None else bool(row["blocked"]),
        )
        for row in frame.astype(object).where(frame.notna(), None).to_dict("records")
    ]


def decide(wish: ContactWish, current: Mapping[str, Any] | None) -> Decision:
    """What to do about a wish, given the contact as Volt holds it now (None: there is no such contact)."""
    wanted = wish.custom_fields or {}
    if not isinstance(wanted, Mapping) or not all(isinstance(value, str) for value in wanted.values()):
        return Decision("refused", "custom fields must be strings")
    name = (wish.name or "").strip()
    if current is None:
        if not name:
            return Decision("refused", "a new contact needs a name")
        new = ContactInput(name, wish.phone_number, wish.account_phone, wanted, bool(wish.blocked))
        return Decision("create", variables=new.variables())
    if not isinstance(current.get("blocked"), bool) or not isinstance(current.get("customFields"), list):
        return Decision("refused", "Volt does not show blocked or the custom fields, which a write would overwrite")
    held, blocked = held_fields(current), current["blocked"]
    meant = ContactInput(
        name or str(current.get("name") or ""),
        wish.phone_number,
        wish.account_phone,
        {**held, **wanted},
        blocked or bool(wish.blocked),
    )
    kept = ["blocked is kept: a push never un-blocks"] if blocked and wish.blocked is False else []
    if changed := differences(meant.variables(), current):
        return Decision("update", "; ".join([f"changed: {', '.join(changed)}", *kept]), meant.variables())
    return Decision("unchanged", "".join(kept))


def held_fields(contact: Mapping[str, Any]) -> dict[str, str]:
    """A contact's custom fields, by key."""
    return {entry["key"]: entry["value"] for entry in contact.get("customFields") or []}


def differences(meant: Mapping[str, Any], contact: Mapping[str, Any]) -> list[str]:
    """Where a contact of Volt's is not what the mutation's variables mean. Names the fields, never their values."""
    held = held_fields(contact)
    found = [
        f"custom field {entry['key']}" for entry in meant["customFields"] if held.get(entry["key"]) != entry["value"]
    ]
    return sorted(found) + [name for name in ("name", "blocked") if contact.get(name) != meant[name]]


CONTACTS: Export[ContactWish] = Export(
    name="contacts",
    query="contact",
    mutation="createOrUpdateContact",
    target=lambda wish: (wish.account_phone, wish.phone_number),
    asked=lambda wish: {"primaryPhone": wish.account_phone, "phoneNumber": wish.phone_number},
    decide=decide,
    differences=differences,
)
