"""Segments and cost of a text that is not sent yet: the same truth as dbt's macros for those that were."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import jinja2
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volt_pipeline.sending.segments import EXTENSION, GSM7, Counted, cost, count

MACROS = Path(__file__).parents[2] / "dbt_project" / "macros" / "segments.sql"
QUESTION = """
SELECT encoding, units, {{ segments('units', 'encoding') }}
FROM (
    SELECT encoding, {{ text_units('body', 'encoding') }} AS units
    FROM (
        SELECT %(body)s::text AS body, {{ text_encoding('%(body)s::text', '%(media)s::integer') }} AS encoding
    ) AS a
) AS b
"""


@pytest.fixture(scope="module")
def question() -> bytes:
    """The macros, as dbt would put them into a statement."""
    made = jinja2.Environment(autoescape=False).from_string(MACROS.read_text(encoding="utf-8") + QUESTION)
    return made.render().replace("%&", "%%&").encode()


@pytest.fixture(scope="module")
def postgres(server_url: str) -> Iterator[psycopg.Connection[tuple[str, int, int]]]:
    with psycopg.connect(server_url, autocommit=True) as connection:
        yield connection


CHARACTERS = st.one_of(
    st.sampled_from(sorted(GSM7 | EXTENSION)),
    st.sampled_from("\u2019\u201cñÑçÇ🧱👍🏽é\u00a0\t\r\n\u0430"),
    st.characters(codec="utf-8", exclude_characters="\x00"),
)
GSM = st.text(st.sampled_from(sorted(GSM7 | EXTENSION)), max_size=400)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(GSM, st.text(CHARACTERS, max_size=200)), st.sampled_from([0, 0, 0, 1, 3]))
def test_dbt_counts_the_same(
    postgres: psycopg.Connection[tuple[str, int, int]], question: bytes, body: str, media: int
) -> None:
    counted = count(body, media)
    (found,) = postgres.execute(question, {"body": body, "media": media}).fetchall()
    assert found == (counted.encoding, counted.units, counted.segments)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", Counted("sms_gsm7", 0, 1)),
        ("a" * 160, Counted("sms_gsm7", 160, 1)),
        ("a" * 161, Counted("sms_gsm7", 161, 2)),
        ("€" * 80, Counted("sms_gsm7", 160, 1)),
        ("€" * 81, Counted("sms_gsm7", 162, 2)),
        ("ы" * 70, Counted("sms_utf16", 70, 1)),
        ("🧱" * 36, Counted("sms_utf16", 72, 2)),
        ("a" * 306 + "\u2019", Counted("sms_utf16", 307, 5)),
    ],
)
def test_the_edges(body: str, expected: Counted) -> None:
    assert count(body) == expected


def test_the_cost_is_by_segment_or_by_picture() -> None:
    rates = {"sms": Decimal("0.01"), "mms": Decimal("0.03")}
    assert cost(count("a" * 161), 10, rates) == Decimal("0.20")
    assert cost(count("a" * 161, media=2), 10, rates) == Decimal("0.30")
    assert cost(count("a"), 1, {}) is None
