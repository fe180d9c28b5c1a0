"""No token, phone number or message text in any error, traceback or log, whatever Volt answers."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import VoltError
from volt_pipeline.api.redaction import LIMIT, redact

from .scripted import TOKEN, Say, ScriptedVolt, data, failing

BODY = "Your appointment with Dr. Who is at noon"
PHONE = "+15555550100"
SENT = {"to": PHONE, "from": "+15555550101", "body": BODY}
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="*"), max_size=40)
TOKENS = st.text("abcXYZ0189-_.", min_size=8, max_size=60)
DIGITS = st.lists(st.sampled_from("0123456789"), min_size=7, max_size=15)
SEPARATORS = st.sampled_from(["", " ", "-", ".", ") ", " (", "/", "\u00a0", "\u2011", "_"])


@given(WORDS, TOKENS, WORDS)
def test_a_secret_never_survives(before: str, secret: str, after: str) -> None:
    assert secret not in redact(f"{before}{secret}{after}", secret)


@given(WORDS, DIGITS, st.data(), WORDS)
def test_a_phone_number_never_survives(before: str, digits: list[str], more: st.DataObject, after: str) -> None:
    number = "".join(digit + more.draw(SEPARATORS) for digit in digits[:-1]) + digits[-1]
    shown = redact(f"{before}{number}{after}")
    assert number not in shown
    assert sum(character.isdigit() for character in shown) <= sum(c.isdigit() for c in before + after)


@given(st.text())
def test_what_is_shown_is_one_short_line(text: str) -> None:
    shown = redact(text)
    assert len(shown) <= LIMIT
    assert "\n" not in shown
    shown.encode()
    assert redact(shown) == shown or "…" in shown or '"' in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Contact not found", "Contact not found"),
        ('Cannot query field "x" on type "Message".', 'Cannot query field "x" on type "Message".'),
        ("no contact +1 (555) 555-0100 here", "no contact +*** here"),
        ("mail wile.e@acme.example now", "mail *** now"),
        ("Bearer abc.def is bad", "*** is bad"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.e30.x is bad", "jwt *** is bad"),
        ('bad value "' + "my long private message, " * 2 + '"', 'bad value "***"'),
        ("bad 'Hi mum, see you soon, love' here", 'bad "***" here'),
        ("two\nlines\tand\x00more\ud800", "two lines and more"),
        ("key 3f8a9c2e7b1d4f6a8c0e2b4d6f8a", "key ***"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_short_values_are_masked_as_words() -> None:
    assert redact("Hi is not valid within this", "Hi") == "*** is not valid within this"


def test_values_are_masked_as_json_and_python_quote_them() -> None:
    text = "caf\u00e9 \u2615\nsee you"
    for quoted in (json.dumps(text), repr(text), text):
        assert "see you" not in redact(f"got {quoted} here", text)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def told(error: BaseException) -> str:
    """All that an error tells, and those that it hangs on."""
    parts = [str(error), repr(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error)]
    others = (error.__cause__, error.__context__, getattr(error, "because", None))
    parts.extend(told(other) for other in others if other is not None)
    return "\n".join(parts)


def assert_silent(text: str) -> None:
    for secret in (TOKEN, TOKEN[:30], PHONE, PHONE[2:], "5555550101", BODY, BODY[:20]):
        assert secret not in text


ECHO = f"Bearer {TOKEN} may not send '{BODY}' to {PHONE} from (555) 555-0101"
ANSWERS = [
    failing(ECHO),
    failing(ECHO, "UNAUTHENTICATED"),
    failing(ECHO, "NOT_FOUND", path=["createMessage"], data=None),
    failing(ECHO, f"CODE {ECHO}"),
    failing(ECHO, path=[ECHO], status=400),
    failing(ECHO, path=["createMessage", ECHO, PHONE], data=None),
    failing(ECHO, path=["conversation", int(PHONE), TOKEN], data=None),
    failing(f'Cannot query field "{PHONE}" on type "{TOKEN}". {ECHO}', status=400),
    failing(ECHO, "GRAPHQL_VALIDATION_FAILED", status=400),
    failing(ECHO, "BAD_USER_INPUT", status=500),
    Say(ECHO.encode()),
    Say(f'{{"data": {{"createMessage": "{ECHO}"'.encode()),
    Say(f'{{"data": "\\ud800 {ECHO}"'.encode()),
    Say(ECHO.encode(), 401),
    Say(ECHO.encode(), 404),
    Say(ECHO.encode(), 503),
    Say(b"", 429, {"Retry-After": ECHO}),
    Say(b"", 302, {"Location": f"https://x.example/{TOKEN}?to={PHONE}"}),
    Say({"data": {"createMessage": {"body": BODY}}}, cut=True),
    Say(ECHO.encode(), headers={"Content-Encoding": "gzip"}),
    Say({"errors": ECHO}),
    Say({"errors": [{"message": {"to": PHONE, "text": BODY, "token": TOKEN}}]}),
]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_error_and_no_log_tells_what_was_sent(
    client: VoltClient, volt: ScriptedVolt, everything_logged: pytest.LogCaptureFixture, answer: Say
) -> None:
    volt.says(answer)
    errors: list[BaseException] = []
    with pytest.raises(VoltError) as caught:
        await client.mutate("createMessage", SENT)
    errors.append(caught.value)
    wanted = {"to": PHONE, "from": SENT["from"], "before": BODY}
    with pytest.raises(VoltError) as caught:
        await client.query("conversation", wanted)
    errors.append(caught.value)
    try:
        replies = await client.query_each("conversation", [wanted] * 3)
    except VoltError as error:
        errors.append(error)
    else:
        errors.extend(reply.error for reply in replies if reply.error is not None)
        assert_silent(repr(replies))
    for found in errors:
        assert_silent(told(found))
    assert_silent("\n".join(f"{record.getMessage()} {record.args!r}" for record in everything_logged.records))
    assert_silent(everything_logged.text)


async def test_a_good_exchange_is_not_logged(
    client: VoltClient, volt: ScriptedVolt, everything_logged: pytest.LogCaptureFixture
) -> None:
    volt.says(data(createMessage={"body": BODY, "toNumber": PHONE}))
    reply = await client.mutate("createMessage", SENT)
    assert_silent(everything_logged.text + repr(reply) + repr(client) + repr(client.usage))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=WORDS, after=WORDS, status=st.sampled_from([200, 400, 401, 404, 422, 500]), code=st.none() | WORDS)
async def test_any_echo_is_masked(
    client: VoltClient, volt: ScriptedVolt, before: str, after: str, status: int, code: str | None
) -> None:
    message = f"{before}{TOKEN}{after}{PHONE}{before}{BODY}{after}"
    extensions: dict[str, Any] = {} if code is None else {"extensions": {"code": code}}
    volt.says(Say({"errors": [{"message": message, **extensions}]}, status))
    with pytest.raises(VoltError) as caught:
        await client.mutate("createMessage", SENT)
    assert_silent(told(caught.value))
