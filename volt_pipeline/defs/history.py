"""Dagster's own storage, the same files in the same places, without opening and closing them for every event.

A sync is hundreds of events, and Dagster opens one to four files anew for each of them: that was a third of a sync that
found nothing new. `dagster.yaml` names `History`; a Dagster without it reads the same files, and the other way round.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

_MOST_OPEN = 8  # the index, and the runs looked at last: the UI may look at many


class Events(SqliteEventLogStorage):
    """The event log, one file a run and an index over all, each kept open as long as it is in use.

    As in Dagster's own class, one lock lets in one thread at a time, whatever file it wants.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open: OrderedDict[str, Engine] = OrderedDict()
        self._seen: set[str] = set()  # tables that are there; they stay
        super().__init__(base_dir, inst_data)

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        event.listen(engine, "connect", _without_waiting_for_the_disk)
        super()._initdb(engine, for_index_shard)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if shard not in self._initialized_dbs:
            with super()._connect(shard):
                pass  # it has its tables now
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        while len(self._open) >= _MOST_OPEN:
            self._open.popitem(last=False)[1].dispose()
        waiting = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        engine = create_engine(self.conn_string_for_shard(shard), poolclass=StaticPool, connect_args=waiting)
        event.listen(engine, "connect", _without_waiting_for_the_disk)
        self._open[shard] = engine
        return engine

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._seen and super().has_table(table_name):
            self._seen.add(table_name)
        return table_name in self._seen

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(event)
        # The UI watches the run's file, and a file that is kept open is written to at its side (the WAL).
        with suppress(OSError):
            os.utime(self.path_for_shard(event.run_id))

    def wipe(self) -> None:
        self._close()
        super().wipe()

    def dispose(self) -> None:
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._db_lock:
            while self._open:
                self._open.popitem()[1].dispose()


def _without_waiting_for_the_disk(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """A machine that loses its power may lose the last events, never the files; what a run did stands in Postgres."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # as Dagster sets it, but only after it has made all tables
    cursor.execute("PRAGMA synchronous = NORMAL")


class History(DagsterSqliteStorage):
    """Runs, events and schedules under one directory, laid out as Dagster does."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = Events(str(Path(base_dir, "history", "runs")))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> "History":
        return cls.from_local(config_value["base_dir"], inst_data)
