"""The snapshot: the world as a warehouse should hold it, in the very values that Volt answers."""

from __future__ import annotations

from typing import Any

from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline.sandbox.world import World

from .conftest import example


def test_the_snapshot_holds_what_a_sync_is_expected_to(sandbox: Sandbox, world: World) -> None:
    tables, counts = world.snapshot(), world.expected_counts()
    for name in ("organizations", "accounts", "contacts", "messages", "waves", "lists", "webhooks"):
        assert len(tables[name]) == counts[name], name
    assert len(tables["inbox"]) == counts["inbox_items"] - 1  # the item whose contact is gone has no phone
    contact = world.contacts[5]
    shown = example(sandbox, "contact", primaryPhone=contact.account.primary_phone, phoneNumber=contact.phone_number)
    row = tables["contacts"][contact.id]
    assert row == {
        "id": shown["id"],
        "account_id": shown["account"]["id"],
        "organization_id": shown["organization"]["id"],
        "phone_number": shown["phoneNumber"],
        "name": shown["name"],
        "mapped_number": shown["mappedNumber"],
        "custom_fields": shown["customFields"],
        "created_at": shown["createdAt"],
        "last_updated_at": shown["lastUpdatedAt"],
        "blocked": shown["blocked"],
    }
    assert {(contact.id, each["id"]) for each in shown["lists"]} == {
        pair for pair in tables["memberships"] if pair[0] == contact.id
    }


def test_every_row_of_the_snapshot_is_what_the_api_says(sandbox: Sandbox, world: World) -> None:
    tables = world.snapshot(everything=True)
    chosen = {name: list(tables[name].values())[::17] for name in ("messages", "waves")}
    for name, operation in (("messages", "message"), ("waves", "wave")):
        for row in chosen[name]:
            assert _row(example(sandbox, operation, id=row["id"])) == row
    for row in list(tables["lists"].values()):
        phone = tables["accounts"][row["account_id"]]["primary_phone"]
        assert _row(example(sandbox, "list", primaryPhone=phone, listName=row["name"])) == row
    for account in world.accounts:
        shown = example(sandbox, "inbox", **{"from": account.primary_phone})["account"]
        assert _row(shown) == tables["accounts"][account.id]


def _row(shown: dict[str, Any]) -> dict[str, Any]:
    """An answer as a row: names in snake_case, objects as their ids; a wave's lists are a table of their own."""
    row = {}
    for key, value in shown.items():
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
        if key in ("account", "organization", "wave", "contact"):
            row[f"{name}_id"] = value and value["id"]
        elif key != "lists":
            row[name] = value
    return row
