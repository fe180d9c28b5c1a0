"""Which list is written, and with what definition.

The source list is always named: left out, Volt would silently start from everyone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from volt_pipeline.activate.rows import Decision, Export
from volt_pipeline.api.inputs import ListQuery, ListQueryOperator, ListQueryRule

_OPERATORS = frozenset(map(str, ListQueryOperator))


@dataclass(frozen=True, slots=True)
class ListWish:
    """A row of `volt_exports.export_lists`; `rules` are {field, operator, value} with plain values."""

    account_phone: str
    list_name: str
    source_list_name: str | None
    name_search_term: str | None
    rules: tuple[Mapping[str, Any], ...]


def wishes(frame: pd.DataFrame) -> list[ListWish]:
    """The rows of the export as wishes; missing values (NULL, NaN) become None."""
    found = []
    for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        rules = json.loads(row["rules"]) if isinstance(row["rules"], str) else row["rules"] or []
        term = row["name_search_term"]
        found.append(ListWish(row["account_phone"], row["list_name"], row["source_list_name"], term, tuple(rules)))
    return found


def decide(wish: ListWish, current: Mapping[str, Any] | None) -> Decision:
    """What to do about a wish, given the list as Volt holds it now (None: there is no such list)."""
    if not (wish.source_list_name or "").strip():
        return Decision("refused", "source_list_name is empty; name the list to filter, All for everyone")
    for rule in wish.rules:
        if not isinstance(rule, Mapping) or not {"field", "operator", "value"} <= rule.keys():
            return Decision("refused", "a rule is an object with field, operator and value")
        if rule["operator"] not in _OPERATORS:
            return Decision("refused", f"the operator {rule['operator']!r} is none of {', '.join(sorted(_OPERATORS))}")
    rules = tuple(
        ListQueryRule.of(rule["field"], ListQueryOperator(rule["operator"]), rule["value"]) for rule in wish.rules
    )
    query = ListQuery(wish.list_name, wish.source_list_name, wish.name_search_term or "", rules)
    variables = query.variables(wish.account_phone)
    if current is None:
        return Decision("create", variables=variables)
    if changed := differences(variables, current):
        return Decision("update", f"changed: {', '.join(changed)}", variables)
    return Decision("unchanged")


def differences(meant: Mapping[str, Any], held: Mapping[str, Any]) -> list[str]:
    """Where a list of Volt's is not what the mutation's variables mean. Rules compare by value, in any order."""
    query = meant["listQuery"]
    found = []
    if (held.get("querySourceListName") or "All") != query["querySourceListName"]:
        found.append("source list")
    if (held.get("queryNameSearchTerm") or "") != query["queryNameSearchTerm"]:
        found.append("name search term")
    if _rules(held.get("queryCustomFields") or []) != _rules(query["queryCustomFields"]):
        found.append("rules")
    return found


def _rules(rules: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    return sorted((rule["field"], rule["operator"], _plain(rule["queryValue"])) for rule in rules)


def _plain(text: Any) -> str:
    """A rule's value in one spelling: `5` is `5.0`. Volt's own examples are not always JSON text."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        value = text
    number = isinstance(value, int) and not isinstance(value, bool)
    return json.dumps(float(value) if number else value)


LISTS: Export[ListWish] = Export(
    name="lists",
    query="list",
    mutation="createOrUpdateList",
    target=lambda wish: (wish.account_phone, wish.list_name),
    asked=lambda wish: {"primaryPhone": wish.account_phone, "listName": wish.list_name},
    decide=decide,
    differences=differences,
)
