"""Reading around what Volt cannot give: one bad field costs one row, not a page.

A null where Volt promises none takes everything up to the next nullable field with it: a whole conversation, or an
inbox item's contact. The error says where it stood. The page is asked again without the suspect field, then each thing
on it by itself: those that come whole are taken whole, and what stays is stored without the field and put on record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import VoltError
from volt_pipeline.api.suspects import droppable, suspects

_MOST_FIELDS = 5  # suspect fields left out of one document before it is given up


@dataclass(frozen=True)
class Around:
    """A page that was read around a flaw: the reply, and what is wrong with which of its items (by position).

    `lacking` says what the page itself does not hold, because no query for one item gives it back.
    """

    reply: Reply
    flaws: dict[int, str] = field(default_factory=dict)
    lacking: str = ""


async def without_suspects(
    volt: VoltClient, operation: str, variables: Mapping[str, Any], failure: VoltError
) -> tuple[Reply, frozenset[str]]:
    """The same query without the fields that errors point at, and those fields; `in_words` says them.

    Raises the failure itself when it points at none that can be left out.
    """
    without: frozenset[str] = frozenset()
    for _ in range(_MOST_FIELDS):
        more = suspects(operation, failure.paths) - without
        if not more:
            raise failure
        without |= more
        try:
            reply = await volt.query(operation, variables, without=without)
        except VoltError as again:
            failure = again
            continue
        if reply.partial is None or not suspects(operation, reply.partial.paths):
            return reply, without
        failure = reply.partial
    raise failure


def in_words(without: frozenset[str]) -> str:
    """What is wrong with a row that was read without these fields; "" if nothing is."""
    return f"Volt cannot give {', '.join(sorted(without))}; stored without" if without else ""


async def whole_page(
    volt: VoltClient,
    operation: str,
    variables: Mapping[str, Any],
    reply: Reply,
    *,
    items: str,
    single: str,
    target: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    put_back: Callable[[dict[str, Any], Any], dict[str, Any]],
) -> Around:
    """A page as whole as Volt gives it.

    `single` is the query for one item, `target` its variables (None: it cannot be asked), `put_back` the item with the
    single answer in its place. Raises the page's own error when it cannot be read around.
    """
    failure = reply.error or reply.partial
    if failure is None:
        return Around(reply)
    if not suspects(operation, failure.paths):
        if reply.error is not None:
            raise reply.error
        hit = {path[1] for path in failure.paths if path[0] == items and len(path) > 1}
        return Around(reply, {at: f"Volt gave only a part: {failure}" for at in hit if isinstance(at, int)})
    reduced, without = await without_suspects(volt, operation, variables, failure)
    page = dict(reduced.value)
    asked = {at: wanted for at, item in enumerate(page[items]) if item and (wanted := target(item))}
    answers = await volt.query_each(single, list(asked.values()))
    flaws: dict[int, str] = {}
    rows = list(page[items])
    for at, answer in zip(asked, answers, strict=True):
        if answer.value is not None and answer.partial is None:
            rows[at] = put_back(rows[at], answer.value)
        else:
            flaws[at] = in_words(without)
    return Around(Reply({**page, items: rows}, reduced.asked_at), flaws, in_words(without - droppable(single)))
