"""What each query of a sync reads, in a warehouse as it stands after years: a handful of rows, found by an index.

Counted are rows that Postgres touches (EXPLAIN ANALYZE), whatever way it finds them: a scan of a whole index is no
better than one of its table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from volt_pipeline import catalog
from volt_pipeline.warehouse import transaction
from volt_pipeline.warehouse.queries import query

from . import large_world
from .loading import ask

CONVERSATIONS, TEXTS = 4_000, 12
LARGE = {"contacts", "contact_lists", "inbox_items", "messages", "readings", "rejects", "walks"}
SHARE = 0.1  # of a table's rows: more is not looked up but read through

# What a query reads through because that is what it is about, and the share of the table that it may touch.
THROUGH = {
    "due_conversations": {"inbox_items": 1.0, "walks": 1.0},  # compares an inbox with what was read of it
    "due_contacts": {"contacts": 1.0, "readings": 1.0},  # the sweep: any may be due, and within a day each is
    "due_messages": {"readings": 1.0},  # narrow; joined to a fiftieth of all messages
    "canary_contacts": {"contacts": 1.0, "readings": 4.0},  # the latest of each account, when something is missed
    "canary_messages": {"inbox_items": 1.0},  # likewise
    "coverage": {"walks": 1.0, "contact_lists": 1.0, "messages": 0.25},  # a sum of all; of messages, the waves'
    "oldest_contact_reading": {"contacts": 1.0, "readings": 1.0},
    "complete_walks: inbox": {"inbox_items": 1.0, "walks": 1.0},  # counts an inbox
}
FETCHED = (
    "due_conversations", "due_conversations: some", "due_waves", "due_lists", "due_messages", "due_contacts",
    "canary_contacts", "canary_messages", "canary_waves", "canary_lists", "inbox_walk", "held_webhooks",
    "coverage", "oldest_contact_reading",
)  # fmt: skip
WRITTEN = (
    "retire_contacts", "close_memberships", "open_memberships", "stamp_contacts", "reopen_conversations", "save_walks",
    "resolve_nameless_rejects", "complete_walks", "complete_walks: inbox", "resolve_walk_rejects",
    "doubt_unseen_items", "suspect_messages", "suspect_messages: contacts", "end_buried_memberships",
    "streams_with_open_rejects", "resolve_rejects", "save_readings", "save_discovery_readings",
    "resolve_lookup_rejects", "resolve_gone_rejects", "bury_contacts", "bury_messages",
)  # fmt: skip

STAGE = """
INSERT INTO stage_memberships
SELECT id, now() + interval '1 hour', ARRAY['l1', 'l2'] FROM volt.contacts WHERE id = ANY(%(some)s);
INSERT INTO stage_contacts (id, account_id, phone_number, loaded_at)
SELECT id, account_id, phone_number, now() FROM volt.contacts WHERE id = ANY(%(some)s);
INSERT INTO stage_walks (
    stream, account_id, contact_phone, opened_at, total, unidentifiable, reached_end, below_top, gap, pages,
    ordered, item
)
SELECT 'messages', account_id, phone_number, now(), 12, 0, true, false, 0, 1, true, ''
FROM volt.contacts WHERE id = ANY(%(some)s) AND NOT %(inbox)s
UNION ALL
SELECT 'inbox_items', 'a1', '', now(), 1, 0, true, false, 0, 1, true, '' WHERE %(inbox)s
"""

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def years(server_url: str, prepared_template: str) -> Iterator[Connection]:
    """A connection to that warehouse, with a loader's temporary tables; what a test changes is rolled back."""
    ask(server_url, f"CREATE DATABASE years TEMPLATE {prepared_template}")
    url = server_url.rsplit("/", 1)[0] + "/years"
    with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as connection:
        with connection.transaction():
            large_world.build(connection, conversations=CONVERSATIONS, texts=TEXTS)
        connection.execute("VACUUM ANALYZE")
        connection.execute(
            "CREATE TEMP TABLE stage_contacts (id text, account_id text, phone_number text, loaded_at timestamptz)"
        )
        for name, types in (("walks", transaction._WALK_TYPES), ("memberships", transaction._MEMBERSHIP_TYPES)):
            columns = ", ".join(f"{column} {kind}" for column, kind in types.items())
            connection.execute(f"CREATE TEMP TABLE stage_{name} ({columns})".encode())
        yield connection
    ask(server_url, "DROP DATABASE years WITH (FORCE)")


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    with connection.transaction(force_rollback=True):
        yield


