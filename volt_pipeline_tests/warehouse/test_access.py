"""Who may see what: the roles, the masked views, and a warehouse whose login may not make roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from volt_pipeline.batch import Batch
from volt_pipeline.catalog import CONTACTS, MESSAGES
from volt_pipeline.warehouse import postgres
from volt_pipeline.warehouse.access import LOADER, MASKED_READER, READER, ROLES
from volt_pipeline.warehouse.masking import SHOWN, Column, masked

from .loading import ask, at, batch, contact, loading, message
from .logins import dismiss, login, run

MARIA, JAMES = "+19185557001", "+19185557002"
MARTS = """
CREATE SCHEMA volt_marts;
CREATE TABLE volt_marts.contacts AS SELECT * FROM (VALUES
    ('1', 'a', md5('a|+19185557001'), '+19185557001', 'Maria', '[{"key": "note"}]'::jsonb, true, 3),
    ('2', 'a', md5('a|+19185557002'), '+19185557002', 'James', '[]'::jsonb, false, 4)
) AS t (contact_id, account_id, conversation_id, contact_phone, name, custom_fields, can_text, inbound);
CREATE TABLE volt_marts.messages AS SELECT * FROM (VALUES
    ('rf_1', 'a', md5('a|+19185557001'), '+1 918 555 7001', 'My door code is 4711', 'received', now()),
    ('rf_2', 'a', md5('a|+19185557002'), '+19185557002', NULL, 'sent', now())
) AS t (message_id, account_id, conversation_id, contact_phone, body, status, sent_at);
CREATE TABLE volt_marts.waves AS SELECT '7'::text AS wave_id, 'Sale'::text AS name;
"""


@pytest.fixture
def marts_url(warehouse_url: str) -> str:
    """A warehouse with marts as dbt might have built them, and access renewed as it is after a build."""
    run(warehouse_url, MARTS)
    postgres.renew_access(warehouse_url)
    return warehouse_url


@pytest.fixture
def people(marts_url: str) -> Iterator[dict[str, str]]:
    """A login for each role, by the role."""
    urls = {role: login(marts_url, f"of_{role}", f"GRANT {role} TO of_{role}") for role in ROLES}
    yield urls
    dismiss(marts_url, *(f"of_{role}" for role in ROLES))


@pytest.fixture
def no_roles(database_url: str) -> Iterator[str]:
    """An empty database in a cluster where nobody has made our roles yet."""
    run(database_url, *(f"ALTER ROLE {role} RENAME TO {role}_away" for role in ROLES))
    yield database_url
    dismiss(database_url, "newcomer", *ROLES)
    run(database_url, *(f"ALTER ROLE {role}_away RENAME TO {role}" for role in ROLES))


def test_a_reader_reads_the_marts_and_nothing_else(people: dict[str, str]) -> None:
    url = people[READER]
    assert sorted(ask(url, "SELECT contact_phone FROM volt_marts.contacts")) == [(MARIA,), (JAMES,)]
    for table in ("volt.contacts", "volt_ops.runs", "volt_ops.keys", "volt_masked.contacts"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, f"SELECT * FROM {table}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(url, "DELETE FROM volt_marts.contacts")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(url, "CREATE TABLE volt_marts.mine (x int)")


def test_a_reader_reads_what_is_built_later(people: dict[str, str], marts_url: str) -> None:
    run(marts_url, "DROP TABLE volt_marts.waves CASCADE", "CREATE TABLE volt_marts.waves AS SELECT '8' AS wave_id")
    assert ask(people[READER], "SELECT wave_id FROM volt_marts.waves") == [("8",)]
    postgres.renew_access(marts_url)
    assert ask(people[MASKED_READER], "SELECT wave_id FROM volt_masked.waves") == [("8",)]


def test_a_masked_reader_sees_no_person(people: dict[str, str], marts_url: str) -> None:
    url = people[MASKED_READER]
    for table in ("volt_marts.contacts", "volt.contacts", "volt_ops.keys", "volt_ops.forgotten"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, f"SELECT * FROM {table}")
    assert ask(
        url,
        "SELECT contact_id, account_id, contact_phone, name, custom_fields, can_text, inbound "
        "FROM volt_masked.contacts ORDER BY contact_id",
    ) == [("1", "a", "+1•••••01", None, None, True, 3), ("2", "a", "+1•••••02", None, None, False, 4)]
    assert ask(url, "SELECT message_id, body, body_length, status FROM volt_masked.messages ORDER BY 1") == [
        ("rf_1", None, 20, "received"),
        ("rf_2", None, None, "sent"),
    ]
    assert ask(url, "SELECT wave_id, name FROM volt_masked.waves") == [("7", "Sale")]
    everything = str([ask(url, f"SELECT t::text FROM volt_masked.{table} AS t") for table in ("contacts", "messages")])
    hashes = ask(marts_url, "SELECT conversation_id FROM volt_marts.contacts")
    for secret in ("918555700", "918 555", "Maria", "door", "note", *(value for (value,) in hashes)):
        assert secret not in everything


def test_masked_rows_still_join(people: dict[str, str]) -> None:
    """By conversation, and by person however their phone is written."""
    for keys in ("USING (conversation_id)", "USING (contact_phone_key)"):
        found = ask(
            people[MASKED_READER],
            f"SELECT message_id, contact_id FROM volt_masked.messages JOIN volt_masked.contacts {keys} ORDER BY 1",
        )
        assert found == [("rf_1", "1"), ("rf_2", "2")]


def test_a_view_cannot_be_asked_past_its_mask(people: dict[str, str], marts_url: str) -> None:
    options = ask(
        marts_url,
        "SELECT DISTINCT reloptions::text FROM pg_class "
        "WHERE relkind = 'v' AND relnamespace = 'volt_masked'::regnamespace",
    )
    assert options == [("{security_barrier=true}",)]


def test_the_masked_views_follow_the_marts(people: dict[str, str], marts_url: str) -> None:
    run(
        marts_url,
        "ALTER TABLE volt_marts.contacts ADD COLUMN nickname text DEFAULT 'Mia', ADD COLUMN visits int DEFAULT 5, "
        "ADD COLUMN home_phone bigint DEFAULT 19185557001, ADD COLUMN extra json DEFAULT '{}', "
        "ADD COLUMN tags text[] DEFAULT '{vip}'",
        "CREATE TABLE volt_marts.consent_events AS SELECT '1' AS consent_id, 'STOP' AS keyword",
        "CREATE TABLE volt_marts.waves__dbt_tmp AS SELECT 1 AS x",
        "DROP TABLE volt_marts.waves CASCADE",
    )
    postgres.renew_access(marts_url)
    columns = "nickname, visits, home_phone, extra::text, tags"
    assert ask(people[MASKED_READER], f"SELECT DISTINCT {columns} FROM volt_masked.contacts") == [
        (None, 5, None, None, None)
    ]
    ((key, keyword),) = ask(people[MASKED_READER], "SELECT consent_id, keyword FROM volt_masked.consent_events")
    assert (len(key), keyword) == (32, "STOP")
    views = ask(marts_url, "SELECT viewname FROM pg_views WHERE schemaname = 'volt_masked' ORDER BY 1")
    assert views == [("consent_events",), ("contacts",), ("messages",)]


def test_a_renewal_that_finds_nothing_amiss_writes_nothing(marts_url: str) -> None:
    catalogues = "pg_class", "pg_namespace", "pg_description", "pg_default_acl"

    def state() -> list[Any]:
        ours = {"pg_class": "WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'volt%')"}
        query = "SELECT ctid::text, xmin::text FROM {} {} ORDER BY 1"
        return [ask(marts_url, query.format(name, ours.get(name, ""))) for name in catalogues]

    before = state()
    postgres.renew_access(marts_url)
    postgres.prepare(marts_url)
    assert state() == before


def test_nothing_that_holds_a_persons_words_is_on_the_list_of_what_is_shown() -> None:
    words = {"name", "body", "last_message", "custom_fields", "media", "contact_phone", "phone_number", "row_key"}
    assert not words & SHOWN
    assert not {f"contacts.{word}" for word in words} & SHOWN
    assert masked("contacts", Column("customer_phone", "text", "S"))[0].startswith("left(")
    assert masked("x", Column("quote", "character varying(20)", "S")) == ['NULL::character varying(20) AS "quote"']


async def test_a_member_of_the_loader_loads_and_replaces_what_another_made(
    people: dict[str, str], marts_url: str
) -> None:
    """As dbt does; a whole round of syncs and builds is in test_forget.py."""
    first, second = people[LOADER], login(marts_url, "second", f"GRANT {LOADER} TO second")
    try:
        for url in (first, second):
            postgres.prepare(url)
            async with loading(url, "run-1", "a") as loader:
                await loader.load(batch((CONTACTS, contact(at(1), phone_number=MARIA)), (MESSAGES, message(at(1)))))
            run(
                url,
                "DROP TABLE volt_marts.contacts CASCADE",
                "CREATE TABLE volt_marts.contacts AS SELECT phone_number AS contact_phone FROM volt.contacts",
            )
            postgres.renew_access(url)
            assert ask(people[READER], "SELECT contact_phone FROM volt_marts.contacts") == [(MARIA,)]
            assert ask(people[MASKED_READER], "SELECT contact_phone FROM volt_masked.contacts") == [("+1•••••01",)]
        owners = ask(
            marts_url,
            "SELECT DISTINCT tableowner FROM pg_tables WHERE starts_with(schemaname, 'volt') UNION "
            "SELECT viewowner FROM pg_views WHERE starts_with(schemaname, 'volt')",
        )
        assert owners == [(LOADER,)]
    finally:
        dismiss(marts_url, "second")


async def test_without_the_right_to_make_roles_everything_else_works(no_roles: str) -> None:
    database = no_roles.rsplit("/", 1)[1]
    url = login(no_roles, "newcomer", f"GRANT CREATE, TEMPORARY ON DATABASE {database} TO newcomer")
    postgres.prepare(url)
    async with loading(url, "run-1", "a") as loader:
        await loader.load(batch((CONTACTS, contact(at(1), phone_number=MARIA))))
        await loader.load(Batch())
    run(url, MARTS)
    postgres.renew_access(url)
    assert ask(url, "SELECT contact_phone FROM volt_masked.contacts ORDER BY 1") == [("+1•••••01",), ("+1•••••02",)]
    assert not ask(url, "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", list(ROLES))
    statements = postgres.lacking_access(url)
    assert statements == [
        "CREATE ROLE volt_reader NOLOGIN;",
        "CREATE ROLE volt_reader_masked NOLOGIN;",
        "CREATE ROLE volt_loader NOLOGIN;",
        "GRANT volt_loader TO newcomer;",
        f"GRANT CREATE, TEMPORARY ON DATABASE {database} TO volt_loader;",
    ]
    run(no_roles, *statements)
    postgres.prepare(url)
    assert postgres.lacking_access(url) == []
    for role, table in ((READER, "volt_marts.contacts"), (MASKED_READER, "volt_masked.contacts")):
        assert ask(url, "SELECT has_table_privilege(%s, %s, 'SELECT')", role, table) == [(True,)]
    assert ask(url, "SELECT DISTINCT tableowner FROM pg_tables WHERE starts_with(schemaname, 'volt')") == [(LOADER,)]


def test_a_login_that_may_make_roles_does_it_by_itself(no_roles: str) -> None:
    database = no_roles.rsplit("/", 1)[1]
    url = login(no_roles, "newcomer", "ALTER ROLE newcomer CREATEROLE", f"ALTER DATABASE {database} OWNER TO newcomer")
    postgres.prepare(url)
    assert postgres.lacking_access(url) == []
    assert ask(url, "SELECT DISTINCT tableowner FROM pg_tables WHERE starts_with(schemaname, 'volt')") == [(LOADER,)]
    assert ask(url, "SELECT rolcanlogin FROM pg_roles WHERE rolname = ANY(%s)", list(ROLES)) == [(False,)] * 3
    run(no_roles, f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
