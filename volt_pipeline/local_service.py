"""A server on this machine that several commands share: the first user starts it, the last one stops it.

Who uses the server is known by file locks alone, because the kernel drops those of a killed process: nothing
has to be counted, written down or cleaned up. In the service's directory stand

    users.lock     every user holds a shared lock on it for as long as it uses the server
    start.lock     held exclusively around each decision to start or stop, so that decisions never overlap
    service.json   the facts of the running server (its port, its pid, ...), replaced atomically

A server outlives a killed user; the next command finds it by its facts and uses it again.
"""

import atexit
import contextlib
import fcntl
import json
import os
import platform
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from volt_pipeline.errors import ExplainedError

Facts = dict[str, Any]


class LocalServiceError(ExplainedError):
    """The server is in use from another machine or container, where this one cannot reach it."""


@dataclass
class _Hold:
    """This process's use of one service, however many callers inside the process share it."""

    service: "LocalService"
    users: int
    callers: int
    facts: Facts


# By directory and not by object: two objects for one directory are one user of its server.
_holds: dict[Path, _Hold] = {}
_guard = threading.RLock()


class LocalService:
    """One shared server. `start` answers facts that JSON can hold; `alive` and `stop` are given them back.

    `start` must cope with remains of an earlier server, and `stop` with a server that is gone already: a kill
    can fall between any two steps.
    """

    def __init__(
        self,
        directory: Path,
        *,
        start: Callable[[], Facts],
        alive: Callable[[Facts], bool],
        stop: Callable[[Facts], None],
    ) -> None:
        self.directory = Path(os.path.realpath(directory))
        self._start, self._alive, self._stop = start, alive, stop
        self._users, self._record = self.directory / "users.lock", self.directory / "service.json"

    def acquire(self) -> Facts:
        """Use the server from now on, started if need be, and learn its facts. May be nested."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _guard, self._decision():
            hold = self._current_hold()
            users = hold.users if hold else _open_lock(self._users)
            try:
                # Never waits: whoever asks for it exclusively does so inside a decision of its own.
                fcntl.flock(users, fcntl.LOCK_SH)
                facts = self._find_or_start(users)
            except BaseException:
                if hold is None:
                    _close_lock(users)
                raise
            if hold is None:
                _holds[self.directory] = _Hold(self, users, 1, facts)
            else:
                hold.callers, hold.facts = hold.callers + 1, facts
            return facts

    def release(self) -> None:
        """Stop using the server; the last user stops it. Does nothing where nothing was acquired (a fork)."""
        with _guard:
            hold = _holds.get(self.directory)
            if hold is None:
                return
            hold.callers -= 1
            if hold.callers == 0:
                del _holds[self.directory]
                self._leave(hold)

    def __enter__(self) -> Facts:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _find_or_start(self, users: int) -> Facts:
        record = self._read()
        if record is not None:
            facts: Facts = record["facts"]
            if self._alive(facts):
                return facts
            # Seen from a container, a server in another one looks dead; a second server would ruin the data.
            if record["host"] != platform.node() and not _alone(users):
                raise LocalServiceError(f"{self.directory} is in use on another machine: {record['host']}")
        facts = self._start()
        write_private(self._record, json.dumps({"host": platform.node(), "facts": facts}))
        return facts

    def _current_hold(self) -> _Hold | None:
        """This process's hold, moved to the present directory when someone deleted the one it was made in."""
        hold = _holds.get(self.directory)
        if hold is None or _stands_at(hold.users, self._users):
            return hold
        users = _open_lock(self._users)
        self._stop_if_last(hold)
        _close_lock(hold.users)
        hold.users = users
        return hold

    def _leave(self, hold: _Hold) -> None:
        try:
            with contextlib.ExitStack() as stack:
                # A directory that was deleted meanwhile is not made again only to be left.
                with contextlib.suppress(FileNotFoundError):
                    stack.enter_context(self._decision())
                self._stop_if_last(hold)
        finally:
            _close_lock(hold.users)

    def _stop_if_last(self, hold: _Hold) -> None:
        if not _alone(hold.users):
            return
        if not _stands_at(hold.users, self._users):
            self._stop(hold.facts)  # ours only: the record in its place speaks of another server
        elif (record := self._read()) is not None:
            self._stop(record["facts"])
            self._record.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any] | None:
        try:
            record = json.loads(self._record.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return record if isinstance(record, dict) and {"host", "facts"} <= record.keys() else None

    @contextlib.contextmanager
    def _decision(self) -> Iterator[None]:
        path = self.directory / "start.lock"
        while True:
            lock = _open_lock(path)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if _stands_at(lock, path):  # not a file that was deleted while we waited for it
                    yield
                    return
            finally:
                _close_lock(lock)


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically by one that only the directory's owner may read."""
    fresh = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        give_to_owner_of_directory(descriptor, path.parent)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def give_to_owner_of_directory(descriptor: int, directory: Path) -> None:
    """Let a file that root makes in someone's directory be theirs, or their next command could not use it."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _open_lock(path: Path) -> int:
    # Python opens with O_CLOEXEC, so that no program started meanwhile (the server above all) keeps the lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    give_to_owner_of_directory(descriptor, path.parent)
    return descriptor


def _close_lock(descriptor: int) -> None:
    # Unlocked explicitly: closing alone leaves the lock to a forked child's copy of the descriptor.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _stands_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _alone(users: int) -> bool:
    """Whether no other process holds the lock. Only inside a decision: the lock may lapse while we ask."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        fcntl.flock(users, fcntl.LOCK_SH)
    return True


def _release_everything() -> None:
    with _guard, contextlib.ExitStack() as stack:  # one that fails must not keep the others
        for hold in list(_holds.values()):
            hold.callers = 1
            stack.callback(hold.service.release)


def _forget_in_child() -> None:
    """A forked child has acquired nothing: it must neither stop the server nor keep the lock."""
    global _guard
    _guard = threading.RLock()
    for hold in _holds.values():
        os.close(hold.users)
    _holds.clear()


atexit.register(_release_everything)
os.register_at_fork(after_in_child=_forget_in_child)
