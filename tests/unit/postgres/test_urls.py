"""URLs of databases: what is refused without a word of it, and where a URL leads as libpq completes it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pydantic import SecretStr

from aquamind_pipeline.errors import AquaMindError, ConfigError, DatabaseError
from aquamind_pipeline.orchestration.run_config import RunOptions
from aquamind_pipeline.postgres.urls import EmbeddedUrl, described, is_local, parsed, psql_environment, without_secrets
from aquamind_pipeline.settings import load_settings

MALFORMED = [
    "postgresql://alice:Secr3t/pw@127.0.0.1:5432/db",
    "postgresql://alice:123/Secr3t@127.0.0.1:5432/db",
    "postgresql://alice:Secr3t@pw@127.0.0.1:5432/db",
    "postgresql://alice:Secr3t@p:w@127.0.0.1:5432/db",
    "postgresql://alice:Secr3t@p#w@127.0.0.1:5432/db",
    "postgresql://alice:Secr3t%pw@127.0.0.1:5432/db",
    "postgresql://alice:Secr3t%ff@127.0.0.1:5432/db",
    "postgresql://alice:Secr3t pw@127.0.0.1:5432/db",
    "postgresql://alice@Secr3t/pw@127.0.0.1:5432/db",
    "postgresql://alice:x@host:Secr3t/db",
    "postgresql://alice:x@host:0/db",
    "postgresql://alice:x@host:65536/db",
    "postgresql://alice:x@host:54 32/db",
    "postgresql://alice:x@host:5432:Secr3t/db",
    "postgresql://alice:x@[::1/Secr3t",
    "postgresql://alice:x@ho(st/Secr3t",
    "postgresql://alice:x@host/db/Secr3t",
    "postgresql://alice:x@host/db?Secr3t",
    "postgresql://alice:x@host/db?secret=Secr3t",
    "postgresql://alice:x@host/db?port=Secr3t",
    "postgresql://alice:x@a,b/db?port=1,2,3",
    "postgresql+psycopg://alice:Secr3t@host/db",
    "mysql://alice:Secr3t@host/db",
    "host=127.0.0.1 user=alice password=Secr3t dbname=db",
    "Secr3t",
    " postgresql://alice:Secr3t@host/db",
]
HERE = [
    "postgresql://",
    "postgresql:///db",
    "postgresql://localhost/db",
    "postgresql://127.0.0.2/db",
    "postgresql://[::1]:5433/db",
    "postgresql://[::ffff:127.0.0.1]/db",
    "postgresql://%2Frun%2Fpostgresql/db",
    "postgresql:///db?host=/tmp",
    "postgresql://localhost,127.0.0.1:5433/db",
    "postgresql://far.example/db?hostaddr=127.0.0.1",
]
ELSEWHERE = [
    "postgresql://far.example/db",
    "postgresql://10.0.0.1/db",
    "postgresql://[2001:db8::1]/db",
    "postgresql://localhost,far.example/db",
    "postgresql://localhost/db?hostaddr=10.0.0.1",
    "postgresql://127.0.0.1.far.example/db",
    "postgresql:///?service=unknown",
]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "services").write_text("[far]\nhost=far.example\nport=6543\ndbname=theirs\n[near]\nhost=/tmp\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_url_is_refused_and_not_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every place that takes one."""
    monkeypatch.setenv("THEIRS", url)
    for kind, read in (
        (DatabaseError, lambda: parsed(SecretStr(url))),
        (ConfigError, lambda: load_settings(profile="tiny", database_url=url)),
        (ConfigError, lambda: load_settings(profile="tiny", dagster_database_url=url)),
        (ConfigError, lambda: RunOptions(database="THEIRS").applied(load_settings(profile="tiny"))),
    ):
        with pytest.raises(kind, match="the database URL (must look like|cannot be read: write) postgresql") as refused:
            read()
        assert "\n" not in str(refused.value)
        assert not any(part in str(refused.value) for part in ("Secr3t", "alice", "127.0.0.1", "5432:", "psycopg"))


