"""A connection that a run writes through: with staging tables, one transaction at a time, made anew when lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnreachable
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.postgres import connect
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.transaction import create_stages

Cursor = psycopg.AsyncCursor[Any]


class Lane:
    """Where leases hang on its connection, they move to the next one when it was lost."""

    def __init__(self, url: str, leases: Leases | None = None) -> None:
        self._url = url
        self._leases = leases
        self._free = asyncio.Lock()
        self._connection: psycopg.AsyncConnection[Any] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Cursor]:
        """Raises WarehouseUnreachable when the server went away: nothing is known of what was done here, then.

        Of another error of the server's only the SQLSTATE is told (WarehouseError): its texts carry values of rows.
        """
        async with self._free:
            try:
                connection = await self._connected()
                async with connection.transaction(), connection.cursor() as cursor:
                    yield cursor
            except psycopg.Error as error:
                raise self._described(error) from None

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            connection = await connect(self._url)
            try:
                await self._greet(connection)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def _greet(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.set_autocommit(True)
        # Whatever the database's default is: what is staged early has to see what was written since.
        await connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
        async with connection.transaction(), connection.cursor() as cursor:
            await create_stages(cursor)
            if self._leases and self._leases.epochs:
                await cursor.execute(query("move_leases"), self._leases.held)

    def _described(self, error: psycopg.Error) -> WarehouseError:
        gone = self._connection is None or self._connection.closed or error.sqlstate is None
        if gone and isinstance(error, psycopg.OperationalError):
            return WarehouseUnreachable(
                "The warehouse went away in the middle of the run and did not come back. Run it again."
            )
        return WarehouseError(
            f"The warehouse refused a write (SQLSTATE {error.sqlstate}, {type(error).__name__}); nothing of it was "
            "kept."
        )
