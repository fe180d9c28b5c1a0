"""The invented world on its first day: the company, its stores, their people and their lists.

Everything is drawn from one seeded generator in a fixed order, so the same seed and sizes give the same world.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from . import vocabulary as words
from .correspondence import correspond
from .entities import Account, Contact, ContactList, CustomField, ListRule, Organization
from .ledger import Ledger
from .rosters import ALL

OWNER = "dana.reyes@acmebrick.example"
AGE = timedelta(days=900)
FIRST_LINE, LINES = 1000, 9000  # contacts' lines in the 555 exchange; the lower ones are the stores' own


def populate(rng: Random, accounts: int, contacts: int, now: datetime, inbox_page: int) -> Ledger:
    began = now - AGE
    organization = Organization(
        "1001", "Acme Brick & Tile", "acmebrick.example", "51-200", "Retail", began, began + timedelta(days=30)
    )
    ledger = Ledger(organization, dict(words.FIELD_TYPES))
    for number in range(accounts):
        ledger.open_account(_store(ledger, number, is_pooled=number == min(1, accounts - 1), began=began))
    for number, account in enumerate(ledger.accounts):
        phones = _phones(number)
        has_colleague = accounts > 1 and number < 2 and contacts > 1
        for _ in range(contacts - has_colleague):
            _contact(ledger, rng, account, next(phones), now)
        if has_colleague:
            other = ledger.accounts[1 - number]
            ledger.add_contact(account, other.primary_phone, f"Acme {other.name}", [], began)
        ledger.rosters[account.id].keep(*_lists(ledger, rng, account, now))
    correspond(ledger, rng, now, inbox_page)
    return ledger


def _store(ledger: Ledger, number: int, *, is_pooled: bool, began: datetime) -> Account:
    name, location, area_codes, time_zone = words.STORES[number % len(words.STORES)]
    round_ = number // len(words.STORES)
    area = area_codes[0]
    return Account(
        id=ledger.next_id(),
        organization=ledger.organization,
        created_by=OWNER,
        name=f"{name} {round_ + 1}" if round_ else name,
        primary_phone=f"+1{area}555{100 + round_:04}",
        created_at=began + timedelta(days=number),
        last_updated_at=began + timedelta(days=number, hours=5),
        call_forwarding_number=f"+1{area}555{900 + round_:04}" if number % 3 else None,
        location=location,
        time_zone=time_zone,
        pool=[f"+1{area}555{500 + 3 * round_ + line:04}" for line in range(3)] if is_pooled else [],
    )


def _phones(number: int) -> Iterator[str]:
    """Numbers of a store's neighbourhood that nobody holds (555), each once; stores of one city take turns."""
    area_codes = words.STORES[number % len(words.STORES)][2]
    turn, turns = number // len(words.STORES), 8
    index = turn
    while True:
        exchange, line = divmod(index // len(area_codes), LINES)
        # 7919 is prime to 9000: every line comes once, in an order that looks like chance.
        yield f"+1{area_codes[index % len(area_codes)]}{555 + exchange}{FIRST_LINE + line * 7919 % LINES:04}"
        index += turns


def _contact(ledger: Ledger, rng: Random, account: Account, phone: str, now: datetime) -> Contact:
    created = now - timedelta(days=560 + 340 * rng.random())
    name = f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}"
    chance = rng.random()
    if chance < 0.04:
        name = phone  # an unknown texter: Volt knows no better name
    elif chance < 0.08:
        name = f"{name.split(' ')[1]} & Sons Masonry"
    mapped = rng.choice(account.pool) if account.pool and rng.random() < 0.7 else None
    contact = ledger.add_contact(account, phone, name, _fields(rng, now), created, mapped)
    contact.last_updated_at = created + (now - created) * rng.random()
    return contact


def _fields(rng: Random, now: datetime) -> list[CustomField]:
    purchases = min(40, int(rng.expovariate(0.3)))
    bought = (now - timedelta(days=500 * rng.random() ** 2)).date().isoformat()
    values = {
        "customer_type": rng.choice(words.CUSTOMER_TYPES),
        "preferred_material": rng.choice(words.MATERIALS),
        "project": rng.choice(words.PROJECTS),
        "purchases": str(purchases),
        "lifetime_spend": f"{purchases * rng.uniform(80, 900):.2f}",
        "last_purchase": bought if purchases else "",
        "loyalty_member": "true" if rng.random() < 0.4 else "false",
    }
    return [
        CustomField(key, words.FIELD_TYPES[key], value)
        for key, value in values.items()
        if value and rng.random() < 0.85
    ]


def _lists(ledger: Ledger, rng: Random, account: Account, now: datetime) -> list[ContactList]:
    created = account.created_at + timedelta(days=40)
    dates = {
        "{recent}": (now - timedelta(days=45)).date().isoformat(),
        "{lapsed}": (now - timedelta(days=240)).date().isoformat(),
    }

    def new(name: str) -> ContactList:
        return ContactList(ledger.next_id(), account, OWNER, name, created, created)

    lists = [new(ALL)]
    for name in words.STATIC_LISTS:
        chosen = new(name)
        people = ledger.rosters[account.id].contacts
        chosen.members = {identity for identity in people if rng.random() < 0.15}
        lists.append(chosen)
    for name, source, term, rules in words.LISTS:
        chosen = new(name)
        chosen.query_source_list_name, chosen.query_name_search_term = source, term
        chosen.query_custom_fields = []
        for field, operator, value in rules:
            for slot, date in dates.items():
                value = value.replace(slot, date)
            chosen.query_custom_fields.append(ListRule(field, operator, value))
        lists.append(chosen)
    return lists
