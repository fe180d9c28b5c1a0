"""A small Volt, written straight into the raw tables: each row is here because a mart could get it wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from volt_pipeline.catalog import FINAL_STATUSES
from volt_pipeline.warehouse.tables import METADATA

# The primary phones of the demo's stores, so that the demo's CRM fits.
TULSA, PHOENIX, DENVER = "+19185550100", "+16025550100", "+13035550100"
ACCOUNTS = {"1": ("Tulsa Store", TULSA), "2": ("Phoenix Store", PHOENIX), "3": ("Denver Store", DENVER)}
POOLED = "+19185550500"
MARIA, JAMES, AISHA, WYATT, LINH = (f"+1918555700{number}" for number in range(1, 6))
GHOST, NOBODY = "+19185557009", "+19185557010"
NOAH, ROSA, SAM = "+16025557001", "+13035557001", "+13035557002"

NOON = datetime(2026, 7, 1, 17, 0, tzinfo=UTC)  # noon in Tulsa
_SERIAL = count(1)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def text(account: str, contact: str, body: str, hours: float, **given: Any) -> dict[str, Any]:
    """A message: from the contact unless `status` says that it was sent."""
    own = ACCOUNTS[account][1]
    status = given.get("status", "received")
    sender, recipient = (contact, own) if status == "received" else (own, contact)
    number = next(_SERIAL)
    return {
        "id": f"rf_{number}",
        "legacy_id": f"legacy-{number}",
        "account_id": account,
        "contact_phone": contact,
        "from_number": sender,
        "to_number": recipient,
        "status": status,
        "body": body,
        "media": [],
        "sent_at": at(hours),
        "is_final": status in FINAL_STATUSES,
    } | given


def _messages() -> Iterator[dict[str, Any]]:
    # A campaign reaches Maria, James and Aisha; a later one reaches Maria again before she answers.
    yield text("1", MARIA, "Sale!", 0, status="delivered", wave_id="10")
    yield text("1", JAMES, "Sale!", 0, status="delivered", wave_id="10", from_number=POOLED)
    yield text("1", AISHA, "Sale!", 0, status="failed", wave_id="10", status_description="Destination is a landline")
    yield text("1", MARIA, "Last day 🧱", 20, status="delivered", wave_id="11")
    yield text("1", MARIA, "How much is it?", 22)
    yield text("1", JAMES, "Stop.", 30)
    yield text("1", JAMES, "STOP", 31)
    # Aisha says YES without ever having been out; Wyatt leaves and comes back by YES; Linh grumbles in her own words.
    yield text("1", AISHA, "YES", 1)
    yield text("1", WYATT, "unsubscribe!", 1)
    yield text("1", WYATT, "Yes", 2)
    yield text("1", LINH, "please take me off this list, I never signed up", 3)
    # One text under two ids, the second of which Volt settled.
    yield text("1", LINH, "On its way", 4, status="sent", legacy_id="twice", id="rf_first")
    yield text("1", LINH, "On its way", 4, status="delivered", legacy_id="twice", id="rf_second")
    # Two texts that the provider has not got yet are two.
    yield text("1", LINH, "one", 5, status="sending", legacy_id="", sent_at=None)
    yield text("1", LINH, "two", 5, status="sending", legacy_id="", sent_at=None)
    # A picture in the form of Volt's examples.
    yield text("1", LINH, "", 6, media=[["https://example.com/image.png"]])
    # Tulsa texts Phoenix: Volt holds it once.
    yield text("1", PHOENIX, "Got any flagstone left?", 7, status="delivered", id="rf_between")
    # James is texted although he is out, on a holiday.
    yield text("1", JAMES, "Sorry to see you go.", 47, status="delivered")
    # Nothing tells the direction of this one.
    yield text("3", GHOST, "?", 8, status="sent", from_number="+15550000001", to_number="+15550000002")
    yield from _questions_and_answers()


def _questions_and_answers() -> Iterator[dict[str, Any]]:
    # Noah, at 11:00 in Phoenix: an auto-reply, a second thought, then an answer of two segments; later a word after the
    # organization's wave, which nobody answers.
    yield text("2", NOAH, "Are you open tomorrow?", 1)
    yield text("2", NOAH, "Thanks, we got your text.", 1 + 5 / 3600, status="delivered")
    yield text("2", NOAH, "?", 1 + 2 / 60)
    yield text("2", NOAH, "Yes, from 7:30 to 17:30. " + "Bring your list. " * 8, 1.25, status="delivered")
    yield text("2", NOAH, "We moved!", 3, status="delivered", wave_id="13")
    yield text("2", NOAH, "Great", 4)
    # Rosa asks on Thursday at 17:00 in Denver and is answered on Monday at 8:30, after two holidays and a Sunday.
    yield text("3", ROSA, "We moved!", 3, status="delivered", wave_id="13")
    yield text("3", ROSA, "Do you need anything, Rosa?", 4, status="delivered")
    yield text("3", ROSA, "Yes, two pallets", 30)
    yield text(
        "3",
        ROSA,
        "Hello Rosa, your two pallets are ready at the yard. See you soon, the Denver team 🧱",
        117.5,
        status="delivered",
    )
    # Sam, at 23:30 of the first of July in Denver, which is the second already in UTC; answered in the night.
    yield text("3", SAM, "Anyone awake?", 12.5)
    yield text("3", SAM, "I am.", 12.5 + 20 / 60, status="delivered")
    reason = "Carrier rejected message as spam"
    yield text("3", SAM, "Buy now", 12.5 + 25 / 60, status="failed", status_description=reason)


def _contact(number: int, account: str, phone: str, **given: Any) -> dict[str, Any]:
    fields = [{"key": "customer_type", "type": "string", "value": "contractor"}]
    contact = {"id": str(number), "account_id": account, "phone_number": phone, "name": f"Contact {number}"}
    return contact | {"custom_fields": fields, "blocked": False} | given


def _rows() -> dict[str, list[dict[str, Any]]]:
    waves = {"total_messages": 3, "total_messages_delivered": 2, "total_messages_failed": 1, "type": "account"}
    return {
        "accounts": [{"id": key, "name": name, "primary_phone": phone} for key, (name, phone) in ACCOUNTS.items()],
        "account_numbers": [{"account_id": "1", "phone_number": POOLED, "evidence": "mapped_number"}],
        "contacts": [
            _contact(101, "1", MARIA),
            _contact(102, "1", JAMES),
            _contact(103, "1", AISHA),
            _contact(104, "1", WYATT),
            _contact(105, "1", LINH),
            _contact(106, "1", PHOENIX),
            _contact(107, "2", TULSA),
            _contact(108, "2", MARIA, blocked=True),
            _contact(109, "1", MARIA, deleted_at=NOON),
            _contact(110, "2", NOAH),
            _contact(111, "3", ROSA),
            _contact(112, "3", SAM),
        ],
        "waves": [
            {"id": "10", "account_id": "1", "name": "Sale", "scheduled_time": "2026-07-01 17:00:00"} | waves,
            {"id": "11", "account_id": "1", "name": "Last day", "scheduled_time": "soon"}
            | waves
            | {"total_messages": 2, "total_messages_delivered": 1, "total_messages_failed": 0},
            {"id": "12", "account_id": None, "name": "Nobody yet", "scheduled_time": ""}
            | waves
            | {"total_messages": 9, "total_messages_delivered": 0, "total_messages_failed": 0, "type": "contact"},
            {"id": "13", "account_id": None, "name": "We moved", "scheduled_time": "2026-07-01T20:00:00Z"}
            | waves
            | {"total_messages": 2, "total_messages_failed": 0, "type": "organization"},
        ],
        "lists": [
            {"id": "20", "account_id": "1", "name": "VIP", "size": 5},
            {"id": "21", "account_id": "2", "name": "All", "size": 2},
        ],
        "list_sizes": [
            {"list_id": "20", "size": 2, "observed_at": at(0)},
            {"list_id": "20", "size": 3, "observed_at": at(20)},
            {"list_id": "20", "size": 5, "observed_at": at(70)},
            {"list_id": "21", "size": 2, "observed_at": at(0)},
        ],
        "contact_lists": [
            {"contact_id": "101", "list_id": "20", "valid_from": at(0), "valid_to": None},
            {"contact_id": "102", "list_id": "20", "valid_from": at(0), "valid_to": at(68)},
            {"contact_id": "103", "list_id": "20", "valid_from": at(20), "valid_to": None},
        ],
        "conversations": [
            {"account_id": "1", "contact_phone": MARIA, "messages_total": 4},
            {"account_id": "1", "contact_phone": LINH, "messages_total": 6},
        ],
        "inbox_items": [
            {"account_id": "1", "contact_phone": MARIA, "is_unread": True},
            {"account_id": "3", "contact_phone": LINH, "is_unread": False},
        ],
        "messages": list(_messages()),
    }


def _pushes() -> Iterator[dict[str, Any]]:
    """Two runs: the first fails with Maria once, the second leaves one row waiting."""
    yield _push("run-1", MARIA, "update", "failed", 50, reason="Volt did not answer in time")
    yield _push("run-1", JAMES, "refused", "refused", 50, reason="has opted out")
    yield _push("run-1", MARIA, "update", "sent", 50.1)
    yield _push("run-1", "VIP", "create", "sent", 50.1, export="lists")
    yield _push("run-2", MARIA, "unchanged", "unchanged", 60)
    yield _push("run-2", JAMES, "refused", "refused", 60, reason="has opted out")
    yield _push("run-2", NOBODY, "create", "failed", 60, reason="Volt did not answer in time")
    yield _push("run-2", "VIP", "update", "failed", 60, export="lists", reason="not due yet", waited=True)


def _push(run: str, row: str, action: str, outcome: str, hours: float, **given: Any) -> dict[str, Any]:
    push = {
        "run_id": run,
        "export": "contacts",
        "row_key": row,
        "account_phone": TULSA,
        "waited": False,
        "reason": None,
    }
    return push | {"action": action, "outcome": outcome, "pushed_at": at(hours)} | given


def load(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for table, rows in _rows().items():
            target = METADATA.tables[f"volt.{table}"]
            columns = {name for row in rows for name in row}
            stamps = {"first_seen_at": NOON, "loaded_at": NOON} if "loaded_at" in target.c else {}
            connection.execute(target.insert(), [dict.fromkeys(columns) | row | stamps for row in rows])
        pushes = sa.Table("pushes", sa.MetaData(), schema="volt_ops", autoload_with=connection)
        connection.execute(pushes.insert(), list(_pushes()))
