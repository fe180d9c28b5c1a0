"""Pushing the rows of an export: read each fresh, decide, write once, compare the answer with what was meant.

The same for contacts and lists; what differs (`Export`) is how a row is read, decided and compared, all of it pure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import NotFound, TransientError, VoltError

Action = Literal["create", "update", "unchanged", "refused"]
Outcome = Literal["sent", "unchanged", "refused", "failed", "unknown"]
Wish = TypeVar("Wish")

_READ_AT_ONCE = 25  # rows read fresh in one document, just before they are written


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a row. `variables` are the whole mutation's; None writes nothing ("unchanged", "refused")."""

    action: Action
    reason: str = ""
    variables: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Export(Generic[Wish]):
    """One kind of row. `decide` is given what Volt holds now (None: nothing); `differences` names where an answer
    is not what was sent."""

    name: Literal["contacts", "lists"]
    query: str
    mutation: str
    target: Callable[[Wish], tuple[str, str]]  # account phone, the row's key within it
    asked: Callable[[Wish], Mapping[str, Any]]
    decide: Callable[[Wish, Mapping[str, Any] | None], Decision]
    differences: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one row: a row of `volt_ops.pushes`. `before` is what Volt held, `after` what it answered.

    `unknown`: the write may or may not have happened; the next push reads the row fresh and finds out.
    """

    export: str
    account_phone: str
    row_key: str
    action: Action
    outcome: Outcome
    reason: str = ""
    before: Any = None
    sent: Any = None
    after: Any = None

    @property
    def alarming(self) -> bool:
        """Volt answered something else than was meant: nothing more may be written before someone has looked."""
        return self.outcome == "failed" and self.after is not None


async def push(
    volt: VoltClient, export: Export[Wish], wishes: Sequence[Wish], *, dry_run: bool = False
) -> AsyncIterator[Attempt]:
    """Push the rows in order; gives what became of each, and ends after an alarming one.

    A dry run writes nothing and gives `sent` for what would be written. Raises VoltError when Volt cannot be read.
    """
    for start in range(0, len(wishes), _READ_AT_ONCE):
        part = wishes[start : start + _READ_AT_ONCE]
        replies = await volt.query_each(export.query, [export.asked(wish) for wish in part])
        for wish, reply in zip(part, replies, strict=True):
            attempt = await _push_one(volt, export, wish, reply, dry_run=dry_run)
            yield attempt
            if attempt.alarming:
                return


async def _push_one(volt: VoltClient, export: Export[Wish], wish: Wish, reply: Reply, *, dry_run: bool) -> Attempt:
    account_phone, key = export.target(wish)
    unread = reply.partial if reply.error is None or isinstance(reply.error, NotFound) else reply.error
    if unread is not None:
        reason = f"not written, since it could not be read: {unread}"
        return Attempt(export.name, account_phone, key, "refused", "failed", reason)
    decision = export.decide(wish, reply.value)

    def became(outcome: Outcome, reason: str = decision.reason, after: Any = None) -> Attempt:
        action, sent = decision.action, decision.variables
        return Attempt(export.name, account_phone, key, action, outcome, reason, reply.value, sent, after)

    if decision.variables is None:
        return became("refused" if decision.action == "refused" else "unchanged")
    if dry_run:
        return became("sent")
    try:
        answer = (await volt.mutate(export.mutation, decision.variables)).value
    except VoltError as error:
        doubtful = isinstance(error, TransientError) and error.ambiguous
        return became("unknown" if doubtful else "failed", str(error))
    if wrong := export.differences(decision.variables, answer):
        return became("failed", f"Volt's answer differs from what was meant: {', '.join(wrong)}", answer)
    return became("sent", after=answer)
