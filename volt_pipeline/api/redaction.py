"""Makes text from outside fit to be shown: no token, phone number, address or message survives in it.

Volt's error texts may quote what was sent. They are shown to people and stored by Dagster in clear, so each passes
here first. What was sent is known exactly and masked exactly; the patterns catch what Volt adds of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
LIMIT = 200  # characters shown

# Enough of a text to fill LIMIT. The exact values are looked for further, so that none is seen cut in two.
_CONSIDERED, _SEARCHED = 20_000, 100_000

# Phone numbers go first: another pattern could swallow half of one and leave the rest. `*` stands for what is masked.
_PATTERNS = (
    re.compile(r"\d(?:[\W_]{0,4}\d){6,}"),  # seven digits or more, punctuated or not
    re.compile(r"\b[Bb]earer\s+[^\s\"',;]+"),
    re.compile(r"\beyJ[\w*-]{4,}(?:\.[\w*-]*)*"),  # a JWT, whole or cut
    re.compile(r"[^\s\"'<>()]+@[^\s\"'<>()]+"),
    re.compile(r"(?=[A-Za-z+/_=.*-]{0,40}\d)[A-Za-z0-9+/_=.*-]{28,}"),  # an opaque key, an encoded cursor
)
_QUOTED = re.compile(r"(?P<quote>[\"'`])(?:(?!(?P=quote)).){25,}(?P=quote)|[“«][^”»]{25,}[”»]")
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u2028-\u202e\ufeff]+")


def redact(text: object, *secrets: str) -> str:
    """`text` on one line of at most 200 characters, its secrets, phones, e-mail addresses, long quotations masked."""
    shown = str(text)[:_SEARCHED]
    forms = {form for secret in secrets for form in _forms(secret)}
    lower = shown.lower()
    present = [form for form in forms if form in shown or form.lower() in lower]  # most are not, and a regex is dear
    for form in sorted(present, key=len, reverse=True):
        shown = _without(shown, form)
    shown = _UNPRINTABLE.sub(" ", shown[:_CONSIDERED])
    for pattern in _PATTERNS:
        shown = pattern.sub(MASK, shown)
    shown = _QUOTED.sub(f'"{MASK}"', shown).strip()
    return shown if len(shown) <= LIMIT else shown[: LIMIT - 1] + "…"


def strings(value: Any) -> Iterable[str]:
    """Every string in a request's variables, however deep: what an error text must not repeat."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)


def _forms(secret: str) -> Iterable[str]:
    """A secret as it is, and as JSON or Python would quote it."""
    secret = str(secret).strip()
    return {form for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]) if form}


def _without(text: str, secret: str) -> str:
    # A short value ("Hi", "12") is masked as a word only, else it would eat holes into other words.
    pattern = re.escape(secret) if len(secret) >= 4 else rf"(?<!\w){re.escape(secret)}(?!\w)"
    return re.sub(pattern, MASK, text, flags=re.IGNORECASE)
