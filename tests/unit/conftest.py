"""Unit tests are quick: they have no server, so the fixtures that start one fail here."""

from __future__ import annotations

from typing import NoReturn

import pytest


@pytest.fixture(scope="session")
def server() -> NoReturn:
    pytest.fail("a unit test has no PostgreSQL: move the test to tests/integration")


@pytest.fixture(scope="session")
def s3() -> NoReturn:
    pytest.fail("a unit test has no S3 server: move the test to tests/integration")
