"""Which list is written, and with what definition.

The source list is always named: left out, Volt would silently start from everyone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from volt_pipeline.activate.intake import records
from volt_pipeline.activate.rows import Decision, Export, Facts, Refusal, Target
from volt_pipeline.activate.rules import Types, checked
from volt_pipeline.api.inputs import ListQuery

ALL = "All"


@dataclass(frozen=True, slots=True)
class ListWish:
    """A row of `volt_exports.export_lists`; `rules` are {field, operator, value} with plain values.

    `min_size` and `max_size` say how many contacts the list should have, where the export has such columns.
    """

    account_phone: str
    list_name: str
    source_list_name: str | None
    name_search_term: str | None
    rules: tuple[Mapping[str, Any], ...]
    min_size: int | None = None
    max_size: int | None = None


def wishes(frame: pd.DataFrame) -> list[ListWish]:
    """The rows of the export as wishes; missing values (NULL, NaN) become None."""
    return [_as_written(record) for record in records(frame)]


def wish(record: Mapping[str, Any], facts: Facts) -> ListWish:
    """One row as a wish, its rules checked. Raises Refusal."""
    try:
        made = _as_written(record)
    except (ValueError, TypeError):
        raise Refusal("rules is no JSON array, or a size is no whole number") from None
    _query(made, facts.field_types)
    return made


def _as_written(record: Mapping[str, Any]) -> ListWish:
    rules = record["rules"]
    rules = json.loads(rules) if isinstance(rules, str) else rules or []
    if not isinstance(rules, list | tuple):
        raise TypeError("rules is no array")
    sizes = (None if record.get(name) is None else int(record[name]) for name in ("min_size", "max_size"))
    return ListWish(
        record["account_phone"],
        record["list_name"],
        record["source_list_name"],
        record["name_search_term"],
        tuple(rules),
        *sizes,
    )


def _query(wish: ListWish, types: Types) -> ListQuery:
    source = wish.source_list_name or ""
    if not source.strip():
        raise Refusal("source_list_name is empty; name the list to filter, All for everyone")
    if wish.list_name == ALL:
        raise Refusal("All is Volt's own list of everyone; give this one another name")
    rules = tuple(checked(rule, types) for rule in wish.rules)
    return ListQuery(wish.list_name, source, wish.name_search_term or "", rules)


def decide(wish: ListWish, current: Mapping[str, Any] | None, types: Types | None = None) -> Decision:
    """What to do about a wish, given the list as Volt holds it now (None: there is no such list)."""
    try:
        variables = _query(wish, types or {}).variables(wish.account_phone)
    except Refusal as error:
        return Decision("refused", str(error))
    if current is None:
        return Decision("create", variables=variables)
    if changed := differences(variables, current):
        return Decision("update", f"changed: {', '.join(changed)}", variables)
    return Decision("unchanged")


def differences(meant: Mapping[str, Any], held: Mapping[str, Any]) -> list[str]:
    """Where a list of Volt's is not what the mutation's variables mean. Rules compare by value, in any order."""
    query = meant["listQuery"]
    found = []
    if (held.get("querySourceListName") or ALL) != query["querySourceListName"]:
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


def size_doubt(wish: ListWish, size: Any, last: int | None) -> str:
    """What is odd about a list's size; "" when nothing is. Without a range, the last size known is the yardstick."""
    if not isinstance(size, int):
        return ""
    if wish.min_size is not None or wish.max_size is not None:
        low, high = wish.min_size or 0, wish.max_size
        if size < low or (high is not None and size > high):
            return f"{size:,} contacts, expected {low:,} to {'any' if high is None else f'{high:,}'}"
        return ""
    if last is not None and last >= _TELLING and not last / _FACTOR <= size <= last * _FACTOR:
        return f"{size:,} contacts, {last:,} before"
    return ""


_TELLING, _FACTOR = 20, 2  # a list of fewer may well double; a larger one that does deserves a look


def _target(record: Mapping[str, Any]) -> Target:
    return str(record["account_phone"] or ""), str(record["list_name"] or "")


def _held(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "querySourceListName": record["query_source_list_name"],
        "queryNameSearchTerm": record["query_name_search_term"],
        "queryCustomFields": record["query_custom_fields"],
    }


LISTS: Export[ListWish] = Export(
    name="lists",
    query="list",
    mutation="createOrUpdateList",
    batch=1,
    wish=wish,
    target=_target,
    asked=lambda wish: {"primaryPhone": wish.account_phone, "listName": wish.list_name},
    decide=lambda wish, current, facts: decide(wish, current, facts.field_types),
    differences=differences,
    held=_held,
    needs=lambda wish: (wish.account_phone, str(wish.source_list_name)),
)
