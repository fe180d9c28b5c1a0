"""The fixture world, built once by dbt: for every test that reads what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from volt_pipeline.warehouse import postgres

from . import fixture_world as world
from .runner import Dbt, Outcome

DEMO = {"demo_crm": True}


@dataclass(frozen=True)
class Warehouse:
    """A database with the pipeline's tables, and dbt at work on it."""

    engine: sa.Engine
    dbt: Dbt

    def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement), parameters)]

    def value(self, statement: str, **parameters: Any) -> Any:
        [[value]] = self.rows(statement, **parameters)
        return value

    def row(self, relation: str, **where: Any) -> dict[str, Any]:
        """The one row of a mart that has these values."""
        condition = " and ".join(f"{column} = :{column}" for column in where)
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(f"select * from {relation} where {condition}"), where)
            return dict(found.mappings().one())

    def execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


@dataclass(frozen=True)
class Built(Warehouse):
    """A warehouse with the fixture world in it, the outcome of its first build, and the project as dbt read it."""

    outcome: Outcome
    manifest: dict[str, Any]


@contextmanager
def fresh_warehouse(server_url: str, name: str, home: Path) -> Iterator[Warehouse]:
    """A database of its own with the pipeline's empty tables."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        url = sa.make_url(server_url).set(database=name)
        postgres.prepare(url.render_as_string(hide_password=False))
        engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), connect_args={"options": "-c TimeZone=UTC"})
        try:
            yield Warehouse(engine, Dbt(url, home))
        finally:
            engine.dispose()
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def warehouse(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The fixture world with its marts. Its tests run in the build; the unit tests need no rows and run elsewhere."""
    with fresh_warehouse(server_url, "dbt_world", tmp_path_factory.mktemp("dbt")) as fresh:
        world.load(fresh.engine)
        outcome = fresh.dbt.run("build", "--exclude-resource-type", "unit_test", variables=DEMO)
        yield Built(fresh.engine, fresh.dbt, outcome, fresh.dbt.manifest())
