"""`volt-pipeline forget`: erase a person from the warehouse, say what went, and list what only people can do.

The phone is printed by its first two and last two characters, and goes into no log.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from volt_pipeline import settings as environment
from volt_pipeline.door.console import headline, say, table
from volt_pipeline.settings import Settings, SettingsError
from volt_pipeline.warehouse.erasure import Erasure, Person, find, forget, remains, remember, shown
from volt_pipeline.workplace import warehouse

_BY_HAND = """
What this command cannot reach, and a person has to do:

1. The CRM: remove them from your own tables and from the tables that crm_contacts.sql selects from. As long as they
   stand there, each build of the marts brings their row back into volt_exports.
2. Volt itself: its API deletes nothing. Block them in each account (so that nothing is sent while it lasts), then have
   the contact and its conversation removed on Volt's own pages or by Volt's support. `volt-pipeline status` counts
   who was forgotten here and still stands in Volt.
3. Backups, replicas with a delay and WAL archives of the warehouse: they hold the person until they expire. After a
   restore, run this command again.
4. Copies outside the warehouse: spreadsheets, dashboards' caches, the files under VOLT_HOME (dbt's target folder and
   logs hold no rows, but a failed dbt test that was stored does), Dagster's event log (counts only), and Postgres' own
   log if it logs statements' parameters.
"""


def run_forget(
    settings: Settings, phone: str, *, yes: bool, ahead: bool, undo: bool, confirm: Callable[[str], bool]
) -> None:
    """Forget the person, or with `undo` take that back. `phone` as written; "-" reads it from standard input.

    Raises SettingsError, NobodyFound, NotErasable, WarehouseError.
    """
    number = _normalised(sys.stdin.readline() if phone == "-" else phone)
    with warehouse(settings) as url:
        if undo:
            asyncio.run(remember(url, number))
            say(f"{shown(number)} is remembered: the next sync stores what Volt holds of them.")
            return
        person = asyncio.run(find(url, number))
        if not yes and not confirm(_question(number, person)):
            raise SettingsError("Nothing was erased: it was not confirmed (--yes erases without asking).")
        _tell(number, asyncio.run(forget(url, number, ahead=ahead)), asyncio.run(remains(url, number)))


def _normalised(written: str) -> str:
    """E.164. What is wrong with a person's number is told without the number."""
    try:
        (number,) = environment.phones(written, "PHONE")
    except (SettingsError, ValueError):
        raise SettingsError(
            "PHONE is not one phone number in international form; write it like +15555554321 (in quotes if it holds "
            "spaces), or give - and write it to standard input."
        ) from None
    return number


def _question(number: str, person: Person) -> str:
    return (
        f"Erase all that is held of {shown(number)}: {len(person.contacts):,} contacts and {len(person.messages):,} "
        f"messages in {len(person.accounts):,} accounts, and what hangs on them? There is no way back."
    )


def _tell(number: str, erasure: Erasure, left: dict[str, int]) -> None:
    headline(f"Forgotten: {shown(number)}")
    if erasure.known:
        say("They had been forgotten before.")
    rows = [(name, count, "deleted") for name, count in sorted(erasure.deleted.items())]
    rows += [(name, count, "kept without the person") for name, count in sorted(erasure.blanked.items())]
    table(("table", "rows", ""), rows) if rows else say("Nothing was held of them.")
    if erasure.other_numbers:
        say("\nThe same contact was seen under another number, too: forget that one as well if it is theirs.")
    if left:
        headline("Where the digits still stand, in other people's rows or in what is loaded from elsewhere")
        table(("column", "rows"), sorted(left.items()))
    say(_BY_HAND.rstrip())