def parameters(connection: Connection, name: str) -> dict[str, Any]:
    """What a sync would give the query, from what is held."""
    some = [key for (key,) in connection.execute("SELECT id FROM volt.contacts ORDER BY id LIMIT 20")]
    texts = [key for (key,) in connection.execute("SELECT id FROM volt.messages ORDER BY id LIMIT 40")]
    phones = [key for (key,) in connection.execute("SELECT contact_phone FROM volt.inbox_items LIMIT 20")]
    looked_up = name in ("save_readings", "save_discovery_readings", "resolve_lookup_rejects")
    return {
        "some": some,
        "inbox": name.endswith(": inbox"),
        "account_ids": ["a1"] * len(texts) if looked_up else large_world.ACCOUNTS,
        "account_id": "a1",
        "contact_ids": some[:2] if name.endswith(": contacts") else [],
        "phones": phones if name.endswith(": some") else None,
        "keys": some[:3] if name == "bury_contacts" else texts,
        "kinds": ["message"] * len(texts),
        "read_ats": ["2030-01-01"] * len(texts),
        "founds": [True] * len(texts),
        "objects": texts,
        "stream": "messages",
        "doubtful": [],
        "after": "",
        "limit": 500,
        "full": False,
        "budget": timedelta(hours=24),
        "run_id": "run-1",
    }


def touched(connection: Connection, name: str) -> Counter[str]:
    """How many rows of each table Postgres looks at for a query, whether they pass its conditions or not."""
    given = parameters(connection, name)
    with undone(connection):
        if name in WRITTEN:
            for statement in (*transaction._MODE.split("; "), *STAGE.split(";\n")):
                connection.execute(statement.encode(), given if "%" in statement else None)
        text = f"EXPLAIN (ANALYZE, FORMAT JSON) {query(name.partition(':')[0])}"
        (((plan,),),) = connection.execute(text.encode(), given).fetchall()
    found: Counter[str] = Counter()
    nodes = [plan["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes.extend(node.get("Plans", ()))
        if "Scan" in node["Node Type"] and "Relation Name" in node:
            lost = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            found[node["Relation Name"]] += round((node["Actual Rows"] + lost) * node["Actual Loops"])
    return found


def read_through(connection: Connection, name: str) -> dict[str, float]:
    """The large tables of which a query looks at more than it may, with the share of them."""
    kinds = "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND relname = ANY(%s)"
    sizes: dict[str, float] = dict(connection.execute(kinds, [sorted(LARGE)]).fetchall())
    allowed = THROUGH.get(name, {})
    shares = {table: rows / sizes[table] for table, rows in touched(connection, name).items() if table in LARGE}
    return {table: share for table, share in shares.items() if share > allowed.get(table, SHARE)}


@pytest.mark.parametrize("name", [*FETCHED, *WRITTEN])
def test_a_query_looks_at_few_rows(years: Connection, name: str) -> None:
    assert read_through(years, name) == {}


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("volt.contacts_account_id_phone_number_idx", "retire_contacts"),
        ("volt.contacts_gone_idx", "complete_walks: inbox"),
        ("volt.messages_account_id_contact_phone_idx", "complete_walks"),
        ("volt.messages_wave_id_idx", "coverage"),
        ("volt.messages_unsettled_idx", "due_messages"),
        ("volt_ops.readings_missed_idx", "due_messages"),
        ("volt_ops.rejects_open_idx", "streams_with_open_rejects"),
    ],
)
def test_each_index_is_needed(years: Connection, index: str, name: str) -> None:
    before = touched(years, name)
    with undone(years):
        years.execute(f"DROP INDEX {index}".encode())
        after = touched(years, name)
    assert any(after[table] > 1.5 * before[table] + 10 for table in LARGE), (before, after)


def test_the_indexes_held_are_those_declared(years: Connection) -> None:
    held = years.execute(
        "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'volt' AND indexname NOT LIKE '%_pkey'"
    ).fetchall()
    assert {name for (name,) in held} == {index.name for stream in catalog.STREAMS for index in stream.indexes}
