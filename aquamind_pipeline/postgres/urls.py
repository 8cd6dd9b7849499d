"""URLs of databases: which are valid, where they lead, and how to name them without their passwords.

libpq completes a user's URL from PG* variables and service files. The embedded server's URL is complete: nothing in the
environment changes where it leads.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from urllib.parse import quote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from aquamind_pipeline.errors import DatabaseError

APPLICATION = "aquamind-pipeline"
"""Our name in the server's list of sessions."""
CONNECT_SECONDS = 10
"""How long to wait for a server that does not answer, unless the user says otherwise."""
_SCHEMES = ("postgresql://", "postgres://")
_PORT = re.compile(r"0*[1-9][0-9]{0,4}")
_LAST_PORT = 65535
_LONG = 8
"""A password of so many letters does not stand in a message by chance."""
_HOST = re.compile(r"[/@].*|[\w.-]*|[0-9A-Fa-f:.]+(%[\w.-]+)?")
"""The folder of a socket (an abstract one begins with @), a name or IPv4 address, or an IPv6 address with its zone."""
_BESIDES = ("PGSERVICE", "PGTZ", "PGDATESTYLE", "PGGEQO")
"""Variables that libpq reads even if every parameter is given."""
_OURS = {
    "application_name": APPLICATION,
    "connect_timeout": str(CONNECT_SECONDS),
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
    "sslmode": "disable",
    "sslcertmode": "disable",
    "gssencmode": "disable",
    "channel_binding": "disable",
    "require_auth": "scram-sha-256",
}
"""Parameters of the embedded server where libpq's default would not do. It listens on this machine only."""


class EmbeddedUrl(SecretStr):
    """The URL of a database of the embedded server.

    Attributes:
        log: The server's log.
    """

    def __init__(self, user: str, password: str, port: int | None, database: str, log: Path) -> None:
        super().__init__(f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{port}/{quote(database, safe='')}")
        self.log = log


class GivenUrl(SecretStr):
    """A URL that does not come from the environment variable that usually has it.

    Attributes:
        given_by: The option that gave it, for messages.
    """

    def __init__(self, url: str, given_by: str) -> None:
        super().__init__(url)
        self.given_by = given_by


def parsed(url: SecretStr) -> dict[str, str]:
    """The parameters that a URL gives, as libpq reads them.

    Raises:
        DatabaseError: when the URL is malformed. The message repeats nothing of the URL, since any part of it may be a
            piece of the password.
    """
    text = url.get_secret_value()
    if not text.startswith(_SCHEMES):
        raise DatabaseError("the database URL must look like postgresql://user:password@host:5432/name")
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except (psycopg.ProgrammingError, UnicodeError):
        raise _malformed() from None
    if not _is_plausible(text, parts):
        raise _malformed()
    return parts


def _malformed() -> DatabaseError:
    return DatabaseError(
        "the database URL cannot be read: write postgresql://user:password@host:5432/name, with special characters "
        "in the user, password and name as %XX (@ is %40, / is %2F, % is %25)"
    )


def _is_plausible(text: str, parts: Mapping[str, str]) -> bool:
    """Whether libpq understood a URL as it was meant: it takes a password with / or @ for a host, port or database."""
    rest = text.partition("://")[2]
    credentials = re.match(r"[^@/]*@", rest)
    location = rest[credentials.end() if credentials else 0 :].partition("?")[0]
    path = location.partition("/")[2]
    hosts = [host for name in ("host", "hostaddr") for host in parts.get(name, "").split(",")]
    ports = parts.get("port", "").split(",")
    return (
        "@" not in location
        and "/" not in path
        and all(_HOST.fullmatch(host) for host in hosts)
        and all(not port or (_PORT.fullmatch(port) and int(port) <= _LAST_PORT) for port in ports)
        and len(ports) in (1, len(parts.get("host", parts.get("hostaddr", "")).split(",")))
    )


def explicit(url: SecretStr) -> dict[str, str]:
    """The parameters to connect with. Those of the embedded server leave nothing to libpq's variables."""
    if not isinstance(url, EmbeddedUrl):
        return parsed(url)
    known = {o.keyword.decode(): (o.compiled or b"").decode() for o in pq.Conninfo.get_defaults() if o.envvar}
    del known["service"]  # an empty service is looked up, too
    return known | {name: value for name, value in _OURS.items() if name in known} | parsed(url)


def options_of(url: SecretStr) -> str:
    """The options for the server that the user gives: in the URL, in the service or in PGOPTIONS."""
    return _completed(url).get("options", "")


@contextlib.contextmanager
def environment_for(url: SecretStr) -> Iterator[None]:
    """Hide the variables that libpq reads in any case from a connection to the embedded server."""
    hidden = [name for name in _BESIDES if name in os.environ] if isinstance(url, EmbeddedUrl) else []
    with _libpq_environment(dict.fromkeys(hidden)) if hidden else contextlib.nullcontext():
        yield


def psql_environment(url: EmbeddedUrl) -> dict[str, str]:
    """The environment of a psql that opens a URL, so that no password stands on a command line."""
    variables = {o.keyword.decode(): o.envvar.decode() for o in pq.Conninfo.get_defaults() if o.envvar}
    kept = {name: value for name, value in os.environ.items() if name not in {*variables.values(), *_BESIDES}}
    return kept | {variables[name]: value for name, value in explicit(url).items() if value and name in variables}


def described(url: SecretStr) -> str:
    """Where a URL leads, in words and without its password: database, hosts and ports.

    Raises:
        DatabaseError: when the URL is malformed.
    """
    parts = _completed(url)
    service = _service(url)
    if service and not _is_known(service):
        return f"service {service!r}"
    hosts = (parts.get("host") or parts.get("hostaddr") or "localhost").split(",")
    ports = (parts.get("port") or "5432").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    places = (
        f"{f'[{host}]' if ':' in host else host or 'localhost'}:{port or 5432}"
        for host, port in zip(hosts, ports, strict=True)
    )
    name = parts.get("dbname") or parts.get("user") or "?"  # as libpq chooses it
    return f"database {name!r} on {', '.join(places)}" + (f" (service {service!r})" if service else "")


def is_local(url: SecretStr) -> bool:
    """Whether a URL leads to this machine: each of its hosts is a socket or a loopback address.

    Raises:
        DatabaseError: when the URL is malformed.
    """
    parts, service = _completed(url), _service(url)
    if service and not _is_known(service):
        return False
    return all(map(_is_here, (parts.get("hostaddr") or parts.get("host") or "").split(",")))


def without_secrets(text: str, url: SecretStr) -> str:
    """The text with *** for the URL's password and other secrets, also where they are percent-encoded."""
    hidden = {o.keyword.decode() for o in pq.Conninfo.get_defaults() if o.dispchar == b"*"}
    for name, value in _completed(url).items():
        if name in hidden and value:
            for form in sorted({value, quote(value), quote(value, safe="")}, key=len, reverse=True):
                text = _hidden(text, form)
    return text


def _hidden(text: str, secret: str) -> str:
    """The text with *** for a secret. A short one is no part of a word, whose other letters would give it away."""
    if len(secret) >= _LONG:
        return text.replace(secret, "***")
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)


