"""What a person does at the outbox: look at it, decide what no program may, cancel, pull the kill switch.

Nothing that is printed holds a contact's whole phone or a text.
"""

from __future__ import annotations

import getpass
import os
from typing import Any

import psycopg
from psycopg.rows import dict_row

from volt_pipeline.api.redaction import redact
from volt_pipeline.door.console import complain, headline, say, table
from volt_pipeline.door.jobs import JobEnd
from volt_pipeline.errors import ExplainedError
from volt_pipeline.send_record import intent_of
from volt_pipeline.sending.intents import Intent
from volt_pipeline.settings import Settings
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline.warehouse.queries import query
from volt_pipeline.workplace import warehouse

OPEN = ("needs_person", "unknown", "attempting", "queued", "held")
Row = dict[str, Any]


class OutboxRefuses(ExplainedError):
    """What was asked of the outbox cannot be done with this intent."""


def ask(url: str, name: str, **parameters: Any) -> list[Row]:
    """The rows of a statement; what it changes is recorded as done by whoever sits here."""
    with psycopg.connect(conninfo(url), row_factory=dict_row, options="-c TimeZone=UTC") as connection:
        connection.execute("SELECT set_config('volt_ops.actor', %s, false)", [whoami()])
        cursor = connection.execute(query(name), parameters)
        return cursor.fetchall() if cursor.description else []


def whoami() -> str:
    """Who sits here, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in many containers
        return f"uid {os.getuid()}"


def show_send(settings: Settings, end: JobEnd) -> bool:
    """What stands in the outbox after a run. Gives whether all went well."""
    with warehouse(settings) as url:
        headline("Outbox (of what is over, the last 24 hours)")
        rows = ask(url, "outbox_counts")
        table(("state", "intents", "since"), [(row["state"], row["count"], row["min"]) for row in rows])
    if not settings.send_enabled:
        say("\nSending is off: VOLT_SEND_ENABLED is not true. Nothing was sent; what was in doubt has been looked for.")
    for failure in end.failures:
        complain(failure)
    return end.well


def show_list(settings: Settings, most: int) -> bool:
    """The intents that are not over, those first that need somebody. Gives whether none is in doubt."""
    with warehouse(settings) as url:
        rows = ask(url, "outbox_open", states=list(OPEN), most=most)
    if not rows:
        say("Nothing is waiting in the outbox.")
        return True
    table(
        ("id", "key", "kind", "account", "to", "state", "why", "tries", "due (UTC)"),
        [
            (
                str(row["intent_id"]),
                redact(row["intent_key"]),
                row["kind"],
                row["account_phone"],
                recipients(intent_of(row)),
                row["state"],
                row["reason"] or "",
                row["tries"],
                f"{row['due_at']:%Y-%m-%d %H:%M:%S}" if row["due_at"] else "",
            )
            for row in rows
        ],
    )
    waiting = [row for row in rows if row["state"] == "needs_person"]
    if waiting:
        say(
            f"\n`volt-pipeline send resolve {waiting[0]['intent_id']}` says what is known of one; add --retry or "
            "--abandon to decide."
        )
    return not any(row["state"] in ("needs_person", "unknown") for row in rows)


def recipients(intent: Intent) -> str:
    """The recipients, without what tells who they are."""
    if intent.kind == "wave":
        return f"{len(intent.list_names)} lists"
    phones = intent.recipients
    return masked(phones[0]) if len(phones) == 1 else f"{len(phones)} contacts"


def masked(phone: str) -> str:
    """A contact's phone as it may be shown."""
    return f"…{phone[-2:]}"


def resolve(settings: Settings, intent_id: int, *, decision: str, why: str) -> bool:
    """Say what is known of an intent that needs a person; with a decision (retry, abandon), carry it out."""
    with warehouse(settings) as url:
        row = next(iter(ask(url, "outbox_one", intent_id=intent_id)), None)
        if row is None:
            raise OutboxRefuses(f"There is no intent {intent_id} in volt_ops.outbox; see `volt-pipeline send list`.")
        if row["state"] != "needs_person":
            raise OutboxRefuses(f"Intent {intent_id} is {row['state']}, and needs no person{_wait(row)}.")
        say(known_of(row))
        if not decision:
            say("Decide with --retry (it may then be sent a second time) or --abandon (it may then never be sent).")
            return False
        who = whoami()
        state = "queued" if decision == "retry" else "cancelled"
        reason = f"{decision} by {who}"
        if not ask(
            url,
            "outbox_resolve",
            intent_id=intent_id,
            state=state,
            reason=reason,
            decided_by=who,
            decided_why=why or f"volt-pipeline send resolve --{decision}",
        ):
            raise OutboxRefuses(f"Intent {intent_id} has moved meanwhile; look at it again.")
    say(f"Intent {intent_id} is {state} now: {reason}.")
    return True


def _wait(row: Row) -> str:
    if row["state"] == "unknown" and row["due_at"]:
        return f": it is being looked for, next at {row['due_at']:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def known_of(row: Row) -> str:
    """What is known of an intent in doubt and what is not, in a few sentences."""
    when = f"{row['attempted_at']:%Y-%m-%d %H:%M:%S} UTC" if row["attempted_at"] else "an unknown time"
    last = {
        "message": "Not known: whether Volt has sent it all the same, or still will. If you can, look at the "
        "conversation in Volt before you decide.",
        "scheduled_message": "Not known: whether Volt will send it at its time. Look for it in Volt before you decide.",
        "wave": "Not known: whether Volt holds it. Look for a wave of its name in Volt before you decide.",
    }[row["kind"]]
    found = f" Found since: {row['reason']}." if row["reason"] else ""
    times = "once" if row["tries"] == 1 else f"{row['tries']} times"
    doubt = row["doubt"] or "its attempt was refused"
    return (
        f"Known: intent {row['intent_id']} ({row['kind']} from {row['account_phone']}) was attempted {times}, last at "
        f"{when}; then: {doubt}.{found} {last}"
    )


def cancel(settings: Settings, intent_id: int) -> bool:
    """Take an intent back that waits."""
    with warehouse(settings) as url:
        if not ask(url, "outbox_cancel", intent_id=intent_id, reason=f"cancelled by {whoami()}"):
            row = next(iter(ask(url, "outbox_one", intent_id=intent_id)), None)
            stands = "there is none" if row is None else f"it is {row['state']}"
            raise OutboxRefuses(f"Intent {intent_id} cannot be cancelled: {stands}. Only what is queued or held can.")
    say(f"Intent {intent_id} is cancelled.")
    return True


def switch(settings: Settings, engaged: bool, why: str) -> bool:
    """Engage or release the kill switch, for every sender of this warehouse."""
    with warehouse(settings) as url:
        ask(url, "outbox_switch", engaged=engaged, reason=why, changed_by=whoami())
    say(
        "The kill switch is engaged: nothing more is sent, from the next text on."
        if engaged
        else "The kill switch is released: the next `volt-pipeline send` sends what waits."
    )
    return True
