"""The rows of an export, with care: each becomes a wish, or is refused with a reason that names what to mend."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from volt_pipeline.activate.backoff import waits
from volt_pipeline.activate.phones import account
from volt_pipeline.activate.rows import Export, Facts, ForgottenPerson, Refusal, Row, Target, Wish, digest


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values; a missing one (NULL, NaN, NaT) is None."""
    return [
        {str(name): None if _missing(value) else value for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def take_in(kind: Export[Wish], frame: pd.DataFrame, facts: Facts) -> list[Row[Wish]]:
    """Every row of the export, in its order. Rows for one and the same thing are one, or all refused if they differ."""
    rows = [_row(kind, position, record, facts) for position, record in enumerate(records(frame))]
    alike: dict[Target, list[Row[Wish]]] = defaultdict(list)
    for row in rows:
        if row.wish is not None:
            alike[row.target].append(row)
    for same in alike.values():
        if len(same) > 1:
            _settle_alike(rows, same)
    return [_patient(row, facts) for row in rows]


def _row(kind: Export[Wish], position: int, record: Mapping[str, Any], facts: Facts) -> Row[Wish]:
    account_phone, key = kind.target(record)
    row: Row[Wish] = Row(position, account_phone, key, digest(record))
    try:
        if not (account_phone and key):
            raise Refusal("its account_phone or its key is missing")
        known = account(account_phone)
        if known not in facts.phones:
            raise Refusal("its account is not in VOLT_ACCOUNTS")
        wish = kind.wish({**record, "account_phone": known}, facts)
    except ForgottenPerson as error:  # the record of the push keeps nothing that tells who it is
        return Row(position, account_phone, "(forgotten)", "", settled="refused", reason=str(error))
    except Refusal as error:
        return replace(row, settled="refused", reason=str(error))
    variables = kind.asked(wish)
    return replace(row, account_phone=known, key=str(list(variables.values())[1]), wish=wish)


def _settle_alike(rows: list[Row[Wish]], same: list[Row[Wish]]) -> None:
    first, *others = same
    if all(other.wish == first.wish for other in others):
        for other in others:
            reason = "the same as an earlier row of the export"
            rows[other.position] = replace(other, wish=None, settled="unchanged", reason=reason)
        return
    for each in same:
        reason = f"{len(same)} rows of the export are about this one and differ; keep one of them"
        rows[each.position] = replace(each, wish=None, settled="refused", reason=reason)


def _patient(row: Row[Wish], facts: Facts) -> Row[Wish]:
    """The row with its failures so far; one that is not due yet waits."""
    failure = facts.failures.get(row.target)
    if row.wish is None or failure is None or failure.digest != row.digest:
        return row
    if reason := waits(failure, row.digest, facts.now):
        return replace(row, settled="waits", reason=reason, tries=failure.tries)
    return replace(row, tries=failure.tries)
