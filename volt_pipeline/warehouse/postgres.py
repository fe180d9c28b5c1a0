"""Reaching the warehouse: connections, fitness, and bringing its tables up to date.

`prepare` is called by every command that needs the warehouse: it checks that the server is fit (Postgres 14+, the
rights), runs alembic, and adds what the catalogue declares and the database lacks, all under one advisory lock, so
that two commands on a fresh database do not meet.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError
from sqlalchemy.schema import CreateColumn, SetColumnComment

from volt_pipeline.warehouse import access
from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnfit, WarehouseUnreachable
from volt_pipeline.warehouse.tables import METADATA, SCHEMA, STORAGE

OLDEST_VERSION = 140000
_LOCK = 0x766F6C74  # "volt"
_CONNECT_SECONDS = 10


def described(url: str) -> str:
    """host:port/database of a URL: never its password."""
    parts = make_url(url)
    return f"{parts.host or 'the local socket'}:{parts.port or 5432}/{parts.database or ''}"


def engine(url: str) -> Engine:
    """A SQLAlchemy engine (psycopg 3) for a `postgresql://` URL.

    Raises WarehouseUnreachable when the URL itself cannot be understood.
    """
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        parts = None
    if parts is None or "@" in (parts.host or ""):  # what stands before that @ would be shown as a host
        raise WarehouseUnreachable(
            "WAREHOUSE_URL is not a Postgres address; it looks like postgresql://user:password@host:5432/database "
            "(in a password, @ is written %40, / is %2F and : is %3A)."
        )
    if parts.get_backend_name() not in ("postgresql", "postgres"):
        raise WarehouseUnreachable(
            f"WAREHOUSE_URL begins with {parts.get_backend_name()}://; the warehouse is a Postgres: postgresql://…"
        )
    return create_engine(
        parts.set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": _CONNECT_SECONDS, "options": "-c TimeZone=UTC"},
    )


def conninfo(url: str) -> str:
    """The same address in the form psycopg takes."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def connect(url: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    """A psycopg connection in UTC (dates of the years 1 and 9999 cannot be fetched in other zones)."""
    try:
        return await psycopg.AsyncConnection.connect(
            conninfo(url),
            connect_timeout=_CONNECT_SECONDS,
            options="-c TimeZone=UTC",
            application_name="volt_pipeline",
            keepalives_idle=30,
            prepare_threshold=None,  # a plan that was made while the tables were empty would be kept while they grow
        )
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from None


def unreachable(url: str, error: BaseException) -> WarehouseUnreachable:
    """The connection error in words. libpq names user and host but no rows and no password."""
    reason = " ".join(str(error).split())[-200:]
    return WarehouseUnreachable(
        f"The warehouse at {described(url)} cannot be reached ({reason}). "
        "Check WAREHOUSE_URL and that the server is up."
    )


def prepare(url: str) -> None:
    """Make the warehouse ready: fit, migrated, and with every table and column of the catalogue.

    Raises WarehouseUnreachable or WarehouseUnfit; nothing is half-done, since all of it is one transaction.
    """
    db = engine(url)
    try:
        with db.begin() as connection:
            _check_version(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            for schema in (SCHEMA, "volt_ops"):
                if not inspect(connection).has_schema(schema):  # IF NOT EXISTS would ask for the right all the same
                    connection.execute(text(f"CREATE SCHEMA {schema}"))
            METADATA.create_all(connection, checkfirst=True)  # the state's views look into the raw tables
            _migrate(connection)
            _add_columns(connection)
            _add_indexes(connection)
            _add_storage(connection)
            access.renew(connection.connection.driver_connection)  # type: ignore[arg-type]  # psycopg's own
            _check_staging(connection)
    except OperationalError as error:
        raise unreachable(url, error.orig or error) from None
    except ProgrammingError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == psycopg.errors.InsufficientPrivilege.sqlstate:
            raise WarehouseUnfit(
                f"The role in WAREHOUSE_URL may not create the schemas volt and volt_ops at {described(url)}. "
                "Let an administrator run: GRANT CREATE ON DATABASE … TO … (or name another role)."
            ) from None
        raise WarehouseError(f"The warehouse refused to be brought up to date (SQLSTATE {state}).") from error
    finally:
        db.dispose()


def renew_access(url: str) -> None:
    """Grants and masked views for what dbt has just built (`access.renew`); an unreachable server is left alone."""
    with suppress(psycopg.OperationalError), psycopg.connect(conninfo(url), connect_timeout=_CONNECT_SECONDS) as db:
        db.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        access.renew(db)


def lacking_access(url: str) -> list[str]:
    """The SQL that an administrator has to run for all of access.py to work."""
    with psycopg.connect(conninfo(url), connect_timeout=_CONNECT_SECONDS) as db:
        return access.lacking(db)


def _check_version(connection: Connection) -> None:
    version: int = connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
    if version < OLDEST_VERSION:
        raise WarehouseUnfit(
            f"WAREHOUSE_URL is a Postgres {version // 10000}; Postgres 14 or newer is needed. "
            "Name a newer server, or unset WAREHOUSE_URL to use the embedded one."
        )


def _check_staging(connection: Connection) -> None:
    """Everybody may make temporary tables, unless somebody has locked the database down (REVOKE … FROM PUBLIC)."""
    if not connection.execute(text("SELECT has_database_privilege(current_database(), 'TEMPORARY')")).scalar_one():
        raise WarehouseUnfit(
            f"The role in WAREHOUSE_URL may not make temporary tables at {described(str(connection.engine.url))}. "
            "Let an administrator run: GRANT TEMPORARY ON DATABASE … TO … (or name another role)."
        )


def _migrate(connection: Connection) -> None:
    from alembic import command  # on its way in it makes templates ready, which takes long
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _add_columns(connection: Connection) -> None:
    """Add the columns that the catalogue declares and the tables lack; held rows are due again then."""
    held = inspect(connection)
    missing = [
        (table, column)
        for table in METADATA.sorted_tables
        for names in [{column["name"] for column in held.get_columns(table.name, schema=SCHEMA)}]
        for column in table.columns
        if column.name not in names
    ]
    for table, column in missing:
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {table.fullname} ADD COLUMN {definition}"))
        connection.execute(SetColumnComment(column))
    if missing:
        connection.execute(
            text("UPDATE volt_ops.walks SET completed_at = NULL, item = NULL, top = NULL, cursor = NULL")
        )
        connection.execute(text("UPDATE volt_ops.discoveries SET read_at = NULL"))


def _add_indexes(connection: Connection) -> None:
    """Make the indexes that the catalogue declares and a table of an earlier version lacks; they are known by name.

    Writers of the table wait meanwhile: docs/warehouse.md says how they are made beforehand where that takes long.
    """
    held = inspect(connection)
    for table in METADATA.sorted_tables:
        names = {index["name"] for index in held.get_indexes(table.name, schema=SCHEMA)}
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.name not in names:
                index.create(connection)


def _add_storage(connection: Connection) -> None:
    """How tables of an earlier version are kept; what somebody has set otherwise stays."""
    found = text("SELECT coalesce(reloptions, '{}') FROM pg_class WHERE oid = CAST(:name AS regclass)")
    for name, storage in STORAGE.items():
        options: list[str] = connection.execute(found, {"name": f"{SCHEMA}.{name}"}).scalar_one()
        given = {option.partition("=")[0] for option in options}
        if missing := ", ".join(f"{key} = {value}" for key, value in storage.items() if key not in given):
            connection.execute(text(f"ALTER TABLE {SCHEMA}.{name} SET ({missing})"))
