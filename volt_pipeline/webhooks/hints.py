"""What an event hints at, read tolerantly: Volt's event bodies have no published form but the one seen in the wild.

    {"payload": {"event_type": "message.received", "direction": "inbound", "from_number": …, "to_number": …, …}}

All fields are optional, ids may stand under several names, and a Standard Webhooks envelope is `{"type", "data"}`.
Only the kind of event, an id, a direction and two numbers are taken; whatever else it says is asked of the API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from volt_pipeline.event import Hint

_TYPES = ("event_type", "eventType", "event", "type")
_IDS = ("message_id", "messageId", "id")
_FROM = ("from_number", "fromNumber", "from")
_TO = ("to_number", "toNumber", "to")
_WORD = re.compile(r"[A-Za-z][\w.-]{0,59}", re.ASCII)
_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
_PUNCTUATION = re.compile(r"[\s().-]+")
_DIGITS = re.compile(r"\+?[0-9]{7,15}", re.ASCII)
_LONGEST_NATIONAL = 10  # a North American number without its country code


class Unreadable(Exception):
    """An event without anything to look up; the text says why and quotes nothing of it."""


def read_hint(body: bytes) -> Hint:
    """The hint in a body. Raises Unreadable when it names neither a message nor two numbers."""
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unreadable("its body is no JSON") from None
    if not isinstance(whole, dict):
        raise Unreadable("its body is no JSON object")
    places = list(_places(whole))
    hint = Hint(
        event_type=_first(places, _TYPES, _event_type),
        direction=_first(places, ("direction",), _direction),
        message_id=_first(places, _IDS, _identity),
        from_number=_first(places, _FROM, _number),
        to_number=_first(places, _TO, _number),
    )
    if not hint.message_id and not (hint.from_number and hint.to_number):
        raise Unreadable("it names neither a message nor the two numbers of one")
    return hint


def _places(whole: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Where the fields may stand, the likeliest first. The envelope's own id is the event's, not a message's."""
    payload = next((whole[name] for name in ("payload", "data") if isinstance(whole.get(name), dict)), None)
    if payload is None:
        yield whole
        return
    if isinstance(payload.get("message"), dict):
        yield payload["message"]
    yield payload
    yield {name: value for name, value in whole.items() if name not in _IDS}


def _first(places: list[Mapping[str, Any]], names: tuple[str, ...], form: Any) -> str:
    for place in places:
        for name in names:
            if found := form(place.get(name)):
                return str(found)
    return ""


def _event_type(value: Any) -> str:
    return value if isinstance(value, str) and "." in value and _WORD.fullmatch(value) else ""


def _direction(value: Any) -> str:
    return value if value in ("inbound", "outbound") else ""


def _identity(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else ""


def _number(value: Any) -> str:
    """A phone number in international form; "" for what is none."""
    text = _PUNCTUATION.sub("", value) if isinstance(value, str) else str(value) if type(value) is int else ""
    if not _DIGITS.fullmatch(text):
        return ""
    if text.startswith("+"):
        return text
    return f"+1{text}" if len(text) == _LONGEST_NATIONAL else f"+{text}"
