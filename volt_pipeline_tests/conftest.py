"""A real Postgres for the whole run, and a database of its own for every test that asks for one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from volt_pipeline.warehouse import outside, postgres
from volt_pipeline.warehouse.embedded import EmbeddedPostgres

_NUMBERS = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Data of homes that Postgres' user could not reach, which is every home of a test that runs as root."""
    yield
    outside.abandon(tmp_path_factory.getbasetemp().resolve())


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the run's Postgres server (its maintenance database)."""
    home: Path = tmp_path_factory.mktemp("server")
    with EmbeddedPostgres(home).running() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # nothing here outlives the run
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def prepared_template(server_url: str) -> str:
    """The name of a database that holds the pipeline's empty tables."""
    _create(server_url, "prepared")
    postgres.prepare(_named(server_url, "prepared"))
    return "prepared"


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """A fresh, empty database."""
    yield from _fresh(server_url, None)


@pytest.fixture
def warehouse_url(server_url: str, prepared_template: str) -> Iterator[str]:
    """A fresh database with the pipeline's tables."""
    yield from _fresh(server_url, prepared_template)


def _fresh(server_url: str, template: str | None) -> Iterator[str]:
    name = f"test_{next(_NUMBERS)}"
    _create(server_url, name, template)
    yield _named(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _create(server_url: str, name: str, template: str | None = None) -> None:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template or "template0")
    )
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)


def _named(server_url: str, name: str) -> str:
    return server_url.rsplit("/", 1)[0] + f"/{name}"
