"""Who may be texted: the words that count are those of dbt, and no source that objects is outvoted."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jinja2
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volt_pipeline.sending.consent import KEYWORDS, Said, Standing, folded, objection, opted_out

PROJECT = Path(__file__).parents[2] / "dbt_project"
AT = datetime(2026, 3, 4, tzinfo=UTC)


def said(*words: str) -> list[Said]:
    return [Said(word, AT + timedelta(minutes=minute)) for minute, word in enumerate(words)]


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["STOP"], True),
        (["Stop!! 🛑"], True),
        (["opt-out."], True),
        (["  unsubscribe\n"], True),
        (["stop by at noon"], False),
        (["STOP", "START"], False),
        (["STOP", "yes"], False),
        (["START", "STOP"], True),
        (["STOP", "HELP", "Thanks"], True),
        ([], False),
    ],
)
def test_the_last_word_on_consent_counts(words: list[str], out: bool) -> None:
    assert opted_out(said(*words)) == out
    assert opted_out(reversed(said(*words))) == out


def test_a_stop_without_a_time_and_one_in_the_same_instant_count_last() -> None:
    assert opted_out([Said("STOP", None), Said("START", AT)])
    assert opted_out([Said("START", AT), Said("STOP", AT)])


def test_the_keywords_are_those_of_the_seed() -> None:
    with (PROJECT / "seeds" / "consent_keywords.csv").open(encoding="utf-8", newline="") as file:
        seed = {row["keyword"]: row["effect"] for row in csv.DictReader(file) if row["effect"] != "none"}
    assert seed == KEYWORDS


@pytest.fixture(scope="module")
def postgres(server_url: str) -> Iterator[psycopg.Connection[tuple[str]]]:
    with psycopg.connect(server_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def question() -> bytes:
    macros = (PROJECT / "macros" / "consent_wording.sql").read_text(encoding="utf-8")
    made = jinja2.Environment(autoescape=False).from_string(macros + "SELECT {{ folded_text('%(body)s::text') }}")
    return made.render().encode()


WORDS = st.sampled_from([*KEYWORDS, "stop", "Opt Out", "unStop"])
AROUND = st.text(st.sampled_from(" \t\n.!?-_'\"()🛑\u00a0\u2003\u200b\u2019«»…*"), max_size=4)
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\x00", max_codepoint=0x24F)
ANYTHING = st.text(CHARACTERS, max_size=20)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.tuples(AROUND, WORDS, AROUND).map("".join), st.tuples(AROUND, ANYTHING, AROUND).map("".join)))
def test_dbt_finds_the_same_keyword(postgres: psycopg.Connection[tuple[str]], question: bytes, body: str) -> None:
    ((theirs,),) = postgres.execute(question, {"body": body}).fetchall()
    ours = folded(body)
    assert KEYWORDS.get(ours) == KEYWORDS.get(theirs)


FREE = Standing(blocked=False, can_text=True, consent="opt_in")


@pytest.mark.parametrize(
    "standing",
    [
        Standing(blocked=True),
        Standing(blocked=False, can_text=False),
        Standing(blocked=False, can_text=True, consent="opt_out"),
        Standing(blocked=False, can_text=True, suppressed=True),
        Standing(blocked=False, can_text=True, consent="opt_in", said=said("Hi", "stop")),
    ],
)
def test_one_objection_is_enough(standing: Standing) -> None:
    assert objection(standing).startswith("suppressed: ")


def test_who_objects_to_nothing_may_be_texted() -> None:
    assert objection(FREE) == ""
    assert objection(Standing()) == ""  # a stranger has said nothing yet
