"""docs/tables.md is what the registry says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.schema.table_page import as_markdown
from tests.helpers.golden import stale

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"


@pytest.mark.generated
def test_the_page_of_tables_is_up_to_date() -> None:
    """`make renew` writes the page anew."""
    if os.environ.get("WRITE_GOLDEN"):
        PAGE.write_text(as_markdown(REGISTRY), "utf-8")
    assert PAGE.read_text("utf-8") == as_markdown(REGISTRY), stale(PAGE)
    assert all(f"| `{name}` |" in PAGE.read_text("utf-8") for name in REGISTRY)
