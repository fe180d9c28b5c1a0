"""The rules of lists: which operator goes with which type of field, and the value as Volt wants it written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from volt_pipeline.activate.rows import Refusal
from volt_pipeline.api.inputs import ListQueryOperator, ListQueryRule

_OPERATORS = {
    **dict.fromkeys(("gt", "gte", "lt", "lte", "eq", "neq"), "number"),
    **dict.fromkeys(("bf", "af"), "date"),
    **dict.fromkeys(("is", "has", "nc"), "text"),
}
_SUITS = {
    "number": frozenset({"number"}),
    "date": frozenset({"date"}),
    "text": frozenset({"string", "text"}),
}
_KNOWN_TYPES = frozenset({"number", "date", "string", "text", "boolean"})
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

Types = Mapping[str, frozenset[str]]


def checked(rule: Any, types: Types) -> ListQueryRule:
    """The rule as Volt takes it. `types` are those that contacts show of each field. Raises Refusal.

    A field that no contact has, or one of a type not known here, is checked against its operator only.
    """
    if not isinstance(rule, Mapping) or not {"field", "operator", "value"} <= rule.keys():
        raise Refusal("a rule is an object with field, operator and value")
    name, operator, value = rule["field"], rule["operator"], rule["value"]
    if not isinstance(name, str) or not name:
        raise Refusal("a rule's field is empty")
    if operator not in _OPERATORS:
        raise Refusal(f"the operator {operator!r} is none of {', '.join(sorted(_OPERATORS))}")
    kind = _OPERATORS[operator]
    found = types.get(name, frozenset()) & _KNOWN_TYPES
    if found == {"boolean"} and operator == "is":
        kind = "boolean"
    elif found and not found & _SUITS[kind]:
        raise Refusal(f"the operator {operator} is for {kind}s, and the field {name} is a {' or '.join(sorted(found))}")
    return ListQueryRule.of(name, ListQueryOperator(operator), _typed(name, operator, kind, value))


def _typed(name: str, operator: str, kind: str, value: Any) -> Any:
    wrong = Refusal(f"the rule {name} {operator} needs a {_WANTED[kind]}")
    if kind == "number":
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = json.loads(_plain_number(value.strip()))
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise wrong
    elif kind == "date":
        try:
            date.fromisoformat(value[:10])
        except (TypeError, ValueError):
            raise wrong from None
        if not isinstance(value, str):
            raise wrong
    elif kind == "boolean":
        value = {"true": True, "false": False}.get(value.casefold(), value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise wrong
    elif not isinstance(value, str):
        raise wrong
    return value


_WANTED = {
    "number": "number",
    "date": "date such as 2026-06-01",
    "text": "text",
    "boolean": "true or false",
}


def _plain_number(text: str) -> str:
    """JSON knows no leading zeros."""
    return re.sub(r"^(-?)0+(?=\d)", r"\1", text)
