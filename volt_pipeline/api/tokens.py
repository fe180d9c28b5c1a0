"""The access token: fit to be sent, when it dies, what it may do. Nothing is verified: that is Volt's part.

Volt's tokens are JWTs with an `exp` claim and permissions of the form `read:messages`; a token of another form is
no error here, it just says nothing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from volt_pipeline.api.errors import AuthError

_PERMISSION = re.compile(r"(?:read|write):[\w-]+")


def usable_token(token: str) -> str:
    """The token as it will be sent. Raises AuthError for one that no server could accept."""
    token = token.strip()
    if not token:
        raise AuthError("connect", "VOLT_API_TOKEN is empty", whole=True)
    if not (token.isascii() and token.isprintable()) or " " in token:
        message = "VOLT_API_TOKEN holds spaces or characters that no token has; copy it again"
        raise AuthError("connect", message, whole=True)
    return token


def expires_at(token: str) -> datetime | None:
    """When the token dies (UTC), from its `exp` claim; None if it does not say."""
    seconds = _claims(token).get("exp")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def permissions(token: str) -> frozenset[str]:
    """The permissions named anywhere in the token's claims, such as `read:messages`; empty if it names none."""
    return frozenset(word for word in _words(_claims(token)) if _PERMISSION.fullmatch(word))


def _claims(token: str) -> dict[str, Any]:
    parts = token.strip().split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _words(value: Any) -> Iterable[str]:
    """Every word in the claims: permissions come as a list, as one spaced string, or as keys that are true."""
    if isinstance(value, str):
        yield from value.split()
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if item is True:
                yield key
            yield from _words(item)
