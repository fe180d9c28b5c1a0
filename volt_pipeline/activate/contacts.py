"""Which contact is written, and with what.

What protects people: `blocked` only ever ratchets up (true stays true, but for an approval that names who answers
for it), custom fields are merged with those that Volt holds, an empty name never overwrites one, and an answer that
lost a field or un-blocked someone is alarming.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from volt_pipeline.activate.intake import records
from volt_pipeline.activate.phones import normalised
from volt_pipeline.activate.rows import Approval, Decision, Export, Facts, ForgottenPerson, Refusal, Target
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
    return [_as_written(record) for record in records(frame)]


def wish(record: Mapping[str, Any], facts: Facts) -> ContactWish:
    """One row as a wish, its phone in E.164. Raises Refusal."""
    number = normalised(str(record["phone_number"]), record["account_phone"])
    if number in facts.own_numbers or number in facts.phones:
        raise Refusal("phone_number is one of our own numbers")
    if number in facts.forgotten:
        raise ForgottenPerson("a person who was forgotten (volt-pipeline forget): take them out of the export")
    try:
        made = _as_written({**record, "phone_number": number})
    except ValueError:
        raise Refusal("custom_fields is no JSON") from None
    if not _are_strings(made.custom_fields or {}):
        raise Refusal("custom fields must be strings")
    if made.name is not None and not isinstance(made.name, str):
        raise Refusal("name is no text")
    if not isinstance(record["blocked"], bool | type(None)) and record["blocked"] not in (0, 1):
        raise Refusal("blocked is neither true, false nor empty")
    return made


def _as_written(record: Mapping[str, Any]) -> ContactWish:
    fields, blocked = record["custom_fields"], record["blocked"]
    return ContactWish(
        record["account_phone"],
        record["phone_number"],
        record["name"],
        json.loads(fields) if isinstance(fields, str) else fields,
        None if blocked is None else bool(blocked),
    )


def decide(wish: ContactWish, current: Mapping[str, Any] | None, approval: Approval | None = None) -> Decision:
    """What to do about a wish, given the contact as Volt holds it now (None: there is no such contact)."""
    wanted = wish.custom_fields or {}
    if not _are_strings(wanted):
        return Decision("refused", "custom fields must be strings")
    name = (wish.name or "").strip()
    if current is None:
        if not name:
            return Decision("refused", "a new contact needs a name")
        new = ContactInput(name, wish.phone_number, wish.account_phone, wanted, bool(wish.blocked))
        return Decision("create", variables=new.variables())
    if not isinstance(current.get("blocked"), bool) or not isinstance(current.get("customFields"), list):
        return Decision("refused", "Volt does not show blocked or the custom fields, which a write would overwrite")
    blocked = current["blocked"]
    unblocks = blocked and wish.blocked is False and approval is not None
    meant = ContactInput(
        name or str(current.get("name") or ""),
        wish.phone_number,
        wish.account_phone,
        {**held_fields(current), **wanted},
        False if unblocks else blocked or bool(wish.blocked),
    )
    said = []
    if changed := differences(meant.variables(), current):
        said.append(f"changed: {', '.join(changed)}")
    if unblocks and approval is not None:
        said.append(f"un-blocked, approved by {approval.approved_by}")
    elif blocked and wish.blocked is False:
        said.append("blocked is kept: a push never un-blocks without a row in volt_ops.unblock_approvals")
    if changed:
        return Decision("update", "; ".join(said), meant.variables(), approval if unblocks else None)
    return Decision("unchanged", "; ".join(said))


def _are_strings(fields: Any) -> bool:
    return isinstance(fields, Mapping) and all(
        isinstance(key, str) and isinstance(value, str) for key, value in fields.items()
    )


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


def _target(record: Mapping[str, Any]) -> Target:
    return str(record["account_phone"] or ""), str(record["phone_number"] or "")


def _decide(wish: ContactWish, current: Mapping[str, Any] | None, facts: Facts) -> Decision:
    return decide(wish, current, facts.approvals.get((wish.account_phone, wish.phone_number)))


def _held(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": record["name"], "blocked": record["blocked"], "customFields": record["custom_fields"]}


CONTACTS: Export[ContactWish] = Export(
    name="contacts",
    query="contact",
    mutation="createOrUpdateContact",
    batch=25,
    wish=wish,
    target=_target,
    asked=lambda wish: {"primaryPhone": wish.account_phone, "phoneNumber": wish.phone_number},
    decide=_decide,
    differences=differences,
    held=_held,
)
