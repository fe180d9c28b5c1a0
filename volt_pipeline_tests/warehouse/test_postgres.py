"""Making a warehouse ready, and the sentences for one that cannot be."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from volt_pipeline.batch import Discovery, Walk
from volt_pipeline.catalog import INBOX_ITEMS
from volt_pipeline.warehouse import postgres
from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnfit, WarehouseUnreachable
from volt_pipeline.warehouse.load import Loader
from volt_pipeline.warehouse.store import WarehouseStore
from volt_pipeline.warehouse.tables import METADATA, STORAGE

from .loading import PHONE, ask, at, batch, loading, made

TABLES = "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema LIKE 'volt%'"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'volt%'"


def altered(url: str, **parts: object) -> str:
    changed = make_url(url).set(**parts)  # type: ignore[arg-type]
    return changed.render_as_string(hide_password=False)


@pytest.fixture
def nobody_url(database_url: str) -> Iterator[str]:
    """A login without any right."""
    role = sql.Identifier("nobody_here")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'hunter2'").format(role))
        yield altered(database_url, username="nobody_here", password="hunter2")
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_an_empty_database_gets_every_table_with_its_comments(database_url: str) -> None:
    postgres.prepare(database_url)
    tables = {name for (name,) in ask(database_url, TABLES)}
    assert {f"volt.{table.name}" for table in METADATA.sorted_tables} <= tables
    assert {"volt_ops.runs", "volt_ops.leases", "volt_ops.walks", "volt_ops.rejects", "volt_ops.coverage"} <= tables
    comments = ask(
        database_url,
        "SELECT count(*), count(col_description(attrelid, attnum)) FROM pg_attribute "
        "WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' "
        "AND relnamespace = 'volt'::regnamespace)",
    )
    assert comments == [(sum(len(table.columns) for table in METADATA.sorted_tables),) * 2]


def test_preparing_again_changes_nothing(database_url: str) -> None:
    postgres.prepare(database_url)
    catalog = "SELECT attrelid::regclass::text, attname, xmin::text FROM pg_attribute WHERE attnum > 0 ORDER BY 1, 2"
    before = ask(database_url, catalog)
    postgres.prepare(database_url)
    assert ask(database_url, catalog) == before


def test_commands_that_meet_on_a_fresh_database_wait_for_each_other(database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(postgres.prepare, [database_url] * 4))
    assert len(ask(database_url, "SELECT * FROM volt_ops.alembic_version")) == 1


def complete_walk(stream: str) -> Walk:
    phone = "+2" if stream == "messages" else ""
    return Walk(stream, "a", PHONE, phone, opened_at=at(0), pages=1, total=1, open_top=at(1), reached_end=True)


async def test_a_column_that_is_missing_is_added_and_everything_is_due_again(warehouse_url: str) -> None:
    item = made(INBOX_ITEMS, at(1), account_id="a", contact_phone="+2", last_message="hi", last_message_time=at(1))
    found = batch((INBOX_ITEMS, item))
    found.discoveries.add(Discovery("list", "a", "All", "settings"))

    async def due(loader: Loader) -> tuple[int, int, bool]:
        store = WarehouseStore(loader)
        walks = await store.due_conversations("a", PHONE, "", 10)
        inbox = await store.inbox_walk("a", PHONE)
        return len(walks), len(await store.due("list", ["a"])), inbox.top is None

    async with loading(warehouse_url) as loader:
        await loader.load(found)
        (walk,) = await WarehouseStore(loader).due_conversations("a", PHONE, "", 10)
        for done in (complete_walk("inbox_items"), complete_walk("messages")):
            done.item = walk.item
            found.walks[done.key] = done
        await loader.load(found)
        ask(warehouse_url, "UPDATE volt_ops.walks SET retry_at = NULL")
        ask(warehouse_url, "UPDATE volt_ops.discoveries SET read_at = now()")
        assert await due(loader) == (0, 0, False)
        postgres.prepare(warehouse_url)
        assert await due(loader) == (0, 0, False)
        ask(warehouse_url, "ALTER TABLE volt.messages DROP COLUMN legacy_id")
        postgres.prepare(warehouse_url)
        assert await due(loader) == (1, 1, True)
    comment = "SELECT col_description('volt.messages'::regclass, attnum) FROM pg_attribute WHERE attname = 'legacy_id'"
    assert ask(warehouse_url, f"{comment} AND attrelid = 'volt.messages'::regclass") != [(None,)]


def test_an_index_that_is_missing_is_made_and_one_that_is_there_is_left_alone(database_url: str) -> None:
    names = "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'volt' ORDER BY 1"
    postgres.prepare(database_url)
    before = ask(database_url, names)
    # as a warehouse of an earlier version has it, and one whose keeper made the new one beforehand
    ask(database_url, "DROP INDEX volt.messages_wave_id_idx, volt.messages_unsettled_idx")
    ask(database_url, "CREATE INDEX messages_wave_id_idx ON volt.messages (wave_id)")
    postgres.prepare(database_url)
    assert ask(database_url, names) == before
    definition = "SELECT indexdef FROM pg_indexes WHERE indexname = %s"
    assert "WHERE" not in ask(database_url, definition, "messages_wave_id_idx")[0][0]
    ((unsettled,),) = ask(database_url, definition, "messages_unsettled_idx")
    assert unsettled.endswith("(account_id) WHERE ((NOT is_final) AND (deleted_at IS NULL))")


def test_tables_of_an_earlier_version_are_kept_like_new_ones_but_for_what_was_set_by_hand(database_url: str) -> None:
    options = (
        "SELECT relnamespace::regnamespace || '.' || relname, reloptions FROM pg_class "
        "WHERE relkind = 'r' AND reloptions IS NOT NULL AND relnamespace::regnamespace::text IN ('volt', 'volt_ops')"
    )
    postgres.prepare(database_url)
    fresh = dict(ask(database_url, options))
    assert fresh.keys() == {f"volt.{name}" for name in STORAGE} | {"volt_ops.walks", "volt_ops.readings"}
    ask(database_url, "ALTER TABLE volt.inbox_items RESET (fillfactor)")
    ask(database_url, "ALTER TABLE volt.conversations SET (fillfactor = 70)")
    postgres.prepare(database_url)
    assert dict(ask(database_url, options)) == {**fresh, "volt.conversations": ["fillfactor=70"]}


def test_a_wrong_password_is_said_without_it(database_url: str) -> None:
    with pytest.raises(WarehouseUnreachable, match="password authentication failed") as caught:
        postgres.prepare(altered(database_url, password="hunter2"))
    assert "hunter2" not in str(caught.value)
    assert "Check WAREHOUSE_URL" in str(caught.value)


def test_an_unknown_database_is_named(database_url: str) -> None:
    with pytest.raises(WarehouseUnreachable, match='database "nowhere" does not exist'):
        postgres.prepare(altered(database_url, database="nowhere"))


def test_a_closed_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(WarehouseUnreachable, match=f"127.0.0.1:{port}/volt cannot be reached") as caught:
        postgres.prepare(f"postgresql://volt:hunter2@127.0.0.1:{port}/volt")
    assert "hunter2" not in str(caught.value)


async def test_a_loader_without_a_server_says_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(WarehouseUnreachable, match=f"127.0.0.1:{port}/volt cannot be reached") as caught:
        await postgres.connect(f"postgresql://volt:hunter2@127.0.0.1:{port}/volt")
    assert "hunter2" not in str(caught.value)


def test_a_role_without_rights_is_told_which_and_nothing_is_half_done(nobody_url: str, database_url: str) -> None:
    with pytest.raises(WarehouseUnfit, match="GRANT CREATE ON DATABASE") as caught:
        postgres.prepare(nobody_url)
    assert "hunter2" not in str(caught.value)
    assert ask(database_url, SCHEMAS) == []


def test_schemas_that_an_administrator_made_are_enough(nobody_url: str, database_url: str) -> None:
    for schema in ("volt", "volt_ops"):
        ask(database_url, f"CREATE SCHEMA {schema} AUTHORIZATION nobody_here")
    postgres.prepare(nobody_url)
    postgres.prepare(nobody_url)
    assert ask(nobody_url, "SELECT count(*) FROM volt.messages") == [(0,)]


def test_a_database_that_is_locked_down_is_told_what_is_missing(nobody_url: str, database_url: str) -> None:
    """A sync stages its rows in temporary tables; `REVOKE ALL ON DATABASE … FROM PUBLIC` takes them away."""
    name = database_url.rsplit("/", 1)[1]
    ask(database_url, f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    ask(database_url, f"GRANT CREATE ON DATABASE {name} TO nobody_here")
    with pytest.raises(WarehouseUnfit, match="GRANT TEMPORARY ON DATABASE") as caught:
        postgres.prepare(nobody_url)
    assert "hunter2" not in str(caught.value)
    assert ask(database_url, SCHEMAS) == []
    ask(database_url, f"GRANT TEMPORARY ON DATABASE {name} TO nobody_here")
    postgres.prepare(nobody_url)


def test_a_server_that_is_too_old_is_refused_before_anything_is_made(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "OLDEST_VERSION", 990000)
    with pytest.raises(WarehouseUnfit, match=r"is a Postgres \d+; Postgres 14 or newer is needed"):
        postgres.prepare(database_url)
    assert ask(database_url, SCHEMAS) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("db.example", "is not a Postgres address"),
        ("", "is not a Postgres address"),
        ("postgresql://volt:hunter2@db.example:port/volt", "is not a Postgres address"),
        ("mysql://volt:hunter2@db.example/volt", "begins with mysql://"),
        ("postgresql://volt:a@hunter2@db.example/volt", "%40"),
        ("postgresql://volt:a@hunter2:b@db.example:5432/volt", "is not a Postgres address"),
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str, said: str) -> None:
    with pytest.raises(WarehouseError, match=said) as caught:
        postgres.prepare(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_both_names_of_the_scheme_are_understood(warehouse_url: str, scheme: str) -> None:
    postgres.prepare(warehouse_url.replace("postgresql", scheme, 1))
