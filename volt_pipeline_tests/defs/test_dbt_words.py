"""dbt's words about a failure: what Postgres says of a row is left out, what it says of a table is not."""

import io
from collections.abc import Iterator

import psycopg
import pytest

from volt_pipeline.defs.dbt_words import Discreet, in_words, without_values

NAME = 'Linh "Lee" Walker\n+12025550143'
ERRORS = {
    "SELECT name::integer FROM people": 'invalid input syntax for type integer: "…"',
    "SELECT name::timestamptz FROM people": 'invalid input syntax for type timestamp with time zone: "…"',
    "SELECT name::jsonb FROM people": "invalid input syntax for type json",
    "SELECT name::text[] FROM people": 'malformed array literal: "…"',
    "SELECT phone::integer FROM people": 'value "…" is out of range for type integer',
    "INSERT INTO people SELECT 1, name FROM people": 'duplicate key value violates unique constraint "people_pkey"',
    "INSERT INTO people SELECT NULL, name FROM people": (
        'null value in column "id" of relation "people" violates not-null constraint'
    ),
    "INSERT INTO people SELECT 7, name FROM people": 'new row for relation "people" violates check constraint "few"',
    "SELECT nobody FROM people": 'column "nobody" does not exist',
    "SELECT * FROM nobody": 'relation "nobody" does not exist',
    "SELECT id FROM people AS a, people AS b": 'column reference "id" is ambiguous',
    "SELECT id FRM people LIMIT 1": 'syntax error at or near "people"',
}


@pytest.fixture(scope="module")
def connection(server_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    connection = psycopg.connect(server_url, autocommit=True)
    connection.execute(
        "CREATE TEMP TABLE people (id int PRIMARY KEY CONSTRAINT few CHECK (id < 5), name text, phone text)"
    )
    connection.execute("INSERT INTO people VALUES (1, %s, '12025550143')", [NAME])
    yield connection
    connection.close()


@pytest.mark.parametrize(("statement", "sentence"), ERRORS.items())
def test_the_sentence_stays_and_the_values_go(
    statement: str, sentence: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    quoted = "\n  ".join(str(caught.value).splitlines())
    where = "compiled code at /somewhere/run/people.sql"
    out = io.StringIO()
    Discreet(out).write(
        f"Failure in model people\n  Database Error in model people (people.sql)\n  {quoted}\n  {where}\n"
    )
    told = out.getvalue()
    assert sentence in told
    assert where in told
    assert ("LINE 1" in told) == ("LINE 1" in quoted)
    assert told.startswith("Failure in model people\n  Database Error in model people (people.sql)\n")
    assert not [word for word in ("Linh", "Lee", "Walker", "2025550143") if word in told]


def test_other_words_of_dbt_stay() -> None:
    told = 'Compilation Error in model people\n  depends on a source named "volt.people" which was not found'
    assert without_values(told) == told


def test_what_failed_in_one_sentence() -> None:
    error = (
        'Database Error in model people (a.sql)\n  invalid input syntax for type date: "Ann"\n  compiled code at /a.sql'
    )
    results: list[dict[str, object]] = [
        {"unique_id": "model.volt_pipeline.people", "status": "error", "message": error},
        {"unique_id": "test.volt_pipeline.unique_people.1f2e", "status": "fail", "message": "Got 3 results"},
        {"unique_id": "model.volt_pipeline.texts", "status": "success", "message": "INSERT 0 5"},
        {"unique_id": "model.volt_pipeline.sums", "status": "skipped", "message": None},
    ]
    assert in_words(results) == (
        'dbt could not build everything: model people (invalid input syntax for type date: "…"); '
        "test unique_people (Got 3 results); 1 left out because of that."
    )
    many = [{"unique_id": f"test.volt_pipeline.t{n}", "status": "fail", "message": "Got 1 result"} for n in range(12)]
    assert in_words(many).endswith("test t9 (Got 1 result); 2 more.")
