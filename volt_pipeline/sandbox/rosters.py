"""Who is on which list: the rules of lists, really evaluated.

Membership is kept, not computed per question: sizes and Contact.lists are asked for every message read, while contacts
and rules change rarely. A contact without a value for a rule's field meets no rule on it, whatever the operator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date

from .entities import Contact, ContactList, ListRule, bad_input

ALL = "All"
Test = Callable[[str, str], bool]


def _numeric(compare: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        return compare(float(value), float(wanted))

    return test


def _dated(compare: Callable[[date, date], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        return compare(date.fromisoformat(value[:10]), date.fromisoformat(wanted[:10]))

    return test


NUMERIC = frozenset({"gt", "gte", "lt", "lte", "eq", "neq"})
DATED = frozenset({"bf", "af"})
OPERATORS: dict[str, Test] = {
    "gt": _numeric(lambda a, b: a > b),
    "gte": _numeric(lambda a, b: a >= b),
    "lt": _numeric(lambda a, b: a < b),
    "lte": _numeric(lambda a, b: a <= b),
    "eq": _numeric(lambda a, b: a == b),
    "neq": _numeric(lambda a, b: a != b),
    "bf": _dated(lambda a, b: a < b),
    "af": _dated(lambda a, b: a > b),
    "is": lambda value, wanted: value.casefold() == wanted.casefold(),
    "has": lambda value, wanted: wanted.casefold() in value.casefold(),
    "nc": lambda value, wanted: wanted.casefold() not in value.casefold(),
}


def wanted_text(rule: ListRule) -> str:
    """The rule's value as text: `queryValue` is JSON, so 5, "5" and true all arrive serialised."""
    try:
        value = json.loads(rule.query_value)
    except ValueError:
        raise bad_input("queryValue is not valid JSON") from None
    return value if isinstance(value, str) else json.dumps(value)


def check(rule: ListRule, known_fields: Iterable[str]) -> None:
    """Refuse a rule that could never be evaluated."""
    if rule.field not in known_fields:
        raise bad_input(f"Custom field {rule.field} is not defined on the organization")
    wanted = wanted_text(rule)
    try:
        if rule.operator in NUMERIC:
            float(wanted)
        elif rule.operator in DATED:
            date.fromisoformat(wanted[:10])
    except ValueError:
        raise bad_input(f"queryValue does not suit the operator {rule.operator}") from None


def meets(contact: Contact, rule: ListRule) -> bool:
    value = contact.value(rule.field)
    if value is None:
        return False
    try:
        return OPERATORS[rule.operator](value, wanted_text(rule))
    except ValueError:
        return False  # a value that is not of the operator's kind cannot satisfy it


class Roster:
    """The lists of one account and their members."""

    def __init__(self) -> None:
        self.lists: dict[str, ContactList] = {}
        self.contacts: dict[str, Contact] = {}
        self._lists_of: dict[str, list[ContactList]] = {}
        self._sizes: dict[str, int] = {}

    def lists_of(self, contact: Contact) -> list[ContactList]:
        return self._lists_of[contact.id]

    def size(self, chosen: ContactList) -> int:
        return self._sizes[chosen.id]

    def members(self, chosen: ContactList) -> list[Contact]:
        return [contact for contact in self.contacts.values() if chosen in self._lists_of[contact.id]]

    def place(self, contact: Contact) -> None:
        """Enter a new contact, or a changed one, into the lists it now belongs to."""
        self.contacts[contact.id] = contact
        for left in self._lists_of.get(contact.id, ()):
            self._sizes[left.id] -= 1
        self._lists_of[contact.id] = [each for each in self.lists.values() if self.holds(each, contact)]
        for joined in self._lists_of[contact.id]:
            self._sizes[joined.id] += 1

    def keep(self, *changed: ContactList) -> None:
        """Enter new or changed lists, and evaluate all again: another list may build on them."""
        self.lists.update({each.name: each for each in changed})
        self._sizes = {each.id: 0 for each in self.lists.values()}
        self._lists_of.clear()
        for contact in self.contacts.values():
            self.place(contact)

    def leave(self, contact: Contact) -> None:
        """Take a contact off every list, for good."""
        del self.contacts[contact.id]
        for left in self._lists_of.pop(contact.id):
            self._sizes[left.id] -= 1
        for each in self.lists.values():
            if each.members is not None:
                each.members.discard(contact.id)

    def drop(self, chosen: ContactList) -> None:
        """Delete a list; those that build on it build on its own source from then on."""
        del self.lists[chosen.name]
        self._rebuild_on(chosen.query_source_list_name or ALL, chosen.name)
        self.keep()

    def rename(self, chosen: ContactList, name: str) -> None:
        old, chosen.name = chosen.name, name
        self.lists = {each.name: each for each in self.lists.values()}
        self._rebuild_on(name, old)

    def _rebuild_on(self, source_name: str, old: str) -> None:
        for each in self.lists.values():
            if each.query_source_list_name == old:
                each.query_source_list_name = source_name

    def holds(self, chosen: ContactList, contact: Contact) -> bool:
        if chosen.query_source_list_name is None:
            return chosen.members is None or contact.id in chosen.members
        source = self.lists[chosen.query_source_list_name]
        term = chosen.query_name_search_term or ""
        return (
            self.holds(source, contact)
            and term.casefold() in contact.name.casefold()
            and all(meets(contact, rule) for rule in chosen.query_custom_fields or ())
        )

    def builds_on(self, source_name: str, name: str) -> bool:
        """Whether `source_name` is `name` itself or is, at any depth, built on it."""
        current: str | None = source_name
        while current is not None:
            if current == name:
                return True
            current = self.lists[current].query_source_list_name
        return False
