"""The rules of lists, operator by operator."""

from __future__ import annotations

import pytest

from volt_pipeline.sandbox.entities import CustomField, ListRule
from volt_pipeline.sandbox.rosters import meets

from .conftest import new_world

FIELDS = {"purchases": "5", "last_purchase": "2025-01-31", "project": "Kitchen backsplash", "loyalty_member": "true"}


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("purchases", "gt", "4", True),
        ("purchases", "gt", "5", False),
        ("purchases", "gte", "5", True),
        ("purchases", "lt", "10", True),  # as numbers, not as text
        ("purchases", "lte", '"4.5"', False),
        ("purchases", "eq", "5.0", True),
        ("purchases", "neq", "5.0", False),
        ("purchases", "neq", "6", True),
        ("last_purchase", "bf", '"2025-02-01"', True),
        ("last_purchase", "bf", '"2025-01-31"', False),
        ("last_purchase", "af", '"2025-01-30T10:00:00Z"', True),
        ("project", "is", '"kitchen BACKSPLASH"', True),
        ("project", "is", '"kitchen"', False),
        ("project", "has", '"splash"', True),
        ("project", "nc", '"splash"', False),
        ("project", "nc", '"patio"', True),
        ("loyalty_member", "is", "true", True),
        ("missing", "neq", "6", False),
        ("missing", "nc", '"x"', False),
        ("project", "gt", "4", False),
    ],
)
def test_a_rule_is_met_as_volt_describes_it(field: str, operator: str, value: str, expected: bool) -> None:
    contact = new_world(contacts=1, accounts=1).contacts[0]
    contact.custom_fields = [CustomField(key, "string", text) for key, text in FIELDS.items()]
    assert meets(contact, ListRule(field, operator, value)) is expected


def test_a_list_on_a_list_holds_only_the_sources_members() -> None:
    world = new_world()
    for account in world.accounts:
        roster = world.ledger.rosters[account.id]
        contractors = {contact.id for contact in roster.members(roster.lists["Contractors"])}
        big = roster.members(roster.lists["Big Contractors"])
        assert contractors
        assert {contact.id for contact in big} <= contractors
        assert all(float(contact.value("lifetime_spend") or 0) > 5000 for contact in big)
        assert roster.size(roster.lists["All"]) == len(roster.contacts)
