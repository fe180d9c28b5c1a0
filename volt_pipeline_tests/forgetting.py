"""Somebody to be forgotten, and a look through everything for what is left of them."""

from __future__ import annotations

from volt_pipeline.sandbox.world import World
from volt_pipeline_tests.warehouse.loading import ask

SECRET = "Zephyrine"  # a name, and part of texts, that nobody else has


def somebody(world: World) -> str:
    """The phone of one whom both accounts know, who is on lists and was sent a wave, with a name and texts."""
    ours, theirs = world.accounts[:2]
    sent = {message.contact.id for message in world.messages if message.wave and message.contact}
    known = next(
        contact
        for contact in world.contacts
        if contact.account is ours and contact.id in sent and world.ledger.conversations[contact.id]
    )
    for account in (ours, theirs):
        world.mutate(
            "createOrUpdateContact",
            {
                "name": SECRET,
                "phone_number": known.phone_number,
                "account_phone": account.primary_phone,
                "custom_fields": [{"key": "note", "type": "string", "value": f"{SECRET}'s note"}],
                "blocked": False,
            },
        )
        world.mutate(
            "createMessage", {"to": known.phone_number, "from_": account.primary_phone, "body": f"Hello {SECRET}"}
        )
    world.settle(world.clock())
    return known.phone_number


def everything(url: str) -> dict[str, list[str]]:
    """Every row of every table of ours, as text."""
    tables = ask(
        url,
        "SELECT schemaname, tablename FROM pg_tables WHERE starts_with(schemaname, 'volt') AND tablename <> 'keys' "
        "ORDER BY 1, 2",
    )
    return {
        f"{schema}.{table}": [row for (row,) in ask(url, f'SELECT t::text FROM "{schema}"."{table}" AS t ORDER BY 1')]
        for schema, table in tables
    }


def holding(url: str, *words: str) -> list[str]:
    """Which tables hold one of these words anywhere."""
    return [table for table, rows in everything(url).items() if any(word in row for row in rows for word in words)]


def digits(phone: str) -> str:
    return phone.removeprefix("+")
