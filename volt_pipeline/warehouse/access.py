"""Who may see what: a role for those who read the marts, one for those who may not see people, one for the pipeline.

`volt_reader` reads the marts, `volt_reader_masked` their masked views (schema `volt_masked`), and `volt_loader` owns
all that the pipeline and dbt make, so that any login that is a member of it can sync, build and push. The roles cannot
log in themselves; nothing but access hangs on them. `renew` does what it may and leaves out the rest; `lacking` says in
SQL what an administrator has to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from volt_pipeline.warehouse.masking import columns_of, definition, digest
from volt_pipeline.warehouse.queries import query

READER, MASKED_READER, LOADER = "volt_reader", "volt_reader_masked", "volt_loader"
ROLES = (READER, MASKED_READER, LOADER)
MARTS, MASKED = "volt_marts", "volt_masked"
OURS = ("volt", "volt_ops", "volt_staging", MARTS, "volt_exports", MASKED)
_LOCK_SECONDS = 5  # somebody's long query is no reason to wait: the next renewal tries again

Connection = psycopg.Connection[Any]


class _State(NamedTuple):
    """What the login may do, and what there is; names quoted."""

    login: str
    database: str
    makes_roles: bool
    makes_schemas: bool
    roles: Sequence[str]
    is_loader: bool
    loader_makes_schemas: bool


def _state(connection: Connection) -> _State:
    return _State(*_rows(connection, "access_state", roles=list(ROLES), loader=LOADER)[0])


def lacking(connection: Connection) -> list[str]:
    """The statements that an administrator has to run, so that the login can do the rest; none when all is there."""
    state = _state(connection)
    statements = [f"CREATE ROLE {role} NOLOGIN;" for role in ROLES if role not in state.roles]
    if not state.is_loader:
        statements.append(f"GRANT {LOADER} TO {state.login};")
    if not state.loader_makes_schemas:
        statements.append(f"GRANT CREATE, TEMPORARY ON DATABASE {state.database} TO {LOADER};")
    return statements


def renew(connection: Connection) -> None:
    """Make roles, owners, grants and masked views what they should be, as far as the login may.

    Called within a transaction; each part that fails is undone by itself. Changes nothing where nothing is amiss.
    """
    state = _state(connection)
    if state.makes_roles:
        for role in set(ROLES) - set(state.roles):
            _try(connection, f"CREATE ROLE {role} NOLOGIN")
        if not state.is_loader:
            _try(connection, f"GRANT {LOADER} TO {state.login}")
        state = _state(connection)
    if LOADER in state.roles and not state.loader_makes_schemas:
        _try(connection, f"GRANT CREATE, TEMPORARY ON DATABASE {state.database} TO {LOADER}")
    _mask(connection)
    if state.is_loader:
        _hand_over(connection)
    for role, schema in ((READER, MARTS), (MASKED_READER, MASKED)):
        if role in state.roles:
            _let_read(connection, role, schema)


def _hand_over(connection: Connection) -> None:
    """Give the loader what the login owns of ours: then every member can alter and drop it."""
    statements = [f"ALTER SCHEMA {_name(schema)} OWNER TO {LOADER}" for (schema,) in _own(connection, "own_schemas")]
    statements += [
        f"ALTER {kind} {_name(schema, table)} OWNER TO {LOADER}"
        for schema, table, kind in _own(connection, "own_relations")
    ]
    statements += [f"ALTER FUNCTION {name} OWNER TO {LOADER}" for (name,) in _own(connection, "own_functions")]
    _try(connection, *statements)


def _own(connection: Connection, name: str) -> list[tuple[Any, ...]]:
    return _rows(connection, name, loader=LOADER, schemas=list(OURS))


def _let_read(connection: Connection, role: str, schema: str) -> None:
    for usable, lasting, tables in _rows(connection, "unreadable", role=role, schema=schema):
        if not usable:
            _try(connection, f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        if not lasting:  # a build makes its tables anew
            _try(connection, f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}")
        for table in tables:
            _try(connection, f"GRANT SELECT ON {_name(schema, table)} TO {role}")


def _mask(connection: Connection) -> None:
    """A masked view of every mart as it stands now; dbt drops the views of the tables that it replaces."""
    marts = _rows(connection, "mart_columns", schema=MARTS)
    if not marts:
        return
    if not connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [MASKED]).rowcount:
        _try(connection, f"CREATE SCHEMA {MASKED}")
    held = dict(_rows(connection, "masked_views", schema=MASKED))
    for table, *columns in marts:
        select = definition(MARTS, table, columns_of(*columns))
        comment = f"{MARTS}.{table} without the people in it ({digest(select)})."
        if held.get(table) != comment:
            view = _name(MASKED, table)
            _try(
                connection,
                f"DROP VIEW IF EXISTS {view}",
                f"CREATE VIEW {view} WITH (security_barrier = true) AS {select}",
                sql.SQL("COMMENT ON VIEW {} IS {}").format(sql.SQL(view), sql.Literal(comment)).as_string(connection),
            )


def _name(*parts: str) -> str:
    return sql.Identifier(*parts).as_string(None)


def _rows(connection: Connection, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return connection.execute(query(name), parameters).fetchall()


def _try(connection: Connection, *statements: str) -> None:
    """All of these statements or none."""
    if not statements:
        return
    with suppress(psycopg.Error), connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute("SET LOCAL lock_timeout = 0")
