"""What an answer of Volt's says about each thing that was asked in it. Pure: no network, no waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gql.transport.exceptions import TransportError

from volt_pipeline.api.documents import Document
from volt_pipeline.api.errors import (
    AuthError,
    ContractError,
    Path,
    Proof,
    RateLimited,
    ServerError,
    TooComplex,
    TransientError,
    VoltError,
)
from volt_pipeline.api.transport import Exchange, NotConnected, TimedOut, TooLarge
from volt_pipeline.api.wording import Scrub, named, refused, rejected

Errors = Sequence[Mapping[str, Any]]

_MOST_ITEMS = 999_999  # a position; a larger number could be a phone's


@dataclass(frozen=True, slots=True)
class Reply:
    """One root field's answer.

    `error` is set exactly when there is no value: None with no error is Volt's own null ("there is none").
    `partial` is the gravest error deeper inside a value that stands: Volt left a nullable part of it null. Its
    `paths` name all such parts, as far as Volt does.
    """

    value: Any = field(repr=False)  # plain dict, list or None, as Volt gave it; or in the shape that was asked for
    asked_at: datetime  # UTC, just before the request that brought it was sent
    error: VoltError | None = None
    partial: VoltError | None = None


@dataclass(slots=True)
class Verdict:
    """An answer, root key by root key. `unknown` keys were neither answered nor blamed: they are to be asked again."""

    values: dict[str, Any] = field(default_factory=dict)
    partial: dict[str, VoltError] = field(default_factory=dict)
    failed: dict[str, VoltError] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)  # null, while errors name nobody: to be asked in smaller company
    deep: set[str] = field(default_factory=set)  # of the failed: those whose root field itself did not fail


def judge(
    document: Document,
    exchange: Exchange,
    data: Mapping[str, Any] | None,
    errors: Errors,
    scrub: Scrub,
) -> Verdict:
    """Read one GraphQL answer. Raises the VoltError that concerns the document as a whole.

    An error belongs to the root key that its `path` begins with. Where data is null although errors name the
    culprits (a non-null root failed), the other keys are unknown; where nobody is named, the error is everybody's.
    """
    operation, keys = document.operation, document.keys
    _refuse(operation, exchange, errors, scrub)
    by_key, loose = _by_root(keys, errors)
    verdict = Verdict(failed={key: named(operation, found, scrub) for key, found in by_key.items()})
    for key, found in by_key.items():
        verdict.failed[key].paths = _below(document, found)
    verdict.deep = {key for key, found in by_key.items() if all(len(error["path"]) > 1 for error in found)}
    if data is None:
        return _nothing(operation, keys, verdict, exchange, loose, scrub)
    for key in keys:
        if key not in data:
            raise TransientError(operation, "Volt's answer lacks what was asked for", ambiguous=True)
        value = data[key]
        if value is not None:
            verdict.values[key] = value
            deeper = verdict.failed.pop(key, None)
            if deeper is None and loose:
                deeper = named(operation, loose, scrub)  # it names nobody, so it may be about this
            if deeper is not None:
                verdict.partial[key] = deeper
        elif key not in verdict.failed:
            _null(operation, key, keys, verdict, loose, scrub)
    return verdict


def unanswered(operation: str, error: TransportError, exchange: Exchange, most_bytes: int) -> VoltError:
    """Our error for a request that brought no GraphQL answer."""
    refusal = refused(operation, exchange.status, exchange.retry_after)
    if refusal is not None:
        return refusal
    if isinstance(error, TooLarge):
        cap = f"{most_bytes / 2**20:.0f} MB" if most_bytes >= 2**20 else f"{most_bytes} bytes"
        return TooComplex(operation, f"Volt's answer is larger than {cap}, the most that is read")
    if exchange.status >= 400:
        return rejected(operation, exchange.status)
    if isinstance(error, NotConnected):
        return TransientError(operation, f"no connection to VOLT_API_URL: {error}.", whole=True)
    if isinstance(error, TimedOut):
        return TransientError(
            operation, f"no answer within {exchange.timeout:.0f} s. Try again later.", ambiguous=True, timed_out=True
        )
    if exchange.status:
        usable = f"HTTP {exchange.status}, but no usable GraphQL answer: {error}"
        what = f"Volt answered {usable}. If this lasts, check VOLT_API_URL."
    else:
        what = f"{error} before an answer came. Try again later."
    return TransientError(operation, what, ambiguous=True)


def doubtful(operation: str, error: VoltError, *, executed: bool, deep: bool = False) -> VoltError:
    """The error of a mutation, made ambiguous unless it proves that nothing was done.

    Proof is: nothing was sent; HTTP 401, 403, 429 or 4xx; a refusal of the token, the rate or the request in an
    answer without `data` or path (by GraphQL's rules it was then not begun); or a refusal of the token for the
    root field itself.
    """
    if isinstance(error, TransientError):
        return error
    if isinstance(error, AuthError) and not deep:
        return error
    if isinstance(error, RateLimited | ContractError) and not executed:
        return error
    doubt = TransientError(
        operation,
        f"Volt may or may not have done it: {error.message}. Read it back before anything is sent again.",
        ambiguous=True,
        because=error,
    )
    doubt.paths = error.paths
    return doubt


def proof_of_no_effect(error: VoltError, exchange: Exchange) -> Proof | None:
    """What proves that a mutation which came to this error had no effect (errors.py), None where nothing does."""
    if not exchange.status:  # no answer: lost on the way, or never sent
        return None if isinstance(error, TransientError) and error.ambiguous else "unsent"
    if exchange.executed:
        return None
    if exchange.status == 429:
        return "throttled"
    return "refused" if exchange.refused and exchange.status != 408 and exchange.status < 500 else None


def answered(document: Document, verdict: Verdict, asked_at: datetime) -> list[Reply]:
    """The replies to a mutation that was sent for several items: what no answer proves is ambiguous."""
    replies = []
    for key in document.keys:
        if verdict.values.get(key) is not None:
            replies.append(Reply(verdict.values[key], asked_at, partial=verdict.partial.get(key)))
            continue
        failed = verdict.failed.get(key)
        if failed is None:
            words = "Another item of its document failed, so Volt does not say whether this one was carried out."
            error: VoltError = TransientError(document.operation, words, ambiguous=True, beside=True)
        else:
            error = doubtful(document.operation, failed, executed=True, deep=key in verdict.deep)
        replies.append(Reply(None, asked_at, error))
    return replies


def undescribed(operation: str, error: VoltError, exchange: Exchange, *, proven: bool) -> VoltError:
    """The error of an introspection: ContractError where Volt answers but does not describe itself.

    `proven` says that address and token have already brought a value: then any refusal is one of introspection.
    """
    if isinstance(error, TransientError | RateLimited | ServerError):
        return error
    if not proven and (exchange.status not in (200, 400) or (isinstance(error, AuthError) and error.whole)):
        return error  # it says more: the address or the token may be wrong
    why = " (it finds the question too large)" if isinstance(error, TooComplex) else ""
    return ContractError(
        operation,
        f"Volt does not let itself be introspected{why}, so drift, what has changed in its API, cannot be seen. "
        "Compare schema.graphql with Volt's API text by eye.",
        whole=True,
    )


def _refuse(operation: str, exchange: Exchange, errors: Errors, scrub: Scrub) -> None:
    """Raise what the HTTP status means, unless Volt carried the request out and tells about each thing asked."""
    refusal = refused(operation, exchange.status, exchange.retry_after)
    if refusal is None:
        return
    if isinstance(refusal, AuthError | RateLimited):
        raise refusal
    if exchange.executed:
        return
    blamed = named(operation, errors, scrub) if errors else refusal
    # Some servers answer HTTP 500 to a bad token; any other error of theirs says less than the status.
    raise blamed if isinstance(blamed, AuthError | RateLimited | TooComplex) else refusal


def _by_root(keys: Sequence[str], errors: Errors) -> tuple[dict[str, list[Mapping[str, Any]]], list[Mapping[str, Any]]]:
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    loose: list[Mapping[str, Any]] = []
    known = frozenset(keys)
    for error in errors:
        path = error.get("path")
        if isinstance(path, list) and path and isinstance(path[0], str) and path[0] in known:
            by_key.setdefault(path[0], []).append(error)
        else:
            loose.append(error)
    return by_key, loose


def _below(document: Document, errors: Errors) -> tuple[Path, ...]:
    """The places that errors name below their root key, each once.

    A path that holds anything but names of the document and positions is none, and could hold a secret.
    """
    paths: dict[Path, None] = {}
    for error in errors:
        path = tuple(error["path"][1:])
        if path and all(_step(document, step) for step in path):
            paths[path] = None
    return tuple(paths)


def _step(document: Document, step: Any) -> bool:
    if isinstance(step, str):
        return step in document.names
    return isinstance(step, int) and not isinstance(step, bool) and 0 <= step <= _MOST_ITEMS


def _nothing(
    operation: str, keys: Sequence[str], verdict: Verdict, exchange: Exchange, loose: Errors, scrub: Scrub
) -> Verdict:
    """The verdict where data is null: who is blamed, or the error of all."""
    if verdict.failed:
        verdict.unknown = [key for key in keys if key not in verdict.failed]
        return verdict
    if exchange.status == 404 and not exchange.executed:
        raise rejected(operation, 404)  # "not found" is then said of the address, not of a contact
    error = named(operation, loose, scrub)
    if isinstance(error, RateLimited) and error.retry_after is None:
        error.retry_after = exchange.retry_after
    if isinstance(error, ServerError) and 400 <= exchange.status < 500 and not exchange.executed:
        error = ContractError(operation, error.message)  # a refusal, in words not known here
    raise error


def _null(operation: str, key: str, keys: Sequence[str], verdict: Verdict, loose: Errors, scrub: Scrub) -> None:
    """A null that no error names: Volt's own null, unless errors float about that name nobody."""
    if not loose:
        verdict.values[key] = None
    elif len(keys) == 1:
        verdict.failed[key] = named(operation, loose, scrub)
    else:
        verdict.unclear.append(key)
