"""Which kind of error Volt means: from the HTTP status, from `extensions.code`, else from the words it chose.

Volt's API text says nothing about errors, so codes and words of the common GraphQL servers are known here. A code
that says much ("NOT_FOUND") is believed; a code that many servers put on anything ("INTERNAL_SERVER_ERROR",
"BAD_USER_INPUT") is believed only where the words say nothing. A GraphQL error of no known kind is a `ServerError`;
a request refused with HTTP 4xx for no known reason is a `ContractError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from http import HTTPStatus
from typing import Any

from volt_pipeline.api.errors import (
    AuthError,
    ContractError,
    NotFound,
    RateLimited,
    ServerError,
    TooComplex,
    TransientError,
    VoltError,
)

Scrub = Callable[[object], str]


class _Kind(IntEnum):
    """The kinds of GraphQL errors, the gravest first."""

    REFUSED = 0  # the token
    FORBIDDEN = 1
    RATE = 2
    COMPLEX = 3
    DOCUMENT = 4
    MISSING = 5
    INPUT = 6
    SERVER = 7


_CODES = {
    _Kind.REFUSED: "UNAUTHENTICATED UNAUTHORIZED INVALID_TOKEN TOKEN_INVALID TOKEN_EXPIRED EXPIRED_TOKEN "
    "NOT_AUTHENTICATED",
    _Kind.FORBIDDEN: "FORBIDDEN PERMISSION_DENIED ACCESS_DENIED NOT_AUTHORIZED INSUFFICIENT_SCOPE "
    "INSUFFICIENT_PERMISSIONS",
    _Kind.RATE: "RATE_LIMITED RATELIMITED RATE_LIMIT RATE_LIMIT_EXCEEDED THROTTLED TOO_MANY_REQUESTS",
    _Kind.COMPLEX: "QUERY_TOO_COMPLEX TOO_COMPLEX COMPLEXITY_LIMIT_EXCEEDED MAX_COMPLEXITY_EXCEEDED QUERY_TOO_DEEP "
    "MAX_DEPTH_EXCEEDED DEPTH_LIMIT_EXCEEDED TOO_MANY_ROOT_FIELDS TOO_MANY_ALIASES MAX_ALIASES_EXCEEDED "
    "QUERY_TOO_LARGE PAYLOAD_TOO_LARGE MAX_TOKENS_EXCEEDED",
    _Kind.DOCUMENT: "GRAPHQL_VALIDATION_FAILED GRAPHQL_PARSE_FAILED OPERATION_RESOLUTION_FAILURE VALIDATION_ERROR "
    "INTROSPECTION_DISABLED",
    _Kind.MISSING: "NOT_FOUND NOTFOUND RESOURCE_NOT_FOUND",
}
_KIND_OF_CODE = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_VAGUE_CODES = {
    "BAD_USER_INPUT": _Kind.INPUT,
    "BAD_REQUEST": _Kind.INPUT,
    "INVALID_INPUT": _Kind.INPUT,
    "INTERNAL_SERVER_ERROR": _Kind.SERVER,
}

# Read in this order: "field X doesn't exist" is about the document before it is about a missing contact.
_WORDS = {
    _Kind.RATE: r"rate.?limit|too many requests|throttl|slow down",
    _Kind.COMPLEX: r"too complex|complexity|too deep|depth limit|max\w*.{0,20}\b(depth|aliases|tokens)\b|"
    r"too many (root )?(fields|aliases|tokens|operations|queries)|"
    r"(query|document|request|payload) (is )?too (large|big|long)",
    _Kind.DOCUMENT: r"cannot query field|syntax error|unknown (field|argument|type|fragment|directive|operation)|"
    r"must have a (sub)?selection|fragment .{1,60} (never|not) used|"
    r"variable .{1,60} (is not defined|is never used|used in position)|"
    r"fields? .{1,80}(doesn.t|does not|didn.t) (exist|accept|match)|field .{1,80} argument .{1,60} required|"
    r"field .{1,80} (in type .{1,80} is undefined|not found in type)|"
    r"introspection .{0,40}(disabled|forbidden|not (allowed|permitted|enabled|supported|available))",
    _Kind.REFUSED: r"unauthori[sz]ed|unauthenticated|not (authenticated|logged in|signed in)|"
    r"authentication (is )?(required|failed)|"
    r"(invalid|expired|missing|malformed|revoked|bad) (access |api |auth |bearer )?token|"
    r"token .{0,20}(invalid|expired|missing|revoked|malformed)|\bjwt\b|(invalid|missing) credentials",
    _Kind.FORBIDDEN: r"forbidden|permission|access denied|not (allowed|authori[sz]ed)",
    _Kind.MISSING: r"\bnot[ _]?found\b|(does not|doesn.t|do not|don.t) exist|no such|could(n.t| not) find|"
    r"unable to find",
}
_WORDING = {kind: re.compile(words, re.IGNORECASE) for kind, words in _WORDS.items()}
# Missing parts of Volt's own machinery are no proof that a contact is gone: rows are retired on NotFound.
_MACHINERY = re.compile(
    r"\b(relation|column|table|database|schema|function|method|module|host|hostname|route|server|file|template|endpoint|"
    r"resolver|service|backend|upstream|key|bucket|queue|worker|index)\b",
    re.IGNORECASE,
)

# How servers name a field that they do not know: `Cannot query field "sentBy" on type "Wave"`, and its kin.
_NAME = r"""["'`]([_A-Za-z][_0-9A-Za-z]{0,60})["'`]"""
_UNKNOWN_FIELD = re.compile(
    rf"field {_NAME} (?:(?:doesn.t exist|does not exist|(?:was )?not found) )?(?:on|in) (?:the )?type:? {_NAME}",
    re.IGNORECASE,
)
_MOST_NAMED, _CONSIDERED = 5, 1000


def named(operation: str, errors: Sequence[Mapping[str, Any]], scrub: Scrub) -> VoltError:
    """The gravest of some GraphQL errors, as ours. `scrub` makes Volt's text fit to be shown."""
    kind, error = min(((_kind(error), error) for error in errors), key=lambda pair: pair[0])
    said = scrub(error.get("message") or _code(error) or "no reason given")
    match kind:
        case _Kind.REFUSED:
            return token_refused(operation, f"Volt says: {said}")
        case _Kind.FORBIDDEN:
            return AuthError(operation, f"the token may not do this (Volt says: {said}). {_ADVICE}")
        case _Kind.RATE:
            return rate_limited(operation, _seconds(error))
        case _Kind.COMPLEX:
            return TooComplex(operation, f"Volt finds the document too large or too complex (it says: {said})")
        case _Kind.DOCUMENT:
            return document_refused(operation, _unknown_fields(errors, scrub), said)
        case _Kind.MISSING:
            return NotFound(operation, f"Volt does not find it (it says: {said})")
        case _Kind.INPUT:
            return ContractError(operation, f"Volt does not accept what was asked (it says: {said})")
    return ServerError(operation, f"Volt failed to answer (it says: {said})")


def refused(operation: str, status: int, retry_after: float | None) -> VoltError | None:
    """The error that an HTTP status means by itself; None where it depends on the body (2xx, most of 4xx)."""
    if status in (401, 403):
        return token_refused(operation, f"HTTP {status}")
    if status == 429:
        return rate_limited(operation, retry_after)
    if 300 <= status < 400:
        return ContractError(
            operation,
            f"VOLT_API_URL answers with a redirect (HTTP {status}). It is not followed: the token would go with it. "
            "Set VOLT_API_URL to the final address.",
            whole=True,
        )
    if status == 413:
        return TooComplex(operation, "Volt finds the request too large (HTTP 413)")
    if status in (408, 425) or status >= 500:
        return TransientError(
            operation,
            f"Volt is in trouble (HTTP {status}{_phrase(status)}). Try again later.",
            retry_after=retry_after,
            ambiguous=True,
        )
    return None


def rejected(operation: str, status: int) -> ContractError:
    """The error of a status 4xx with no GraphQL answer."""
    return ContractError(
        operation,
        f"VOLT_API_URL does not answer like a GraphQL endpoint (HTTP {status}{_phrase(status)}). Check the address.",
        whole=True,
    )


def token_refused(operation: str, why: str) -> AuthError:
    return AuthError(operation, f"Volt refuses the access token ({why}). {_ADVICE}", whole=True)


def document_refused(operation: str, fields: Sequence[str], said: str) -> ContractError:
    """Volt does not take the question as it stands; `fields` are those that it says it does not know."""
    if fields:
        more = f" and {len(fields) - _MOST_NAMED} more" if len(fields) > _MOST_NAMED else ""
        which = f"field{'s' if len(fields) > 1 else ''} {', '.join(fields[:_MOST_NAMED])}{more}"
        message = f"Volt does not know the {which}. Its API may have changed; run volt-pipeline doctor"
    else:
        message = (
            f"Volt refuses the document itself (it says: {said}). Its API may have changed; run volt-pipeline doctor, "
            "and compare schema.graphql and catalog.py with Volt's API text"
        )
    return ContractError(operation, message, whole=True)


def rate_limited(operation: str, retry_after: float | None) -> RateLimited:
    until = "" if retry_after is None else f" for {retry_after:.0f} s"
    return RateLimited(
        operation,
        f"Volt asks to slow down{until}. Try later, or ask with less concurrency.",
        whole=True,
        retry_after=retry_after,
    )


_ADVICE = "Check VOLT_API_TOKEN; a new token, with the permissions it needs, comes from Volt's Settings, Developers."


def _kind(error: Mapping[str, Any]) -> _Kind:
    code, message = _code(error), str(error.get("message") or "")
    if code in _KIND_OF_CODE:
        return _KIND_OF_CODE[code]
    for kind, words in _WORDING.items():
        if words.search(message) and not (kind is _Kind.MISSING and _MACHINERY.search(message)):
            return kind
    return _VAGUE_CODES.get(code, _Kind.SERVER)


def _unknown_fields(errors: Sequence[Mapping[str, Any]], scrub: Scrub) -> list[str]:
    """The fields, as `Type.field`, that errors say Volt does not know; each once, and only what may be shown."""
    found: dict[str, None] = {}
    for error in errors:
        match = _UNKNOWN_FIELD.search(str(error.get("message"))[:_CONSIDERED])
        if match and all(scrub(name) == name for name in match.groups()):
            found[f"{match[2]}.{match[1]}"] = None
    return list(found)


def _code(error: Mapping[str, Any]) -> str:
    """The error's code, from `extensions.code`, `extensions.type` or `code`, in capitals; "" if there is none."""
    extensions = error.get("extensions")
    places: list[Any] = [error.get("code")]
    if isinstance(extensions, Mapping):
        places = [extensions.get("code"), extensions.get("type"), *places]
    for place in places:
        if isinstance(place, str) and place:
            return place.upper().replace("-", "_").replace(" ", "_")
    return ""


def _seconds(error: Mapping[str, Any]) -> float | None:
    """How long a rate limit lasts, where a GraphQL error tells it."""
    extensions = error.get("extensions")
    if not isinstance(extensions, Mapping):
        return None
    for name in ("retryAfter", "retry_after", "retryAfterSeconds"):
        value = extensions.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
            return float(value)
    return None


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