def _is_here(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".").lower().endswith(".localhost")
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback


def _completed(url: SecretStr) -> dict[str, str]:
    """A URL's parameters, completed as libpq completes them: from the service, then from variables and defaults."""
    if isinstance(url, EmbeddedUrl):
        return explicit(url)
    given = {name: value for name, value in parsed(url).items() if value}
    return _defaults(given.get("service")) | given


def _service(url: SecretStr) -> str | None:
    if isinstance(url, EmbeddedUrl):
        return None
    return parsed(url).get("service") or os.environ.get("PGSERVICE")


def _is_known(service: str) -> bool:
    """Whether a service file has a service. One without a single parameter of its own counts as unknown."""
    return _defaults(service) != _defaults("")


def _defaults(service: str | None) -> dict[str, str]:
    """What libpq takes for the parameters that a URL does not give.

    Args:
        service: A service whose parameters come first; empty for none, None for the one of PGSERVICE.
    """
    change = {} if service is None else {"PGSERVICE": service or None}
    with _libpq_environment(change):
        found = pq.Conninfo.get_defaults()
    return {o.keyword.decode(): o.val.decode() for o in found if o.val and o.keyword != b"service"}


_ENVIRONMENT = Lock()


@contextlib.contextmanager
def _libpq_environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Change variables as libpq sees them, for the block. Python's own `os.environ` and its copies stay as they are."""
    with _ENVIRONMENT:
        try:
            for name, value in changes.items():
                _set(name, value)
            yield
        finally:
            for name in changes:
                _set(name, os.environ.get(name))


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.unsetenv(name)
    else:
        os.putenv(name, value)


__all__ = [
    "APPLICATION",
    "CONNECT_SECONDS",
    "EmbeddedUrl",
    "GivenUrl",
    "described",
    "environment_for",
    "explicit",
    "is_local",
    "options_of",
    "parsed",
    "psql_environment",
    "without_secrets",
]
