"""Keys to sign with, made once, and one receiver on one warehouse for the tests that change none of its settings."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from volt_pipeline.sandbox.signing import Signer
from volt_pipeline_tests.warehouse.loading import ask
from volt_pipeline_tests.webhooks.receiving import Post, receiving


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.create()


@pytest.fixture(scope="session")
def stranger() -> Signer:
    """Someone else's keys."""
    return Signer.create()


@pytest.fixture(scope="session")
def standing(server_url: str, prepared_template: str, signer: Signer) -> Iterator[Post]:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE webhooks TEMPLATE {prepared_template}".encode())
    with receiving(server_url.rsplit("/", 1)[0] + "/webhooks", signer) as post:
        yield post


@pytest.fixture
def post(standing: Post) -> Post:
    """The standing receiver, on a warehouse that holds no event."""
    ask(standing.warehouse, "TRUNCATE volt_ops.webhook_events, volt_ops.webhook_registrations")
    return standing
