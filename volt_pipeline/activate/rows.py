"""What a push speaks of, the same for contacts and lists: rows, facts, decisions and writes. Plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

Action = Literal["create", "update", "unchanged", "refused"]
Outcome = Literal["sent", "unchanged", "refused", "failed", "unknown"]
Name = Literal["contacts", "lists"]
Target = tuple[str, str]  # an account's phone, and the row's key within it
Wish = TypeVar("Wish")


class Refusal(Exception):
    """A row that must not be written; the reason names columns and fields, never a person."""


class ForgottenPerson(Refusal):
    """A row about somebody who was forgotten: not even its key may be kept."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A row of `volt_ops.unblock_approvals` that was not used yet: somebody answers for un-blocking this contact."""

    id: int
    approved_by: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The last try of a row, if it failed: how often in a row it did, when, and why."""

    digest: str
    tries: int
    at: datetime
    reason: str
    outcome: Outcome


@dataclass(frozen=True)
class Facts:
    """What the warehouse knows beside the export. `phones` are the accounts that may be written."""

    phones: frozenset[str]
    now: datetime
    own_numbers: frozenset[str] = frozenset()
    field_types: Mapping[str, frozenset[str]] = field(default_factory=dict)
    approvals: Mapping[Target, Approval] = field(default_factory=dict)
    failures: Mapping[Target, Failure] = field(default_factory=dict)
    sizes: Mapping[Target, int] = field(default_factory=dict)
    forgotten: Container[str] = frozenset()  # whose phones nothing may be kept of, nor written


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a row. `variables` are the whole mutation's; None writes nothing ("unchanged", "refused").

    `approval` is the one that lets it un-block.
    """

    action: Action
    reason: str = ""
    variables: Mapping[str, Any] | None = field(default=None, repr=False)
    approval: Approval | None = None


@dataclass(frozen=True)
class Export(Generic[Wish]):
    """One kind of row. `wish` reads a row or raises Refusal; `decide` is given what Volt holds now (None: nothing).

    `differences` names where an answer is not what was sent, `held` what the warehouse holds in Volt's own form.
    """

    name: Name
    query: str
    mutation: str
    batch: int  # rows in one document
    wish: Callable[[Mapping[str, Any], Facts], Wish]
    target: Callable[[Mapping[str, Any]], Target]
    asked: Callable[[Wish], Mapping[str, Any]]
    decide: Callable[[Wish, Mapping[str, Any] | None, Facts], Decision]
    differences: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]
    held: Callable[[Mapping[str, Any]], dict[str, Any]]
    needs: Callable[[Wish], Target | None] = lambda _wish: None  # what must be written before it


@dataclass(frozen=True, slots=True)
class Row(Generic[Wish]):
    """A row of the export as it came in. Without a wish it is settled already: `settled` and `reason` say how.

    `tries` counts its failures in a row so far; `digest` tells whether it is still the row that failed; `planned` is
    what its plan means to do.
    """

    position: int
    account_phone: str
    key: str = field(repr=False)
    digest: str
    wish: Wish | None = None
    settled: Literal["", "refused", "unchanged", "waits"] = ""
    reason: str = ""
    tries: int = 0
    planned: Action = "refused"

    @property
    def target(self) -> Target:
        return self.account_phone, self.key


@dataclass(frozen=True, slots=True)
class Write(Generic[Wish]):
    """A row that is about to be written: what Volt held when it was read just now, and what is meant."""

    row: Row[Wish]
    before: Mapping[str, Any] | None = field(repr=False)
    read_at: datetime
    decision: Decision

    @property
    def variables(self) -> Mapping[str, Any]:
        return self.decision.variables or {}


def masked(phone: str) -> str:
    """A phone as it may be shown: +1918•••0107."""
    return f"{phone[:5]}•••{phone[-4:]}" if len(phone) >= 11 else "•••"


def digest(value: Any) -> str:
    """A short fingerprint of any JSON value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