def test_no_part_of_a_password_is_taken_for_something_else() -> None:
    """Whatever unescaped characters it has: the URL is refused, or all of it is the password."""
    taken = 0
    for one, two in itertools.product("/@:?#%[]&=+,;~ \\'\"", repeat=2):
        url = SecretStr(f"postgresql://alice:Secr{one}3t{two}pass@127.0.0.1:5432/db")
        try:
            parts, words = parsed(url), described(url)
        except AquaMindError as refused:
            parts, words = {}, str(refused)
        else:
            taken += 1
            assert parts["password"] == f"Secr{one}3t{two}pass"
        assert "Secr" not in words
        assert "pass@" not in words
    assert taken > 100


@pytest.mark.parametrize("url", HERE)
def test_a_url_of_this_machine(url: str) -> None:
    assert is_local(SecretStr(url))


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_url_of_another_machine(url: str) -> None:
    assert not is_local(SecretStr(url))


@pytest.mark.parametrize(
    ("url", "variables", "words", "here"),
    [
        ("postgresql://alice:x@h:1/db", {}, "database 'db' on h:1", False),
        ("postgresql://alice:x@h1:1,h2:2/db", {}, "database 'db' on h1:1, h2:2", False),
        ("postgresql://h1,h2/db?port=7", {}, "database 'db' on h1:7, h2:7", False),
        ("postgresql://alice@[::1]:7/db", {}, "database 'db' on [::1]:7", True),
        ("postgresql://alice@localhost", {}, "database 'alice' on localhost:5432", True),
        ("postgresql://", {"PGUSER": "bob"}, "database 'bob' on localhost:5432", True),
        (
            "postgresql://",
            {"PGHOST": "far.example", "PGPORT": "7", "PGDATABASE": "db"},
            "database 'db' on far.example:7",
            False,
        ),
        ("postgresql://localhost/db", {"PGHOST": "far.example"}, "database 'db' on localhost:5432", True),
        ("postgresql://localhost/db", {"PGHOSTADDR": "10.0.0.1"}, "database 'db' on localhost:5432", False),
        ("postgresql://", {"PGSERVICE": "far"}, "database 'theirs' on far.example:6543 (service 'far')", False),
        ("postgresql:///?service=far", {}, "database 'theirs' on far.example:6543 (service 'far')", False),
        ("postgresql:///db?service=near", {}, "database 'db' on /tmp:5432 (service 'near')", True),
        ("postgresql:///?service=near", {"PGSERVICE": "far", "PGUSER": "bob"}, "database 'bob' on /tmp", True),
        ("postgresql://", {"PGSERVICE": "unknown"}, "service 'unknown'", False),
        ("postgresql:///?service=unknown", {}, "service 'unknown'", False),
    ],
)
def test_a_url_is_completed_as_libpq_completes_it(
    url: str, variables: dict[str, str], words: str, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert described(SecretStr(url)).startswith(words)
    assert is_local(SecretStr(url)) == here


def test_the_embedded_url_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of libpq's changes where it leads, or reaches psql."""
    url = EmbeddedUrl("me", "a/b@c%", 7, "my farm", Path("log"))
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGSSLMODE", "PGOPTIONS", "PGTZ", "PGDATABASE"):
        monkeypatch.setenv(name, "far.example")
    assert (described(url), is_local(url)) == ("database 'my farm' on 127.0.0.1:7", True)
    variables = psql_environment(url)
    assert "far.example" not in variables.values()
    assert {variables[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE")} == {
        "127.0.0.1",
        "7",
        "me",
        "a/b@c%",
        "my farm",
        "disable",
    }


def test_secrets_are_hidden_in_every_form() -> None:
    url = SecretStr("postgresql://alice:Se%2Fcr%40et@h/db?sslpassword=other")
    for text in ("Se/cr@et", "Se%2Fcr%40et", "Se/cr%40et", "other"):
        assert without_secrets(f"<{text}>", url) == "<***>"


def test_a_short_password_hides_no_letters_of_other_words() -> None:
    url = SecretStr("postgresql://alice:a@127.0.0.1:5432/db")
    assert without_secrets("password 'a' of alice failed at a database", url) == (
        "password '***' of alice failed at *** database"
    )
    assert without_secrets("alice:a@127.0.0.1", url) == "alice:***@127.0.0.1"
