"""Logins with the rights that a test gives them, and statements run as whoever an address names."""

from __future__ import annotations

import psycopg
from sqlalchemy.engine import make_url

from .loading import ask


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def login(url: str, name: str, *rights: str) -> str:
    """The address of a new login with these rights (statements)."""
    run(url, f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'", *rights)
    return make_url(url).set(username=name, password="hunter2").render_as_string(hide_password=False)


def dismiss(url: str, *names: str) -> None:
    for name in names:
        if ask(url, "SELECT rolname FROM pg_roles WHERE rolname = %s", name):
            run(url, f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}")
