"""The running server of one data directory: which process it is, whether it answers, and how it is stopped.

`postmaster.pid` alone proves nothing. After a crash or a restart of the machine it names a dead process, or a
foreign one that was given the same number since; only a process that was started for this directory counts.
"""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq

PID_FILE = "postmaster.pid"


@dataclass(frozen=True)
class Postmaster:
    """The server process of a data directory, as its own pid file describes it."""

    pid: int
    port: int
    ready: bool


def find(data: Path) -> Postmaster | None:
    """The server that runs on this data directory now, ready or still starting."""
    try:
        lines = (data / PID_FILE).read_text().splitlines()
        found = Postmaster(int(lines[0]), int(lines[3]), len(lines) > 7 and lines[7].strip() == "ready")
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return None
    return found if serves(found.pid, data) else None


def serves(pid: int, data: Path) -> bool:
    """Whether this process is a Postgres that was started for this data directory."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        if os.path.exists("/proc/self"):
            return False
        shown = subprocess.run(
            ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        return "postgres" in shown and f"-D {data} " in shown
    return Path(os.fsdecode(command[0])).name == "postgres" and os.fsencode(data) in command


def answers(port: int) -> bool:
    """Whether a server on this port takes connections: what pg_isready does."""
    return pq.PGconn.ping(conninfo(port).encode()) == pq.Ping.OK


def conninfo(port: int) -> str:
    """Where the server is, spelt out so that no PG* variable of the user's environment leads elsewhere."""
    return (
        f"host=127.0.0.1 hostaddr=127.0.0.1 port={port} user=volt dbname=postgres connect_timeout=5 "
        "sslmode=disable gssencmode=disable options='' target_session_attrs=any"
    )


def stop(data: Path, patience: float = 60) -> None:
    """Stop the server of this data directory, if there is one: politely, then without its consent."""
    for how, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        server = find(data)
        if server is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, how)
        deadline = time.monotonic() + seconds
        while serves(server.pid, data):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        else:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(server.pid, 0)  # one that we started stays a zombie until we ask for it


def disown(data: Path) -> None:
    """Let the next server pass over a pid file whose process is not a server of this data directory.

    Postgres takes any living process of the same user for its predecessor, except its own grandparent. The
    file is kept otherwise, because Postgres finds orphaned backends by the memory segment named in it.
    """
    if find(data) is not None:
        return
    try:
        descriptor = os.open(data / PID_FILE, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    with open(descriptor, "r+b") as file:
        _, newline, rest = file.read().partition(b"\n")
        if rest:
            file.seek(0)
            file.write(str(os.getpid()).encode() + newline + rest)
            file.truncate()
    if not rest:
        (data / PID_FILE).unlink()  # cut short by a full disk; Postgres would stop at it
